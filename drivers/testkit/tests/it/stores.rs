//! The folder keeps what every store promises.

use std::sync::Arc;

use wharf_core::OsEntropy;
use wharf_core::store::{Folder, Store};
use wharf_driver::{Clock, SystemClock};

#[tokio::test]
async fn the_folder_is_a_store() {
    let home = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let open = || {
        let folder = Folder::new(home.path().join("store"), Arc::clone(&clock), Arc::new(OsEntropy));
        Arc::new(folder) as Arc<dyn Store>
    };
    wharf_testkit::stores::contract(&open, &clock).await;
}
