//! What needs no container: credentials, labels.

use super::*;

#[test]
fn credentials_are_found_by_the_registry_that_is_asked() {
    let named = |username: &str| Credentials { username: username.to_owned(), ..Credentials::default() };
    let credentials = [("https://index.docker.io/v1/", named("hub")), ("reg:5000", named("own"))];
    let credentials = credentials.map(|(address, credentials)| (address.to_owned(), credentials)).into();
    let wish = Wish { credentials, ..Wish::default() };
    let user = |name: &str| wish.credentials_for(&name.parse().unwrap()).username;
    assert_eq!(
        (user("busybox"), user("reg:5000/a"), user("other/a/b")),
        ("hub".into(), "own".into(), "hub".into())
    );
    assert_eq!(user("other.example/a"), "");
}

#[test]
fn labels_are_steps_in_which_nothing_is_replaced() {
    let mut stages = dockerfile::stages(&dockerfile::read(b"FROM a").unwrap()).unwrap();
    add_labels(&mut stages, &[("a".to_owned(), "$it's".to_owned())].into());
    let command = &stages.stages[0].commands[0];
    let Instruction::Label(pairs) = &command.instruction else { panic!() };
    assert_eq!(dockerfile::expand::word(&pairs[0].1, '\\', &|_| None).unwrap(), "$it's");
    assert_eq!((command.text.as_str(), stages.steps()), ("LABEL a=$it's", 2));
}
