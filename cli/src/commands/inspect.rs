//! `wharf inspect`: what the journal says, and for docker-machine's templates the same in the shape that they know.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use wharf_core::Inspection;

use super::Cx;
use crate::error::{Error, Result};
use crate::ui::Template;

/// Prints everything known of a machine, as JSON; no secrets
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print what this Go template says, with docker-machine's names: {{.Driver.IPAddress}}, {{json .}}
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let usual = cx.docker_machine.is_some().then_some("{{prettyjson .}}");
    let template = args.format.as_deref().or(usual).map(Template::parse).transpose()?;
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    let inspection = wharf.inspect(&name).await?;
    match template {
        Some(template) => cx.ui.result(&template.render(&Host::of(&inspection, &cx.config.store)?)?),
        None => cx.ui.json(&inspection),
    }
}

/// A machine as docker-machine wrote one down (configuration version 3), as far as it has these things. What we know
/// beyond that is beside it under its own names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Host {
    config_version: u8,
    driver: Value,
    driver_name: String,
    host_options: Value,
    name: String,
    #[serde(flatten)]
    own: Value,
}

impl Host {
    pub(crate) fn of(inspection: &Inspection, store: &Path) -> Result<Self> {
        let options = &inspection.options;
        let folder = inspection.connection.as_ref().map(|connection| connection.folder.display().to_string());
        let at = |file: &str| folder.as_ref().map(|folder| format!("{folder}/{file}")).unwrap_or_default();
        let own = serde_json::to_value(inspection)
            .map_err(|e| Error::failed("the machine cannot be written as JSON").caused_by(&e))?;
        Ok(Self {
            config_version: 3,
            driver: driver(inspection, store),
            driver_name: inspection.summary.driver.clone(),
            host_options: json!({
                "EngineOptions": {
                    "ArbitraryFlags": options.arguments,
                    "Env": options.environment,
                    "Labels": options.labels,
                    "InsecureRegistry": options.insecure_registries,
                    "RegistryMirror": options.registry_mirrors,
                    "TlsVerify": true,
                },
                "AuthOptions": {
                    "CertDir": folder.clone().unwrap_or_default(),
                    "CaCertPath": at("ca.pem"),
                    "ClientCertPath": at("cert.pem"),
                    "ClientKeyPath": at("key.pem"),
                    "ServerCertSANs": options.extra_names,
                    "StorePath": folder.clone().unwrap_or_default(),
                },
            }),
            name: inspection.summary.name.to_string(),
            own,
        })
    }
}

/// What every driver of docker-machine wrote down, and this one's own configuration.
fn driver(inspection: &Inspection, store: &Path) -> Value {
    let mut driver = json!({
        "MachineName": inspection.summary.name,
        "StorePath": store,
        "IPAddress": "",
        "SSHUser": "",
        "SSHPort": 0,
        "SSHKeyPath": "",
    });
    if let Some(connection) = &inspection.connection {
        let ssh = &connection.ssh;
        driver["IPAddress"] = json!(ssh.host);
        driver["SSHUser"] = json!(ssh.user);
        driver["SSHPort"] = json!(ssh.port);
        driver["SSHKeyPath"] = json!(ssh.identity.as_deref().unwrap_or(Path::new("")));
    }
    if let (Some(driver), Some(own)) = (driver.as_object_mut(), inspection.config.as_object()) {
        for (key, value) in own {
            driver.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    driver
}
