//! What a place is and offers, for the profile that a person keeps of it.

use wharf_driver::{Result, Settings, Survey};

use crate::catalog;
use crate::client::Connection;
use crate::config::Config;

pub(crate) async fn survey(connection: &Connection, config: &Config) -> Result<Survey> {
    let wished = catalog::choose_type(connection, config).await?;
    let mut settings = Settings::default();
    settings.set("aws-region", vec![connection.region.clone()]);
    if let Some(endpoint) = &config.endpoint {
        settings.set("aws-endpoint-url", vec![endpoint.clone()]);
    }
    settings.set("aws-instance-type", vec![wished.name.clone()]);
    let zones: Vec<&str> = wished.zones.iter().map(String::as_str).collect();
    let facts = vec![
        ("is", format!("account {} in partition {}", connection.account, connection.partition)),
        ("signed in as", connection.who.clone()),
        ("offers", format!("{} in {}", wished.name, zones.join(", "))),
    ];
    Ok(Survey { settings, facts })
}
