//! Keys, lists and files of recipients: what is read, what is refused, and who opens what, whoever is on the list.

use proptest::prelude::*;
use time::OffsetDateTime;
use wharf_driver::Secret;
use wharf_pki::Authority;

use super::identity::Identity;
use super::recipient::{PublicKey, Recipient, RecipientRole};
use super::roster::{Known, Roster};
use super::sealed::{is_sealed, marked, open, seal};
use crate::store::Subject;
use crate::{Error, Kind};

const ROLES: [RecipientRole; 4] =
    [RecipientRole::Admin, RecipientRole::Operator, RecipientRole::Reader, RecipientRole::Job];

/// A key of its kind: of age's or of OpenSSH's.
fn person(ssh: bool) -> (Identity, PublicKey) {
    use age::secrecy::ExposeSecret as _;
    let (secret, public) = if ssh {
        let pair = wharf_ssh::KeyPair::generate("somebody@laptop").unwrap();
        (pair.private().to_owned(), pair.public().to_owned())
    } else {
        let key = age::x25519::Identity::generate();
        (key.to_string().expose_secret().to_owned(), key.to_public().to_string())
    };
    (Identity::read("key", &Secret::new(secret)).unwrap(), public.parse().unwrap())
}

fn authority() -> Authority {
    Authority::generate("store", OffsetDateTime::now_utc()).unwrap()
}

fn recipient(at: usize, role: RecipientRole, key: &PublicKey) -> Recipient {
    Recipient { name: format!("one-{at}"), role, key: key.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn those_whose_role_opens_it_open_it_and_nobody_else(
        team in prop::collection::vec((0..4_usize, any::<bool>()), 1..6),
        text in "\\PC{0,2000}",
        machine in any::<bool>(),
    ) {
        let subject = if machine { Subject::Machine("web".parse().unwrap()) } else { Subject::Authority };
        let people: Vec<_> = team.iter().map(|(role, ssh)| (ROLES[*role], person(*ssh))).collect();
        let list = people.iter().enumerate().map(|(at, (role, (_, key)))| recipient(at, *role, key));
        let roster = Roster::new(list.collect());
        prop_assume!(!roster.openers(&subject).is_empty());
        let secret = Secret::new(text);
        let sealed = seal(&secret, &roster.openers(&subject)).unwrap();
        prop_assert!(is_sealed(&sealed) && marked(&sealed) == roster.mark(&subject));
        for (role, (identity, key)) in &people {
            let opened = open(&sealed, identity.open(None).unwrap()).unwrap();
            prop_assert_eq!(opened.as_ref() == Some(&secret), role.opens(&subject));
            prop_assert!(identity.is(key));
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_signed_and_in_no_other_form(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (ours, (_, key)) = (authority(), person(false));
        let list = Roster::new(vec![recipient(0, RecipientRole::Admin, &key)]);
        let mut bytes = list.signed(&ours).unwrap();
        prop_assert_eq!(&Roster::read(&bytes, ours.certificate()).unwrap(), &list);
        prop_assert!(Roster::read(&bytes, authority().certificate()).is_err(), "another authority's");
        let at = at.index(bytes.len());
        let before = std::mem::replace(&mut bytes[at], to);
        // What is changed is refused, or was blank space.
        match Roster::read(&bytes, ours.certificate()) {
            Ok(read) => prop_assert!(before == to || read == list),
            Err(error) => prop_assert_eq!(error.kind(), Kind::Refused),
        }
    }

    #[test]
    fn no_text_is_a_key_by_accident(text in "\\PC{0,200}") {
        if let Ok(key) = text.parse::<PublicKey>() {
            prop_assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        }
        let _ = Identity::read("text", &Secret::new(text));
    }
}

#[test]
fn a_list_that_is_older_or_another_authoritys_is_refused() {
    let (ours, other, (_, key)) = (authority(), authority(), person(true));
    let mut list = Roster::new(vec![recipient(0, RecipientRole::Admin, &key)]);
    list.number = 7;
    let known = |number| Known { authority: ours.certificate().fingerprint().to_owned(), list: number };
    for number in [0, 6, 7] {
        known(number).check(ours.certificate(), Some(&list)).unwrap();
    }
    for (seen, list, what) in [(8, Some(&list), "older than one"), (7, None, "is gone")] {
        let refused = known(seen).check(ours.certificate(), list).unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
    known(0).check(ours.certificate(), None).unwrap();
    let refused = known(7).check(other.certificate(), Some(&list)).unwrap_err();
    assert!(refused.to_string().contains("another certificate authority"), "{refused}");
}

#[test]
fn a_file_that_was_cut_or_changed_is_damaged_and_one_for_others_is_not() {
    let ((mine, key), (other, _)) = (person(false), person(true));
    let sealed = seal(&Secret::new("secret".to_owned()), &[&key]).unwrap();
    assert_eq!(open(&sealed, other.open(None).unwrap()).unwrap(), None);
    let mine = mine.open(None).unwrap();
    for end in [sealed.find('\n').unwrap(), sealed.len() / 2, sealed.len() - 40] {
        assert!(open(&sealed[..end], mine).is_err(), "cut at {end}");
    }
    let other_mark = sealed.replacen(marked(&sealed), &"0".repeat(32), 1);
    assert!(
        open(&other_mark, mine).unwrap().is_some(),
        "the line above protects nothing, and spoils nothing"
    );
}

#[test]
fn keys_are_read_in_every_spelling_and_mistakes_are_named() {
    let (_, age) = person(false);
    let pair = wharf_ssh::KeyPair::generate("ann@laptop").unwrap();
    let bare = pair.public().rsplit_once(' ').unwrap().0.to_owned();
    for text in [pair.public().to_owned(), bare.clone(), format!("# ann's\n\n  {bare}\n")] {
        assert_eq!(text.parse::<PublicKey>().unwrap().to_string(), bare);
    }
    assert_eq!(PublicKey::comment(pair.public()), Some("ann@laptop"));
    assert_eq!(PublicKey::comment(&bare), None);
    assert_eq!(PublicKey::comment(&age.to_string()), None);
    let refused = |text: &str| -> Error { text.parse::<PublicKey>().unwrap_err() };
    for (text, what) in [
        (pair.private(), "private key"),
        ("AGE-SECRET-KEY-1QQ", "private key"),
        ("", "one key"),
        (&format!("{bare}\n{age}"), "one key"),
        ("age1xyz", "public key"),
        ("ssh-ed25519 AAAA", "none of age's and none of OpenSSH's"),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHFliOyIZs1gxGF3fmDxFykQhE88wy6AKDGFBfn0R6ZuvRmENABZQa9+pj9hMki+LX0qDJbmHTiWDbYv/cmFt/Q=",
            "keys of type `ecdsa-sha2-nistp256`",
        ),
    ] {
        let error = refused(text);
        assert!(error.to_string().contains(what), "{text}: {error}");
        assert!(error.advice().is_some());
    }
}

#[test]
fn a_locked_identity_needs_its_passphrase_and_says_so() {
    let pair = wharf_ssh::KeyPair::generate("ann").unwrap();
    let text = Secret::new(pair.encrypted("right").unwrap());
    let key: PublicKey = pair.public().parse().unwrap();
    let sealed = seal(&Secret::new("secret".to_owned()), &[&key]).unwrap();
    let identity = || Identity::read("~/key", &text).unwrap();
    assert!(identity().is(&key), "whose it is stands in the open");
    let passphrase = |text: &str| Secret::new(text.to_owned());
    let right = identity();
    let opened = right.open(Some(&passphrase("right"))).unwrap();
    assert!(open(&sealed, opened).unwrap().is_some());
    for (given, what) in [(None, "there is none"), (Some(passphrase("wrong")), "is wrong")] {
        let wrong = identity();
        let refused = wrong.open(given.as_ref()).err().unwrap();
        assert_eq!(refused.kind(), Kind::NotAllowed);
        assert!(refused.to_string().contains(what) && refused.to_string().contains("~/key"), "{refused}");
    }
}
