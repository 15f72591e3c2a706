//! Whose certificates are believed, and by which proxy the way leads. The system's trust store counts, and beside it one
//! file: stamps have a private authority. There is no way to believe everybody.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use wharf_driver::{Error, Kind, Result, Session};

use crate::Http;
use crate::http::{CONNECT, PATIENCE};

/// How connections are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Certificates in PEM that are believed beside the system's.
    pub authority: Option<PathBuf>,
    /// The way out.
    pub proxies: Proxies,
}

/// The way out of this network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for everything; `None` goes straight.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, in the form of `NO_PROXY`.
    pub without: Option<String>,
}

impl Proxies {
    /// What the person's environment says, as every other program reads it.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| session.var(name)).map(str::to_owned);
        Self {
            proxy: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            without: first(&["no_proxy", "NO_PROXY"]),
        }
    }
}

/// The system's trust store, read once: it is a file of a hundred and more certificates, and a command may know many
/// clouds. What of it cannot be read is passed over, as every program does.
static SYSTEM: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
});

impl Trust {
    /// The HTTP client.
    ///
    /// # Errors
    /// Refused when the file of authorities or the proxy is none.
    pub fn client(&self) -> Result<Http> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Names))
            .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(PATIENCE);
        if let Some(proxy) = &self.proxies.proxy {
            let without = self.proxies.without.as_deref().and_then(reqwest::NoProxy::from_string);
            let proxy = reqwest::Proxy::all(proxy).map_err(|error| {
                Error::new(Kind::Refused, format!("the proxy `{proxy}` is no address: {error}"))
                    .hint("HTTPS_PROXY looks like http://proxy.example:3128")
            })?;
            builder = builder.proxy(proxy.no_proxy(without));
        }
        let client = builder
            .build()
            .map_err(|error| Error::new(Kind::Failed, format!("no HTTP client: {error}")).caused_by(error))?;
        Ok(Http { client })
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = SYSTEM.clone();
        if let Some(file) = &self.authority {
            for certificate in authorities(file)? {
                roots.add(certificate).map_err(|error| no_authority(file, &error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Kind::Failed, format!("no TLS: {error}")).caused_by(error))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Names as the system knows them: those of private networks it often knows alone. Names below `localhost` are this
/// computer (RFC 6761), which not every system knows by itself.
#[derive(Debug)]
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if name.as_str().trim_end_matches('.').to_ascii_lowercase().ends_with(".localhost") {
                let own: Addrs = Box::new([SocketAddr::from((Ipv4Addr::LOCALHOST, 0))].into_iter());
                return Ok(own);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = std::fs::read(file).map_err(|error| no_authority(file, &error))?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| no_authority(file, &error))?;
    if found.is_empty() { Err(no_authority(file, &"it holds none in PEM")) } else { Ok(found) }
}

fn no_authority(file: &Path, why: &dyn std::fmt::Display) -> Error {
    let message = format!("cannot take certificates of authorities from {}: {why}", file.display());
    Error::new(Kind::Refused, message).hint("--azure-ca names a file with lines -----BEGIN CERTIFICATE-----")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn files_that_hold_no_authority_are_refused() {
        let client = |file: &Path| Trust { authority: Some(file.to_owned()), ..Trust::default() }.client();
        let missing = client(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert_eq!(missing.kind(), Kind::Refused);
        assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
        let mut other = tempfile::NamedTempFile::new().unwrap();
        other.write_all(b"hello").unwrap();
        assert!(client(other.path()).unwrap_err().to_string().contains("it holds none in PEM"));
    }

    #[test]
    fn the_way_out_is_read_as_other_programs_read_it() {
        let set = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1"), ("NO_PROXY", "a,b")];
        let set: BTreeMap<_, _> = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let proxies = Proxies::of(&Session::default().with_environment(set));
        assert_eq!(proxies.proxy.as_deref(), Some("http://lower:1"));
        assert_eq!(proxies.without.as_deref(), Some("a,b"));
        let wrong = Proxies { proxy: Some("http://[".to_owned()), without: None };
        let refused = Trust { authority: None, proxies: wrong }.client().unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
    }
}
