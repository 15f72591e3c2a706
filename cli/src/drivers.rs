//! The list of drivers in this build. The only file that names one.

use crate::settings::Entry;

/// Every driver, the default one first.
pub(crate) fn all() -> Vec<Entry> {
    vec![
        Entry::of::<wharf_driver_local::Local>().supervised_by(wharf_driver_local::supervise),
        Entry::of::<wharf_driver_ssh::Ssh>(),
        Entry::of::<wharf_driver_none::Elsewhere>(),
        #[cfg(feature = "azure")]
        Entry::of::<wharf_driver_azure::Azure>(),
        #[cfg(feature = "aws")]
        Entry::of::<wharf_driver_aws::Aws>(),
    ]
}
