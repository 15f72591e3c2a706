//! An engine in this process, behind mutual TLS of an authority of its own, and clients with any certificate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;
use wharf_test_ports::Port;
use wharfd::Agent;
use wharfd::config::Config;
use wharfd_client::{Client, Credentials};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) struct Leaf {
    pub(crate) pem: String,
    pub(crate) key: String,
    serial: SerialNumber,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sign(
        &self,
        usage: ExtendedKeyUsagePurpose,
        uris: &[&str],
        not_after: OffsetDateTime,
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.extended_key_usages = vec![usage];
        params.not_before = OffsetDateTime::now_utc() - time::Duration::days(30);
        params.not_after = not_after;
        let serial = SerialNumber::from(key.public_key_raw().last_chunk::<8>().unwrap().to_vec());
        params.serial_number = Some(serial.clone());
        params
            .subject_alt_names
            .extend(uris.iter().map(|uri| SanType::URI((*uri).to_owned().try_into().unwrap())));
        Leaf { pem: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem(), serial }
    }

    /// Another authority, which this one signed; and its certificate, to be taken back by.
    pub(crate) fn intermediate(&self, uris: &[&str], not_after: OffsetDateTime) -> (Self, Leaf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::CommonName, "intermediate");
        params.not_after = not_after;
        let serial = SerialNumber::from(key.public_key_raw().last_chunk::<8>().unwrap().to_vec());
        params.serial_number = Some(serial.clone());
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).to_owned().try_into().unwrap())).collect();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let leaf = Leaf { pem: pem.clone(), key: key.serialize_pem(), serial };
        (Self { pem, issuer: Issuer::new(params, key) }, leaf)
    }

    /// A client with the whole chain up to the authority that everybody believes.
    pub(crate) fn client_below(&self, uris: &[&str], not_after: OffsetDateTime) -> Leaf {
        let leaf = self.sign(ExtendedKeyUsagePurpose::ClientAuth, uris, not_after);
        Leaf { pem: format!("{}{}", leaf.pem, self.pem), ..leaf }
    }

    /// The list of those that it takes back.
    pub(crate) fn revoke(&self, leaves: &[&Leaf]) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked = leaves.iter().map(|leaf| RevokedCertParams {
            serial_number: leaf.serial.clone(),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: tomorrow(),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn client(&self, uris: &[&str]) -> Leaf {
        self.sign(ExtendedKeyUsagePurpose::ClientAuth, uris, tomorrow())
    }

    pub(crate) fn server(&self, machine: &str) -> Leaf {
        self.sign(ExtendedKeyUsagePurpose::ServerAuth, &[&format!("wharf:machine:{machine}")], tomorrow())
    }
}

pub(crate) fn tomorrow() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(1)
}

pub(crate) fn replace(path: &Path, text: &str) {
    let temporary = path.with_extension("tmp");
    std::io::Write::write_all(&mut std::fs::File::create(&temporary).unwrap(), text.as_bytes()).unwrap();
    std::fs::rename(temporary, path).unwrap();
}

pub(crate) struct World {
    pub(crate) agent: Agent,
    pub(crate) authority: Authority,
    pub(crate) port: u16,
    pub(crate) tls: PathBuf,
    _reserved: Port,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(roles: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("wharf test");
        let tls = folder.path().join("tls");
        std::fs::create_dir(&tls).unwrap();
        let reserved = Port::reserve().unwrap();
        let port = reserved.number();
        replace(&tls.join("ca.pem"), &authority.pem);
        install(&tls, &authority.server("m1"));
        replace(&tls.join("revoked.pem"), &authority.revoke(&[]));
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments = vec![
            "wharfd".to_owned(),
            format!("--host=tcp://127.0.0.1:{port}"),
            "--tlsverify".to_owned(),
            "--bridge=none".to_owned(),
        ];
        for (flag, file) in [
            ("tlscacert", "ca.pem"),
            ("tlscert", "server.pem"),
            ("tlskey", "server-key.pem"),
            ("tlscrl", "revoked.pem"),
        ] {
            arguments.push(format!("--{flag}={}", tls.join(file).display()));
        }
        arguments.extend([format!("--data-root={}", at("data")), format!("--exec-root={}", at("exec"))]);
        if roles {
            arguments.push("--tls-roles=m1".to_owned());
        }
        let config = Config::parse(arguments.into_iter().map(OsString::from)).unwrap();
        let agent = Agent::start(config).await.unwrap();
        Self { agent, authority, port, tls, _reserved: reserved, _folder: folder }
    }

    pub(crate) fn client(&self, leaf: &Leaf) -> Client {
        self.client_for(leaf, "m1", &self.authority.pem)
    }

    pub(crate) fn client_for(&self, leaf: &Leaf, machine: &str, authority: &str) -> Client {
        let credentials = Credentials {
            authority: authority.to_owned(),
            certificate: leaf.pem.clone(),
            key: leaf.key.clone(),
            machine: Some(machine.to_owned()),
        };
        Client::tcp("127.0.0.1", self.port, &credentials).unwrap()
    }
}

pub(crate) fn install(tls: &Path, server: &Leaf) {
    replace(&tls.join("server-key.pem"), &server.key);
    replace(&tls.join("server.pem"), &server.pem);
}
