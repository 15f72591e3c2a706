//! The reference is what the program says of itself, and the tables elsewhere say the same.

use std::collections::BTreeSet;

use wharf::describe::{VARIABLES, exit_codes};
use wharf_docs::{book, reference, root};

#[test]
fn the_reference_is_up_to_date() {
    for (path, text) in reference::pages() {
        let written = std::fs::read_to_string(book().join("src").join(&path)).unwrap_or_default();
        let differs = written.lines().zip(text.lines()).find(|(old, new)| old != new);
        assert!(
            written == text,
            "{}: `cargo run -p wharf-docs -- reference` makes it anew\nfirst difference: {differs:#?}",
            path.display()
        );
    }
}

#[test]
fn the_readmes_codes_are_the_programs() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for code in exit_codes() {
        let cells = format!("| {} | {} |", code.code, code.meaning);
        assert!(readme.contains(&cells), "README.md: {cells}");
    }
}

#[test]
fn the_variables_are_those_that_the_program_reads() {
    let mut read = BTreeSet::new();
    for file in crate::files(&root().join("cli/src")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for front in [".var(\"", "set(\"", ".as_ref(), \"", "path(None, \""] {
            let after = code.split(front).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
            read.extend(
                after.filter(|name| name.contains('_') || *name == name.to_uppercase()).map(str::to_owned),
            );
        }
        let constants = code.split(": &str = \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
        read.extend(constants.filter(|name| name.starts_with("WHARF_")).map(str::to_owned));
    }
    read.insert("PSModulePath".to_owned());
    let listed: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(read, listed);
    assert!(VARIABLES.is_sorted_by_key(|variable| variable.name));
}
