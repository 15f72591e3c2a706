//! `wharfd certificate`: makes the server's key on the machine, and takes the certificate that was signed for it.
//!
//! The key never leaves the machine: `request` prints a signing request, `install` reads the answer. Both files are
//! replaced by renaming, key first, and the daemon reads them again by itself; until then it keeps what it has. A key
//! made by `request` waits under a pending name and becomes the key only with a certificate that fits it. `revoke` takes
//! the list of clients' certificates that were taken back; which ones, the authority's holder decides.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Deserialize;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::config::CRL;

const PENDING_KEY: &str = "pending-key.pem";
const SERVER_KEY: &str = "server-key.pem";
const SERVER: &str = "server.pem";
const AUTHORITY: &str = "ca.pem";

/// Make the server's key here, and install the certificate signed for it.
#[derive(Debug, Parser)]
#[command(name = "wharfd certificate")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print a signing request for the pending key, making the key when there is none
    Request {
        /// The folder of the TLS files
        #[arg(long)]
        dir: PathBuf,
        /// Who the request is for
        #[arg(long)]
        name: String,
        /// Ask for a certificate for a new key even when one is pending or in use
        #[arg(long)]
        new_key: bool,
    },
    /// Read {"ca": PEM, "server": PEM} and perhaps "revoked": PEM on standard input and put them into force
    Install {
        /// The folder of the TLS files
        #[arg(long)]
        dir: PathBuf,
    },
    /// Read a CRL, PEM, on standard input and put it into force
    Revoke {
        /// The folder of the TLS files
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the key in {path} is damaged: {source}")]
    Key { path: PathBuf, source: rcgen::Error },
    #[error("cannot make a key or request: {0}")]
    Make(#[from] rcgen::Error),
    #[error("standard input is not the expected JSON: {0}")]
    Input(#[from] serde_json::Error),
    #[error("standard input cannot be read: {0}")]
    Stdin(io::Error),
    #[error("the {0} certificate is damaged")]
    Certificate(&'static str),
    #[error("the list of revoked certificates is damaged")]
    Revoked,
    #[error("the certificate fits neither the pending key nor the one in force")]
    Misfit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    ca: String,
    server: String,
    revoked: Option<String>,
}

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments.into_iter().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit code says it all the same.
            let _ = writeln!(io::stderr(), "wharfd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Request { dir, name, new_key } => {
            let request = request(&dir, &name, new_key)?;
            io::stdout().write_all(request.as_bytes()).map_err(Error::Stdin)
        }
        Verb::Install { dir } => install(&dir, &serde_json::from_str(&input()?)?),
        Verb::Revoke { dir } => revoke(&dir, &input()?),
    }
}

fn input() -> Result<String, Error> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input).map_err(Error::Stdin)?;
    Ok(input)
}

fn request(dir: &Path, name: &str, new_key: bool) -> Result<String, Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| Error::Write { path: dir.to_owned(), source })?;
    let pending = dir.join(PENDING_KEY);
    let existing = if new_key { None } else { read_key(&pending)?.or(read_key(&dir.join(SERVER_KEY))?) };
    let key = match existing {
        Some(key) => key,
        None => {
            let key = KeyPair::generate()?;
            replace(&pending, &key.serialize_pem(), 0o600)?;
            key
        }
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    Ok(params.serialize_request(&key)?.pem()?)
}

fn install(dir: &Path, signed: &Signed) -> Result<(), Error> {
    let public = public_key(&signed.server, "server")?;
    public_key(&signed.ca, "authority's")?;
    let pending = dir.join(PENDING_KEY);
    let fits =
        |key: &Option<KeyPair>| key.as_ref().is_some_and(|key| key.subject_public_key_info() == public);
    if fits(&read_key(&pending)?) {
        let key = dir.join(SERVER_KEY);
        std::fs::rename(&pending, &key).map_err(|source| Error::Write { path: key, source })?;
    } else if !fits(&read_key(&dir.join(SERVER_KEY))?) {
        return Err(Error::Misfit);
    }
    replace(&dir.join(AUTHORITY), &signed.ca, 0o644)?;
    if let Some(list) = &signed.revoked {
        revoke(dir, list)?;
    }
    // Last, since the daemon reads all of them when this one appears.
    replace(&dir.join(SERVER), &signed.server, 0o644)
}

fn revoke(dir: &Path, list: &str) -> Result<(), Error> {
    let der = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).map_err(|_| Error::Revoked)?;
    CertificateRevocationList::from_der(&der).map_err(|_| Error::Revoked)?;
    replace(&dir.join(CRL), list, 0o644)
}

fn public_key(pem: &str, whose: &'static str) -> Result<Vec<u8>, Error> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::Certificate(whose))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Error::Certificate(whose))?;
    Ok(certificate.public_key().raw.to_vec())
}

fn read_key(path: &Path) -> Result<Option<KeyPair>, Error> {
    match std::fs::read_to_string(path) {
        Ok(pem) => {
            KeyPair::from_pem(&pem).map(Some).map_err(|source| Error::Key { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Write, fsync, rename, fsync the folder: never half a file, whatever happens.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || {
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateSigningRequestParams, Issuer};
    use std::os::unix::fs::PermissionsExt as _;

    fn sign(request: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::default();
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        Signed { ca, server: request.signed_by(&issuer).unwrap().pem(), revoked: None }
    }

    #[test]
    fn a_key_comes_into_force_with_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tls");
        let first = sign(&request(&dir, "web1", false).unwrap());
        assert!(!dir.join(SERVER_KEY).exists(), "a key without a certificate is only pending");
        install(&dir, &first).unwrap();
        assert_eq!(dir.join(SERVER_KEY).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.join(PENDING_KEY).exists());
        // The same key may get another certificate, for a new address.
        install(&dir, &sign(&request(&dir, "web1", false).unwrap())).unwrap();
        // A new key leaves the old one in force until its certificate comes.
        let old = std::fs::read(dir.join(SERVER_KEY)).unwrap();
        let second = sign(&request(&dir, "web1", true).unwrap());
        assert_eq!(std::fs::read(dir.join(SERVER_KEY)).unwrap(), old);
        install(&dir, &second).unwrap();
        assert_ne!(std::fs::read(dir.join(SERVER_KEY)).unwrap(), old);
    }

    #[test]
    fn a_certificate_for_another_key_changes_nothing() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        install(dir.path(), &sign(&request(dir.path(), "a", false).unwrap())).unwrap();
        let before = std::fs::read(dir.path().join(SERVER)).unwrap();
        let foreign = sign(&request(other.path(), "b", false).unwrap());
        assert!(matches!(install(dir.path(), &foreign), Err(Error::Misfit)));
        assert_eq!(std::fs::read(dir.path().join(SERVER)).unwrap(), before);
    }

    #[test]
    fn only_a_list_takes_the_place_of_a_list() {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::default(), key);
        let now = time::OffsetDateTime::now_utc();
        let list = rcgen::CertificateRevocationListParams {
            this_update: now,
            next_update: now + time::Duration::DAY,
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).unwrap().pem().unwrap();
        revoke(dir.path(), &list).unwrap();
        assert!(matches!(revoke(dir.path(), "no list"), Err(Error::Revoked)));
        assert_eq!(std::fs::read_to_string(dir.path().join(CRL)).unwrap(), list);
        let signed = sign(&request(dir.path(), "a", false).unwrap());
        install(dir.path(), &Signed { revoked: Some("no list".into()), ..signed }).unwrap_err();
        assert!(!dir.path().join(SERVER).exists(), "nothing half-way is taken up");
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join(PENDING_KEY)).unwrap().write_all(b"no key").unwrap();
        let error = request(dir.path(), "a", false).unwrap_err().to_string();
        assert!(error.contains(PENDING_KEY) && error.contains("damaged"), "{error}");
        let signed = Signed { ca: "x".into(), server: "y".into(), revoked: None };
        assert!(matches!(install(dir.path(), &signed), Err(Error::Certificate("server"))));
    }
}
