//! What the crate's doc promises, read back with another parser's eyes where one is at hand.

use rcgen::{CertificateParams, KeyPair};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn authority() -> Authority {
    Authority::generate("store-1", NOW).unwrap()
}

fn request() -> String {
    CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn server() -> Server {
    Server { machine: "m-1".into(), names: vec!["10.1.2.3".parse().unwrap(), "web.example".parse().unwrap()] }
}

fn client(role: Role) -> Client {
    Client { name: "ann".into(), role, machine: None, valid: Duration::days(365) }
}

#[test]
fn an_authority_survives_being_kept() {
    let made = authority();
    let kept = Authority::load(made.certificate().pem(), made.key_pem()).unwrap();
    assert_eq!(kept.certificate(), made.certificate());
    assert!(kept.certificate().is_authority());
    assert_eq!(kept.certificate().not_before(), NOW - Duration::days(1));
}

#[test]
fn a_server_is_named_by_us_and_not_by_its_request() {
    let certificate = authority().sign_server(&request(), &server(), NOW).unwrap();
    assert_eq!(certificate.names(), server().names);
    assert_eq!(certificate.machine(), Some("m-1"));
    assert_eq!(certificate.usage(), Some(Usage::Server));
    assert_eq!(certificate.role(), None);
    assert!(!certificate.is_authority());
    assert_eq!(certificate.subject(), "wharf machine m-1");
    assert!(certificate.covers(&server().names));
    assert!(!certificate.covers(&["10.1.2.4".parse().unwrap()]));
}

#[test]
fn a_client_carries_its_role_and_its_machine() {
    let authority = authority();
    for role in [Role::Admin, Role::Operator, Role::Reader] {
        let one = Client { machine: Some("m-2".into()), ..client(role) };
        let leaf = authority.issue_client(&one, NOW).unwrap();
        assert_eq!(leaf.certificate.role(), Some(role));
        assert_eq!(leaf.certificate.machine(), Some("m-2"));
        assert_eq!(leaf.certificate.usage(), Some(Usage::Client));
        assert_eq!(Leaf::load(leaf.certificate.pem(), &leaf.key_pem).unwrap(), leaf);
    }
    assert_eq!(authority.issue_client(&client(Role::Admin), NOW).unwrap().certificate.machine(), None);
}

#[test]
fn names_and_serial_numbers_are_distinct() {
    let authority = authority();
    let leaf = authority.issue_client(&client(Role::Admin), NOW).unwrap().certificate;
    let server = authority.sign_server(&request(), &server(), NOW).unwrap();
    let subjects = [authority.certificate().subject(), leaf.subject(), server.subject()];
    assert_eq!(std::collections::BTreeSet::from(subjects).len(), 3);
    let serial = |pem: &str| {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        pem.parse_x509().unwrap().raw_serial_as_string()
    };
    let again = authority.issue_client(&client(Role::Admin), NOW).unwrap().certificate;
    assert_ne!(serial(leaf.pem()), serial(again.pem()));
}

#[test]
fn what_we_sign_verifies_and_what_another_signs_does_not() {
    let (ours, theirs) = (authority(), authority());
    let leaf = ours.issue_client(&client(Role::Admin), NOW).unwrap().certificate;
    let verified = |authority: &Authority| {
        let (_, issuer) = x509_parser::pem::parse_x509_pem(authority.certificate().pem().as_bytes()).unwrap();
        let (_, leaf) = x509_parser::pem::parse_x509_pem(leaf.pem().as_bytes()).unwrap();
        let issuer = issuer.parse_x509().unwrap();
        leaf.parse_x509().unwrap().verify_signature(Some(issuer.public_key())).is_ok()
    };
    assert!(verified(&ours));
    assert!(!verified(&theirs));
}

#[test]
fn renewal_is_due_once_a_third_is_used() {
    let certificate = authority().issue_client(&client(Role::Admin), NOW).unwrap().certificate;
    let third = certificate.not_before() + Duration::days(366) / 3;
    assert!(!certificate.needs_renewal(NOW));
    assert!(!certificate.needs_renewal(third - Duration::SECOND));
    assert!(certificate.needs_renewal(third));
    assert!(certificate.needs_renewal(certificate.not_after() + Duration::days(1)));
    assert!(!certificate.is_expired(certificate.not_after() - Duration::SECOND));
    assert!(certificate.is_expired(certificate.not_after()));
}

#[test]
fn nothing_outlives_the_authority() {
    let authority = authority();
    let end = authority.certificate().not_after();
    let late = authority.issue_client(&client(Role::Admin), end - Duration::days(10)).unwrap();
    assert_eq!(late.certificate.not_after(), end);
    assert!(matches!(authority.issue_client(&client(Role::Admin), end), Err(Error::Expired { .. })));
}

#[test]
fn damage_is_told_by_name() {
    let authority = authority();
    let cut = &authority.certificate().pem()[..200];
    let load = |certificate: &str, key: &str| Authority::load(certificate, &Secret::new(key.to_owned()));
    let said = |result: Result<Authority, Error>| result.unwrap_err().to_string();
    let key = authority.key_pem().expose();
    assert!(said(load(cut, key)).starts_with("the authority's certificate is damaged"));
    assert!(said(load("", key)).starts_with("the authority's certificate is damaged"));
    assert!(
        said(load(authority.certificate().pem(), "nonsense")).starts_with("the authority's key is damaged")
    );
    let other = self::authority();
    assert!(matches!(load(other.certificate().pem(), key), Err(Error::Misfit)));
    let leaf = authority.issue_client(&client(Role::Admin), NOW).unwrap();
    let not_one = load(leaf.certificate.pem(), leaf.key_pem.expose());
    assert!(matches!(not_one, Err(Error::NotAnAuthority { .. })));
    let request = authority.sign_server("-----BEGIN X-----", &server(), NOW);
    assert!(matches!(request, Err(Error::Damaged { what: "request", .. })));
    assert!(Leaf::load(leaf.certificate.pem(), authority.key_pem()).is_err());
}

#[test]
fn a_request_signed_by_another_key_is_refused() {
    let mut der = {
        let request = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        request.der().to_vec()
    };
    let last = der.len() - 1;
    der[last] ^= 1;
    let body = base64_lines(&der);
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n");
    assert!(matches!(authority().sign_server(&pem, &server(), NOW), Err(Error::Damaged { .. })));
}

#[test]
fn odd_identities_are_refused() {
    assert!(matches!(Authority::generate("a b", NOW), Err(Error::Identity(_))));
    let odd = Server { machine: "x:role:admin".into(), names: vec![] };
    assert!(matches!(authority().sign_server(&request(), &odd, NOW), Err(Error::Identity(_))));
}

#[test]
fn keys_are_not_printed() {
    let authority = authority();
    let shown = format!("{authority:?} {:?}", authority.issue_client(&client(Role::Admin), NOW).unwrap());
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

fn base64_lines(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for (index, chunk) in bytes.chunks(3).enumerate() {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let sextet = usize::try_from(word >> (18 - 6 * position) & 63).unwrap();
            out.push(if position <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
        if index % 16 == 15 {
            out.push('\n');
        }
    }
    out + "\n"
}

#[test]
fn a_list_names_exactly_those_that_were_taken_back() {
    use x509_parser::prelude::{CertificateRevocationList, FromDer as _};
    let authority = authority();
    let issue = || authority.issue_client(&client(Role::Reader), NOW).unwrap().certificate;
    let (bob, ci) = (issue(), issue());
    assert_ne!(bob.serial(), ci.serial());
    let of = |number, certificates: &[&Certificate]| Revocations {
        number,
        revoked: certificates
            .iter()
            .map(|one| Revoked { serial: one.serial().to_owned(), since: NOW })
            .collect(),
    };
    let text = authority.revoke(&of(7, &[&bob]), NOW).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&pem.contents).unwrap();
    let named: Vec<_> = list.iter_revoked_certificates().map(|one| hex::encode(one.raw_serial())).collect();
    assert_eq!(named, [bob.serial()]);
    assert_eq!(list.crl_number().unwrap(), &7_u32.into());

    assert!(of(7, &[&bob]).stand_in(&text));
    assert!(!of(8, &[&bob, &ci]).stand_in(&text));
    assert!(!of(7, &[&bob]).stand_in("") && !of(7, &[&bob]).stand_in("no list"));
    assert!(Revocations::default().stand_in(""), "where nothing was ever taken back, no list is needed");

    let mut garbage = of(9, &[&bob]);
    garbage.revoked[0].serial = "no number".into();
    assert!(matches!(authority.revoke(&garbage, NOW), Err(Error::Damaged { .. })));
}

#[test]
fn an_intermediate_signs_clients_as_limited_as_itself() {
    let authority = authority();
    let limits = Client { machine: Some("m-2".into()), valid: Duration::days(30), ..client(Role::Operator) };
    let made = authority.issue_intermediate(&limits, NOW).unwrap();
    let kept = Intermediate::load(made.certificate().pem(), made.key_pem()).unwrap();
    assert!(kept.certificate().is_signed_by(authority.certificate()));
    assert!(!kept.certificate().is_signed_by(self::authority().certificate()), "another one's");
    let leaf = kept.issue_client("bob-laptop", Duration::days(365), NOW).unwrap();
    assert_eq!(leaf.certificate.role(), Some(Role::Operator));
    assert_eq!(leaf.certificate.machine(), Some("m-2"));
    assert_eq!(leaf.certificate.usage(), Some(Usage::Client));
    assert_eq!(leaf.certificate.not_after(), kept.certificate().not_after(), "it ends with its issuer");
    assert!(leaf.certificate.is_signed_by(kept.certificate()));
    assert_eq!(leaf.certificate.pem().matches("BEGIN CERTIFICATE").count(), 2, "clients show both");
    assert_eq!(Leaf::load(leaf.certificate.pem(), &leaf.key_pem).unwrap(), leaf);
    assert!(matches!(
        kept.issue_client("bob", Duration::HOUR, NOW + Duration::days(31)),
        Err(Error::Expired { .. })
    ));
}

#[test]
fn only_an_intermediate_is_taken_for_one() {
    let authority = authority();
    let leaf = authority.issue_client(&client(Role::Operator), NOW).unwrap();
    let (root, key) = (authority.certificate().pem(), authority.key_pem());
    for (pem, key) in [(root, key), (leaf.certificate.pem(), &leaf.key_pem)] {
        assert!(matches!(Intermediate::load(pem, key), Err(Error::NotAnAuthority { .. })));
    }
    let made = authority.issue_intermediate(&client(Role::Reader), NOW).unwrap();
    assert!(matches!(Intermediate::load(made.certificate().pem(), key), Err(Error::Damaged { .. })));
}

#[test]
fn a_signature_is_good_for_one_text_of_one_kind_by_one_authority() {
    let (ours, other) = (authority(), authority());
    let signature = ours.sign("list", "ann, bob").unwrap();
    assert!(ours.certificate().vouches_for("list", "ann, bob", &signature));
    for (who, kind, text) in
        [(&ours, "list", "ann, eve"), (&ours, "note", "ann, bob"), (&other, "list", "ann, bob")]
    {
        assert!(!who.certificate().vouches_for(kind, text, &signature), "{kind} {text}");
    }
    for broken in ["", "zz", &signature[2..], &signature.replace('0', "1")] {
        assert!(!ours.certificate().vouches_for("list", "ann, bob", broken), "{broken}");
    }
}

/// What a TLS library says of a chain that a client shows.
fn lets_in(authority: &Authority, chain: &str, now: OffsetDateTime) -> Result<(), rustls::Error> {
    use rustls::server::WebPkiClientVerifier;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, UnixTime};
    let of = |pem: &str| -> Vec<_> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(of(authority.certificate().pem()).remove(0)).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let (chain, now) = (of(chain), u64::try_from(now.unix_timestamp()).unwrap());
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
    verifier.verify_client_cert(&chain[0], &chain[1..], now).map(drop)
}

#[test]
fn a_tls_library_lets_an_intermediates_clients_in_and_nobody_below_them() {
    let authority = authority();
    let limits = Client { valid: Duration::days(30), ..client(Role::Operator) };
    let above = authority.issue_intermediate(&limits, NOW).unwrap();
    let leaf = above.issue_client("bob-laptop", Duration::days(7), NOW).unwrap();
    lets_in(&authority, leaf.certificate.pem(), NOW).unwrap();
    assert!(lets_in(&self::authority(), leaf.certificate.pem(), NOW).is_err(), "another authority");
    assert!(lets_in(&authority, leaf.certificate.pem(), NOW + Duration::days(8)).is_err(), "it has ended");
    // Without the library's limits: whoever holds the key may try anything.
    let (key, params) = (authority::key_pair().unwrap(), CertificateParams::default());
    let holder = rcgen::Issuer::from_ca_cert_pem(
        above.certificate().pem(),
        KeyPair::from_pem(above.key_pem().expose()).unwrap(),
    )
    .unwrap();
    let mut below = params.clone();
    below.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let second = below.signed_by(&key, &holder).unwrap().pem();
    let under = rcgen::Issuer::from_ca_cert_pem(&second, key).unwrap();
    let mut forged = params;
    forged.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = forged.signed_by(&KeyPair::generate().unwrap(), &under).unwrap().pem();
    let chain = format!("{leaf}{second}{}", above.certificate().pem());
    assert!(lets_in(&authority, &chain, NOW).is_err(), "an authority below an intermediate");
}
