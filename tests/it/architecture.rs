//! The direction of dependency between our packages, and the form every file keeps, checked against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each package may depend on, ours only. Tests may use more: these are the dependencies that ship.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "wharf",
        &[
            "wharf-core",
            "wharf-fleet",
            "wharf-objects",
            "wharf-driver",
            "wharf-driver-ssh",
            "wharf-driver-none",
            "wharf-driver-local",
            "wharf-driver-azure",
            "wharf-driver-aws",
            "wharf-ssh",
        ],
    ),
    ("wharf-core", &["wharf-driver", "wharf-bootstrap", "wharf-ssh", "wharf-pki", "wharfd-client"]),
    ("wharf-fleet", &["wharf-driver"]),
    ("wharf-objects", &["wharf-core", "wharf-driver"]),
    ("wharf-driver", &[]),
    ("wharf-driver-ssh", &["wharf-driver"]),
    ("wharf-driver-none", &["wharf-driver"]),
    ("wharf-driver-local", &["wharf-driver", "wharfd-client"]),
    ("wharf-arm", &["wharf-driver"]),
    ("wharf-driver-azure", &["wharf-driver", "wharf-arm"]),
    ("wharf-driver-aws", &["wharf-driver"]),
    ("wharf-testkit", &["wharf-driver", "wharf-core"]),
    ("wharf-test-ports", &[]),
    ("wharf-sim", &["wharf-test-ports"]),
    ("wharf-ec2-sim", &["wharf-sim"]),
    ("wharf-bootstrap", &["wharf-ssh", "wharf-pki", "wharfd-client"]),
    ("wharf-ssh", &[]),
    ("wharf-pki", &[]),
    ("wharfd", &["wharfd-api-types"]),
    ("wharfd-api-types", &[]),
    ("wharfd-client", &["wharfd-api-types"]),
    ("wharf-tests", &["wharf-ssh", "wharf-sim", "wharf-ec2-sim"]),
    (
        "wharf-docs",
        &[
            "wharf",
            "wharf-driver",
            "wharf-driver-azure",
            "wharf-driver-aws",
            "wharf-sim",
            "wharf-ec2-sim",
            "wharf-tests",
        ],
    ),
];

/// Packages that may stand in nothing that ships, and why.
const BANNED: &[(&str, &str, &str)] = &[
    ("wharfd", "aws-lc-rs", "the agent's tree has one TLS provider, ring"),
    ("wharfd", "openssl-sys", "the agent is one static executable"),
    ("wharfd", "aws-sdk-ec2", "hours of building that the agent does not need"),
    ("wharf-core", "clap", "only the CLI's edge knows arguments"),
    ("wharf-core", "indicatif", "only the CLI draws"),
    ("wharf-core", "object_store", "the store is a seam"),
    ("wharf-objects", "aws-lc-rs", "the CLI's tree has one TLS provider, ring"),
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().expect("cargo metadata")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder has a parent").to_owned()
}

fn shipped(package: &Package) -> impl Iterator<Item = String> + '_ {
    let kinds = [DependencyKind::Normal, DependencyKind::Build];
    package.dependencies.iter().filter(move |d| kinds.contains(&d.kind)).map(|d| d.name.clone())
}

#[test]
fn packages_depend_only_downwards() {
    let metadata = metadata();
    let ours: BTreeMap<_, _> =
        metadata.workspace_packages().into_iter().map(|p| (p.name.to_string(), p)).collect();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, package) in &ours {
        let Some(allowed) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is new: say in this test what it may depend on"));
            continue;
        };
        let used = shipped(package).filter(|d| ours.contains_key(d));
        wrong.extend(
            used.filter(|d| !allowed.contains(&d.as_str())).map(|d| format!("{name} must not depend on {d}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_ships_what_is_banned() {
    let metadata = metadata();
    let graph = metadata.resolve.as_ref().expect("a resolved graph");
    let edges: BTreeMap<_, Vec<_>> = graph
        .nodes
        .iter()
        .map(|node| {
            let shipped = node
                .deps
                .iter()
                .filter(|d| d.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development));
            (&node.id, shipped.map(|d| &d.pkg).collect())
        })
        .collect();
    for (package, banned, why) in BANNED {
        let named = |name: &'static str| metadata.packages.iter().filter(move |p| p.name.as_str() == name);
        let start = named(package).next().unwrap_or_else(|| panic!("{package} is gone: mend this test"));
        let mut seen = BTreeSet::new();
        let mut next = vec![&start.id];
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(edges.get(id).into_iter().flatten().copied());
            }
        }
        assert!(named(banned).all(|p| !seen.contains(&p.id)), "{package} must not contain {banned}: {why}");
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = ["cli", "drivers", "bootstrap", "runtime-agent", "tests", "docs"]
        .iter()
        .map(|f| root().join(f))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path.strip_prefix(root()).expect("inside").display().to_string(), text));
            }
        }
    }
    assert!(found.len() > 30, "the walk found too little to be true: {}", found.len());
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.trim_start().starts_with("//!")).collect();
    let silent: Vec<_> = silent.iter().map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these files open without a //! page: {silent:#?}");
}

#[test]
fn unsafe_code_stands_in_one_module() {
    // Assembled here, so that this file is not found.
    let word = ["allow(unsafe", "_code"].concat();
    let expected = ["expect(\n    unsafe", "_code"].concat();
    let short = ["expect(unsafe", "_code"].concat();
    let mut files: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| [&word, &expected, &short].iter().any(|w| text.contains(w.as_str())))
        .map(|(path, _)| path)
        .collect();
    files.retain(|path| {
        path != "runtime-agent/src/runtime/sys.rs" && path != "runtime-agent/src/runtime/mod.rs"
    });
    assert!(files.is_empty(), "unsafe code outside the agent's one module: {files:#?}");
}

#[test]
fn the_agents_layers_look_only_downwards() {
    let forbidden: &[(&str, &[&str])] = &[
        ("runtime-agent/src/engine/", &["crate::api", "axum::", "hyper::"]),
        ("runtime-agent/src/runtime/", &["crate::api", "crate::engine", "axum::", "hyper::"]),
        ("runtime-agent/src/net/", &["crate::api", "crate::engine", "axum::", "hyper::"]),
        ("runtime-agent/src/store/", &["crate::api", "crate::engine", "axum::", "hyper::"]),
        ("runtime-agent/src/registry/", &["crate::api", "crate::engine", "axum::"]),
    ];
    let sources = sources();
    let mut wrong = Vec::new();
    for (folder, words) in forbidden {
        for (path, text) in sources.iter().filter(|(path, _)| path.starts_with(folder)) {
            wrong.extend(words.iter().filter(|w| text.contains(*w)).map(|w| format!("{path} uses {w}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
