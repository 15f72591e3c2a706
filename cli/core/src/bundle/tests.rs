//! What is in a bundle comes out again, and nothing else does.

use age::secrecy::ExposeSecret as _;
use proptest::prelude::*;

use super::*;
use crate::journal::Event;

fn machine(name: &str) -> (MachineName, BundledMachine) {
    let entry = Entry { number: 1, at: 1, fence: 1, event: Event::Purging };
    let mut machine = BundledMachine::of(&[entry]).unwrap();
    machine.files.insert(SIGN_IN.file.to_owned(), Secret::new(name.as_bytes().to_vec()));
    (name.parse().unwrap(), machine)
}

fn bundle() -> Bundle {
    Bundle { store: StoreId("0123456789abcdef".to_owned()), machines: ["web-1", "web-2"].map(machine).into() }
}

fn somebody() -> (Opener, PublicKey) {
    let key = age::x25519::Identity::generate();
    let text = Secret::new(key.to_string().expose_secret().to_owned());
    let opener = Opener { identity: Some(Identity::read("key", &text).unwrap()), passphrase: None };
    (opener, key.to_public().to_string().parse().unwrap())
}

/// An archive of these entries, whose names go in as they stand.
fn archive(entries: &[(&str, tar::EntryType)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, HEADER, br#"{"version":1,"store":"s"}"#).unwrap();
    for (path, kind) in entries {
        let mut header = tar::Header::new_gnu();
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(1);
        header.set_entry_type(*kind);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append(&header, b"x".as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn whoever_it_is_for_opens_it_and_nobody_else() {
    let ((ann, key), (eve, _)) = (somebody(), somebody());
    let bytes = bundle().lock(&Lock::Recipients(vec![key])).unwrap();
    assert_eq!(Bundle::open(&bytes, &ann).unwrap(), bundle());
    for (opener, because) in
        [(eve, "not encrypted to this identity"), (Opener::default(), "no identity is named")]
    {
        let refused = Bundle::open(&bytes, &opener).unwrap_err();
        assert_eq!(refused.kind(), Kind::NotAllowed);
        assert!(refused.to_string().contains(because), "{refused}");
    }
    let with = |text: &str| Opener { identity: None, passphrase: Some(Secret::new(text.to_owned())) };
    let bytes = bundle().lock(&Lock::Passphrase(Secret::new("right".to_owned()))).unwrap();
    assert_eq!(Bundle::open(&bytes, &with("right")).unwrap(), bundle());
    // However fast or busy the computer is that made it.
    let head = String::from_utf8_lossy(&bytes[..100]).into_owned();
    assert!(head.lines().nth(1).is_some_and(|stanza| stanza.ends_with(" 18")), "{head}");
    for (opener, because) in
        [(with("wrong"), "the passphrase is wrong"), (Opener::default(), "there is none")]
    {
        let refused = Bundle::open(&bytes, &opener).unwrap_err();
        assert!(refused.to_string().contains(because), "{refused}");
    }
}

#[test]
fn what_was_changed_or_cut_on_the_way_is_refused() {
    let (ann, key) = somebody();
    let bytes = bundle().lock(&Lock::Recipients(vec![key])).unwrap();
    for end in (0..bytes.len()).step_by(97) {
        Bundle::open(&bytes[..end], &ann).unwrap_err();
    }
    for at in (0..bytes.len()).step_by(41) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        Bundle::open(&changed, &ann).unwrap_err();
    }
    Bundle::open(b"PK\x03\x04 not one of ours", &ann).unwrap_err();
}

#[test]
fn paths_that_belong_nowhere_are_refused_whatever_they_are() {
    let file = tar::EntryType::Regular;
    Bundle::unpack(&archive(&[("machines/web/keys/id_ed25519", file)])).unwrap();
    for path in [
        "/etc/passwd",
        "../x",
        "machines/../../x",
        "machines/web/../x",
        "machines/../keys/id_ed25519",
        "machines/web/keys/../../../x",
        "machines//keys/id_ed25519",
        "machines/web//keys/id_ed25519",
        "./machines/web/journal.jsonl",
        "machines/web/keys/id_ed25519/",
        "machines/web/driver/disk",
        "machines/web/cert.pem",
        "machines/we b/journal.jsonl",
        "bundle.json",
        "authority/ca-key.pem",
    ] {
        let refused = Bundle::unpack(&archive(&[(path, file)])).unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused, "{path}");
        assert!(refused.to_string().contains("no bundle"), "{path}: {refused}");
    }
    for kind in
        [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Fifo]
    {
        let refused = Bundle::unpack(&archive(&[("machines/web/keys/id_ed25519", kind)])).unwrap_err();
        assert!(refused.to_string().contains("no plain file"), "{kind:?}: {refused}");
    }
    let twice = [("machines/web/keys/id_ed25519", file); 2];
    assert!(Bundle::unpack(&archive(&twice)).unwrap_err().to_string().contains("twice"));
}

#[test]
fn one_of_tomorrow_says_so() {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, HEADER, br#"{"version":2,"store":"s","more":true}"#).unwrap();
    let refused = Bundle::unpack(&archive.into_inner().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("version 2"), "{refused}");
    assert!(Bundle::unpack(&[0; 1024]).unwrap_err().to_string().contains("does not say what it is"));
}

proptest! {
    #[test]
    fn no_bytes_are_unpacked_to_anything_but_known_files(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = Bundle::unpack(&bytes);
    }

    #[test]
    fn no_other_path_has_a_place(path in "[a-z./\\\\]{0,40}") {
        if let Some((name, file)) = place(&path) {
            let whole = format!("{MACHINES}/{name}/{file}");
            prop_assert_eq!(&whole, &path);
            prop_assert!(file == JOURNAL || files().iter().any(|known| known == file));
        }
    }
}
