//! What a region offers to one wish, asked once for all machines of a command that have the same: a hundred of them would
//! ask for the same six things a hundred times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wharf_driver::{Error, Kind, Result};

use crate::action::Place;
use crate::catalog::{self, Type};
use crate::client::Connection;
use crate::config::Config;
use crate::image::{self, Found};

/// All that a plan reads.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) wished: Type,
    pub(crate) image: Found,
    pub(crate) vpc: String,
    pub(crate) places: Vec<Place>,
    /// The ids of groups that are there.
    pub(crate) groups: Vec<String>,
}

/// The offers that were asked for, by wish. What was refused is asked for again.
#[derive(Debug, Default)]
pub(crate) struct Offers(Mutex<BTreeMap<String, Arc<OnceCell<Arc<Offer>>>>>);

impl Offers {
    /// What is offered to this wish.
    pub(crate) async fn of(&self, connection: &Connection, config: &Config) -> Result<Arc<Offer>> {
        let Config { image, types, vpc, subnet, zone, groups, ipv6, .. } = config;
        let wish = format!("{:?}", (image, types, vpc, subnet, zone, groups, ipv6));
        let cell = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(wish).or_default())
        };
        cell.get_or_try_init(|| ask(connection, config)).await.cloned()
    }
}

async fn ask(connection: &Connection, config: &Config) -> Result<Arc<Offer>> {
    let wished = catalog::choose_type(connection, config).await?;
    let (image, (vpc, places)) = tokio::try_join!(
        image::find(connection, &config.image, &wished.architecture),
        catalog::places(connection, config, &wished),
    )?;
    fits(&image, &wished)?;
    let groups = catalog::groups(connection, &config.groups, &vpc).await?;
    Ok(Arc::new(Offer { wished, image, vpc, places, groups }))
}

fn fits(image: &Found, wished: &Type) -> Result<()> {
    if image.architecture == wished.architecture {
        return Ok(());
    }
    let message = format!(
        "the image {} is for {}, and {} is {}",
        image.id, image.architecture, wished.name, wished.architecture
    );
    Err(Error::new(Kind::Refused, message).hint("choose another --aws-instance-type or --aws-ami"))
}
