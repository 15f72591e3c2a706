//! The condensed files, by provider and version, each provider's oldest first.

/// Provider, api-version, text.
#[rustfmt::skip]
pub(super) const FILES: &[(&str, &str, &str)] = &[
    ("compute", "2017-03-30", include_str!("../../descriptions/compute-2017-03-30.json")),
    ("compute", "2017-12-01", include_str!("../../descriptions/compute-2017-12-01.json")),
    ("compute", "2019-07-01", include_str!("../../descriptions/compute-2019-07-01.json")),
    ("compute", "2020-06-01", include_str!("../../descriptions/compute-2020-06-01.json")),
    ("compute", "2021-03-01", include_str!("../../descriptions/compute-2021-03-01.json")),
    ("compute", "2024-07-01", include_str!("../../descriptions/compute-2024-07-01.json")),
    ("compute", "2024-11-01", include_str!("../../descriptions/compute-2024-11-01.json")),
    ("network", "2017-10-01", include_str!("../../descriptions/network-2017-10-01.json")),
    ("network", "2018-11-01", include_str!("../../descriptions/network-2018-11-01.json")),
    ("network", "2021-02-01", include_str!("../../descriptions/network-2021-02-01.json")),
    ("network", "2023-11-01", include_str!("../../descriptions/network-2023-11-01.json")),
    ("network", "2024-05-01", include_str!("../../descriptions/network-2024-05-01.json")),
    ("resources", "2016-06-01", include_str!("../../descriptions/resources-2016-06-01.json")),
    ("resources", "2016-09-01", include_str!("../../descriptions/resources-2016-09-01.json")),
    ("resources", "2018-02-01", include_str!("../../descriptions/resources-2018-02-01.json")),
    ("resources", "2018-05-01", include_str!("../../descriptions/resources-2018-05-01.json")),
    ("resources", "2019-10-01", include_str!("../../descriptions/resources-2019-10-01.json")),
    ("resources", "2020-06-01", include_str!("../../descriptions/resources-2020-06-01.json")),
    ("resources", "2021-04-01", include_str!("../../descriptions/resources-2021-04-01.json")),
    ("resources", "2024-03-01", include_str!("../../descriptions/resources-2024-03-01.json")),
];

/// What the profiles of Azure Stack Hub name.
pub(super) const PROFILES: &str = include_str!("../../descriptions/profiles.json");
