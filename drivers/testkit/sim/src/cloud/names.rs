//! What the cloud's endpoints are called.

use crate::config::{Config, Naming};
use crate::flavour::{Flavour, IdentitySystem};

/// The endpoints and audiences that discovery tells.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Resource Manager, without a slash at the end.
    pub(crate) arm: String,
    /// Where to sign in, as discovery tells it.
    pub(crate) login: String,
    /// What tokens must be for, the first as discovery tells it.
    pub(crate) audiences: Vec<String>,
    /// Every host name that the certificate must carry.
    pub(crate) hosts: Vec<String>,
    /// The suffix of the cloud's own names.
    pub(crate) suffix: String,
}

impl Names {
    /// The names of a cloud that listens on `port`.
    pub(crate) fn new(config: &Config, port: u16) -> Self {
        // A stamp's first label is its region; the others have one endpoint for all.
        let flavour = config.flavour.to_string();
        let place = if config.flavour.is_hub() { config.flavour.locations()[0].0 } else { &flavour };
        let (arm_host, login_host, suffix, port) = match &config.names {
            Naming::Below(suffix) => {
                let below = format!("{place}.{suffix}");
                let login = if config.identity == IdentitySystem::Adfs { "adfs" } else { "login" };
                (format!("management.{below}"), format!("{login}.{below}"), below, format!(":{port}"))
            }
            Naming::Real => {
                let (arm, login) = real(config.flavour, config.identity);
                let suffix = arm.trim_start_matches("management.").to_owned();
                (arm.to_owned(), login.to_owned(), suffix, String::new())
            }
        };
        let path = if config.identity == IdentitySystem::Adfs { "/adfs" } else { "" };
        Self {
            arm: format!("https://{arm_host}{port}"),
            login: format!("https://{login_host}{port}{path}"),
            audiences: audiences(config, &suffix),
            hosts: vec![arm_host, login_host],
            suffix,
        }
    }

    /// `https://login.…:PORT`, without a path.
    pub(crate) fn login_root(&self) -> &str {
        self.login.trim_end_matches("/adfs")
    }
}

fn real(flavour: Flavour, identity: IdentitySystem) -> (&'static str, &'static str) {
    match flavour {
        Flavour::Public => ("management.azure.com", "login.microsoftonline.com"),
        Flavour::UsGov => ("management.usgovcloudapi.net", "login.microsoftonline.us"),
        Flavour::China => ("management.chinacloudapi.cn", "login.chinacloudapi.cn"),
        _ if identity == IdentitySystem::Entra => {
            ("management.stamp1.stack.example", "login.microsoftonline.com")
        }
        _ => ("management.stamp1.stack.example", "adfs.stamp1.stack.example"),
    }
}

fn audiences(config: &Config, suffix: &str) -> Vec<String> {
    let own: &[&str] = match config.flavour {
        Flavour::Public => &[
            "https://management.core.windows.net/",
            "https://management.azure.com/",
            "https://management.core.windows.net",
            "https://management.azure.com",
        ],
        Flavour::UsGov => &[
            "https://management.core.usgovcloudapi.net",
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net/",
            "https://management.usgovcloudapi.net/",
        ],
        Flavour::China => &[
            "https://management.core.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
            "https://management.core.chinacloudapi.cn/",
            "https://management.chinacloudapi.cn/",
        ],
        // A stamp's audience is a URI of its own and never its endpoint's address.
        _ if config.identity == IdentitySystem::Adfs => {
            return vec![format!("https://management.adfs.{suffix}/{}", config.account.tenant)];
        }
        _ => return vec![format!("https://management.example.onmicrosoft.com/{}", config.account.tenant)],
    };
    own.iter().map(|audience| (*audience).to_owned()).collect()
}
