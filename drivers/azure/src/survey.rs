//! What a place is and offers, for the profile that a person keeps of it.

use wharf_arm::{Identity, Version};
use wharf_driver::{Result, Settings, Survey};

use crate::catalog;
use crate::client::Connection;
use crate::config::Config;
use crate::kind::MACHINES;

pub(crate) async fn survey(connection: &Connection, config: &Config) -> Result<Survey> {
    let arm = &connection.arm;
    let cloud = arm.cloud();
    let location = catalog::location(arm, config.location.as_deref())?;
    let offer = catalog::offer(arm, config, &location).await?;
    let mut settings = Settings::default();
    let mut set = |flag: &str, values: Vec<String>| {
        if !values.is_empty() {
            settings.set(flag, values);
        }
    };
    set("azure-endpoint", vec![cloud.endpoint.clone()]);
    set("azure-subscription-id", vec![arm.subscription().to_owned()]);
    set("azure-tenant-id", connection.signed_in_to.iter().cloned().collect());
    set("azure-location", vec![location]);
    set("azure-size", offer.sizes);
    set("azure-image", offer.images);
    set("azure-auth", vec![connection.way.name().to_owned()]);
    let what = if catalog::is_stamp(arm)? { "an Azure Stack Hub" } else { "Azure" };
    let name = cloud.name.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    let identity = match cloud.identity {
        Identity::Entra => "Microsoft Entra",
        Identity::AdFs => "AD FS",
    };
    let version: &Version = arm.version(MACHINES)?;
    let facts = vec![
        ("is", format!("{what}{name}")),
        ("signs in at", format!("{} ({identity})", cloud.login)),
        ("speaks", format!("compute {version}")),
    ];
    Ok(Survey { settings, facts })
}
