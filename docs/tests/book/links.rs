//! The book is built, and every link in it leads somewhere; so does every one of the pages beside the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;
use wharf_docs::page::Page;
use wharf_docs::{book, root};

/// What stands in quotes behind each `attribute=`.
fn values(html: &str, attribute: &str) -> Vec<String> {
    let front = format!(" {attribute}=\"");
    let after = html.split(&front).skip(1);
    after.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

fn html_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            html_files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "html") {
            found.push(path);
        }
    }
}

#[test]
fn the_book_is_built_and_every_link_in_it_leads_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = MDBook::load(book()).expect("the book is read");
    made.config.build.build_dir = folder.path().to_owned();
    made.build().expect("the book is built");
    let mut files = Vec::new();
    html_files(folder.path(), &mut files);
    let pages: BTreeMap<PathBuf, String> =
        files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect();
    let ids: BTreeMap<&PathBuf, BTreeSet<String>> =
        pages.iter().map(|(file, html)| (file, values(html, "id").into_iter().collect())).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    // The page of all pages and the one for wrong addresses hang elsewhere.
    for (file, html) in
        pages.iter().filter(|(file, _)| !file.ends_with("print.html") && !file.ends_with("404.html"))
    {
        for link in values(html, "href").into_iter().chain(values(html, "src")) {
            if link.contains("://") || link.starts_with("mailto:") || link.starts_with("data:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: {link} leads nowhere", file.display()));
                continue;
            };
            let known = ids.get(&target).is_some_and(|ids| ids.contains(anchor));
            if !anchor.is_empty() && !known {
                wrong.push(format!("{}: {link}: there is no such place", file.display()));
            }
        }
    }
    assert!(seen > 100, "the search found too little to be true: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_is_in_the_summary() {
    let listed: BTreeSet<String> = Page::read("docs/src/SUMMARY.md").links.into_iter().collect();
    let (mut folders, mut there) = (vec![book().join("src")], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("SUMMARY.md") {
                there.insert(path.strip_prefix(book().join("src")).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(listed, there);
}

#[test]
fn pages_beside_the_sources_link_to_what_is_there() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        for link in Page::read(page).links {
            if !link.contains("://") {
                let path = link.split('#').next().unwrap();
                assert!(root().join(path).exists(), "{page}: {link} leads nowhere");
            }
        }
    }
}
