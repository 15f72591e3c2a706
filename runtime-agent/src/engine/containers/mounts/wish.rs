//! The client's spellings of mounts: `Binds`, `Mounts`, `Tmpfs` and the image's `Volumes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wharfd_api_types::container::{ContainerConfig, HostConfig, MountRequest, TmpfsOptions};

use super::clean;
use crate::engine::error::{Error, Result};

/// One mount as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) source: Source,
    pub(crate) destination: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) mode: String,
    pub(crate) propagation: String,
    pub(crate) not_recursive: bool,
    /// Only the top of a read-only bind is.
    pub(crate) read_only_at_top: bool,
}

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Path { path: PathBuf, make: bool },
    Volume { name: Option<String>, copy: bool, labels: BTreeMap<String, String>, subpath: String },
    Tmpfs { options: Vec<String> },
    Image { name: String, subpath: String },
}

/// Everything a container is to have mounted, each destination once.
pub(crate) fn wishes(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for bind in host.binds.iter().flatten() {
        wishes.push(parse_bind(bind)?);
    }
    for mount in host.mounts.iter().flatten() {
        wishes.push(parse_mount(mount)?);
    }
    for (destination, options) in host.tmpfs.iter().flatten() {
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        let destination = destination_of(destination, destination)?;
        wishes.push(Wish::at(destination, Source::Tmpfs { options }));
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = wishes.iter().find(|wish| !seen.insert(wish.destination.clone())) {
        return Err(Error::invalid(format!("Duplicate mount point: {}", twice.destination.display())));
    }
    for destination in config.volumes.iter().flat_map(BTreeMap::keys) {
        let destination = destination_of(destination, destination)?;
        if seen.insert(destination.clone()) {
            wishes.push(Wish::at(destination, anonymous()));
        }
    }
    Ok(wishes)
}

impl Wish {
    fn at(destination: PathBuf, source: Source) -> Self {
        Self {
            source,
            destination,
            read_only: false,
            mode: String::new(),
            propagation: String::new(),
            not_recursive: false,
            read_only_at_top: false,
        }
    }
}

const fn anonymous() -> Source {
    Source::Volume { name: None, copy: true, labels: BTreeMap::new(), subpath: String::new() }
}

fn parse_bind(text: &str) -> Result<Wish> {
    let invalid = || Error::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<_> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] => (None, destination, ""),
        [source, destination] => (Some(source), destination, ""),
        [source, destination, mode] => (Some(source), destination, mode),
        _ => return Err(invalid()),
    };
    let destination = destination_of(destination, text)?;
    let source = match source {
        None => anonymous(),
        Some("") => return Err(invalid()),
        Some(path) if path.starts_with('/') => {
            Source::Path { path: clean(path).ok_or_else(invalid)?, make: true }
        }
        Some(name) if is_volume_name(name) => Source::Volume {
            name: Some(name.to_owned()),
            copy: true,
            labels: BTreeMap::new(),
            subpath: String::new(),
        },
        Some(name) if name.len() == 1 => {
            return Err(Error::invalid(format!(
                "create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )));
        }
        Some(name) => {
            return Err(Error::invalid(format!(
                "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
                 \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )));
        }
    };
    // What dockerd shows for a volume without options.
    let named = matches!(&source, Source::Volume { name: Some(_), .. });
    let shown = if mode.is_empty() && named { "z" } else { mode };
    let mut wish = Wish { mode: shown.to_owned(), ..Wish::at(destination, source) };
    for option in mode.split(',').filter(|option| !option.is_empty()) {
        apply(&mut wish, option).ok_or_else(|| Error::invalid(format!("invalid mode: {mode}")))?;
    }
    Ok(wish)
}

fn apply(wish: &mut Wish, option: &str) -> Option<()> {
    match option {
        "ro" => wish.read_only = true,
        // SELinux labels mean nothing without SELinux, and the rest is for other platforms.
        "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" | "default" => {}
        "nocopy" => match &mut wish.source {
            Source::Volume { copy, .. } => *copy = false,
            _ => return None,
        },
        "copy" => {}
        propagation if is_propagation(propagation) => propagation.clone_into(&mut wish.propagation),
        _ => return None,
    }
    Some(())
}

fn parse_mount(mount: &MountRequest) -> Result<Wish> {
    let refuse =
        |why: String| Error::invalid(format!("invalid mount config for type \"{}\": {why}", mount.kind));
    let extra = |name: &str| refuse(format!("field {name} must not be specified"));
    if mount.target.is_empty() {
        return Err(refuse("field Target must not be empty".to_owned()));
    }
    let destination = destination_of(&mount.target, &mount.target).map_err(|e| refuse(e.to_string()))?;
    let options = [
        ("BindOptions", "bind", mount.bind_options.is_some()),
        ("VolumeOptions", "volume", mount.volume_options.is_some()),
        ("TmpfsOptions", "tmpfs", mount.tmpfs_options.is_some()),
        ("ImageOptions", "image", mount.image_options.is_some()),
    ];
    if let Some((field, ..)) = options.iter().find(|(_, kind, set)| *set && *kind != mount.kind) {
        return Err(extra(field));
    }
    let mut wish = match mount.kind.as_str() {
        "bind" => bind_mount(mount, destination, &refuse)?,
        "volume" => volume_mount(mount, destination, &refuse)?,
        "tmpfs" if !mount.source.is_empty() => return Err(extra("Source")),
        "tmpfs" => Wish::at(
            destination,
            Source::Tmpfs { options: mount.tmpfs_options.as_ref().map(tmpfs_options).unwrap_or_default() },
        ),
        "image" => image_mount(mount, destination, &refuse)?,
        "npipe" | "cluster" => {
            return Err(Error::unimplemented(format!("mounts of type {} are not supported", mount.kind)));
        }
        "" => return Err(Error::invalid("mount type unknown: \"\"")),
        other => return Err(Error::invalid(format!("mount type unknown: \"{other}\""))),
    };
    wish.read_only = mount.read_only;
    Ok(wish)
}

fn bind_mount(mount: &MountRequest, destination: PathBuf, refuse: &dyn Fn(String) -> Error) -> Result<Wish> {
    if mount.source.is_empty() {
        return Err(refuse("field Source must not be empty".to_owned()));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    if !options.propagation.is_empty() && !is_propagation(&options.propagation) {
        return Err(refuse(format!("invalid propagation mode: {}", options.propagation)));
    }
    let needs = |what: &str| refuse(format!("option ReadOnlyForceRecursive {what}"));
    if options.read_only_force_recursive {
        match () {
            () if !mount.read_only => return Err(needs("requires ReadOnly to be specified")),
            () if options.non_recursive => return Err(needs("conflicts with NonRecursive")),
            () if options.read_only_non_recursive => {
                return Err(needs("conflicts with ReadOnlyNonRecursive"));
            }
            () if !matches!(options.propagation.as_str(), "" | "rprivate") => {
                return Err(needs("requires Propagation to be specified as rprivate"));
            }
            () => {}
        }
    }
    let path = clean(&mount.source).ok_or_else(|| {
        refuse(format!("invalid mount path: '{}' mount path must be absolute", mount.source))
    })?;
    let source = Source::Path { path, make: options.create_mountpoint };
    Ok(Wish {
        propagation: options.propagation,
        not_recursive: options.non_recursive,
        read_only_at_top: options.read_only_non_recursive,
        ..Wish::at(destination, source)
    })
}

fn volume_mount(
    mount: &MountRequest,
    destination: PathBuf,
    refuse: &dyn Fn(String) -> Error,
) -> Result<Wish> {
    let options = mount.volume_options.clone().unwrap_or_default();
    if let Some(driver) = options.driver_config.filter(|driver| !matches!(driver.name.as_str(), "" | "local"))
    {
        return Err(Error::not_found(format!("plugin \"{}\" not found", driver.name)));
    }
    let name = (!mount.source.is_empty()).then(|| mount.source.clone());
    if let Some(name) = name.as_ref().filter(|name| !is_volume_name(name)) {
        return Err(refuse(format!("invalid volume name: {name}")));
    }
    let (labels, subpath) = (options.labels.unwrap_or_default(), options.subpath);
    local(&subpath, refuse)?;
    Ok(Wish::at(destination, Source::Volume { name, copy: !options.no_copy, labels, subpath }))
}

fn image_mount(mount: &MountRequest, destination: PathBuf, refuse: &dyn Fn(String) -> Error) -> Result<Wish> {
    if mount.source.is_empty() {
        return Err(refuse("field Source must not be empty".to_owned()));
    }
    let subpath = mount.image_options.clone().unwrap_or_default().subpath;
    local(&subpath, refuse)?;
    Ok(Wish::at(destination, Source::Image { name: mount.source.clone(), subpath }))
}

/// Refuses a part that climbs.
fn local(subpath: &str, refuse: &dyn Fn(String) -> Error) -> Result<()> {
    if std::path::Path::new(subpath).is_absolute() || subpath.split('/').any(|part| part == "..") {
        return Err(refuse(format!("invalid subpath: {subpath}")));
    }
    Ok(())
}

fn tmpfs_options(options: &TmpfsOptions) -> Vec<String> {
    let size = (options.size_bytes > 0).then(|| format!("size={}", options.size_bytes));
    let mode = (options.mode != 0).then(|| format!("mode={:o}", options.mode));
    let others = options.options.iter().flatten().map(|pair| pair.join("="));
    size.into_iter().chain(mode).chain(others).collect()
}

fn destination_of(text: &str, whole: &str) -> Result<PathBuf> {
    let path = clean(text).ok_or_else(|| {
        Error::invalid(format!("invalid volume specification: '{whole}': invalid mount path: '{text}' mount path must be absolute"))
    })?;
    if path == std::path::Path::new("/") {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{whole}': invalid specification: destination can't be '/'"
        )));
    }
    Ok(path)
}

fn is_volume_name(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_propagation(text: &str) -> bool {
    matches!(text, "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    fn from_binds(bind: &str) -> Result<Vec<Wish>> {
        wishes(&ContainerConfig::default(), &host(&format!(r#"{{"Binds":["{bind}"]}}"#)))
    }

    fn refusal(json: &str) -> String {
        wishes(&ContainerConfig::default(), &host(json)).unwrap_err().to_string()
    }

    #[test]
    fn binds_are_paths_volumes_or_anonymous() {
        let wish = &from_binds("/a/../b/:/in//side:ro,z,rslave").unwrap()[0];
        assert_eq!(wish.source, Source::Path { path: "/b".into(), make: true });
        assert_eq!((wish.destination.as_path(), wish.read_only), (std::path::Path::new("/in/side"), true));
        assert_eq!((wish.propagation.as_str(), wish.mode.as_str()), ("rslave", "ro,z,rslave"));
        let named = &from_binds("data:/d:nocopy").unwrap()[0];
        assert!(
            matches!(&named.source, Source::Volume { name: Some(name), copy: false, .. } if name == "data")
        );
        assert!(matches!(&from_binds("/d").unwrap()[0].source, Source::Volume { name: None, .. }));
    }

    #[test]
    fn nonsense_in_binds_is_refused_with_its_text() {
        for wrong in ["", "/a:/b:ro:x", ":/b", "/a:b", "/a:/", "/a:/b:wrong", "/a:/b:nocopy", "./rel:/b"] {
            let message = from_binds(wrong).unwrap_err().to_string();
            assert!(message.contains("invalid"), "{wrong}: {message}");
        }
    }

    #[test]
    fn the_long_form_never_makes_a_source_unless_told() {
        let all = r#"{"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true},
            {"Type":"volume","Target":"/v","VolumeOptions":{"NoCopy":true,"Labels":{"x":"y"}}},
            {"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1024,"Mode":448}}]}"#;
        let wishes = wishes(&ContainerConfig::default(), &host(all)).unwrap();
        assert!(matches!(wishes[0].source, Source::Path { make: false, .. }) && wishes[0].read_only);
        assert!(
            matches!(&wishes[1].source, Source::Volume { copy: false, labels, .. } if labels["x"] == "y")
        );
        assert_eq!(wishes[2].source, Source::Tmpfs { options: vec!["size=1024".into(), "mode=700".into()] });
    }

    #[test]
    fn the_long_form_refuses_what_contradicts_itself() {
        assert!(
            refusal(r#"{"Mounts":[{"Type":"bind","Target":"/b"}]}"#)
                .contains("field Source must not be empty")
        );
        assert!(
            refusal(r#"{"Mounts":[{"Type":"tmpfs","Source":"x","Target":"/b"}]}"#)
                .contains("must not be specified")
        );
        assert!(refusal(r#"{"Mounts":[{"Type":"odd","Target":"/b"}]}"#).contains("mount type unknown"));
        for (wrong, text) in [
            (r#"{"Type":"image","Target":"/b"}"#, "field Source must not be empty"),
            (
                r#"{"Type":"image","Source":"x","Target":"/b","ImageOptions":{"Subpath":"../x"}}"#,
                "invalid subpath: ../x",
            ),
            (
                r#"{"Type":"bind","Source":"/a","Target":"/b","VolumeOptions":{}}"#,
                "field VolumeOptions must not be specified",
            ),
            (
                r#"{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"ReadOnlyForceRecursive":true}}"#,
                "requires ReadOnly to be specified",
            ),
            (
                r#"{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true,"BindOptions":{"ReadOnlyForceRecursive":true,
                    "Propagation":"rshared"}}"#,
                "requires Propagation to be specified as rprivate",
            ),
        ] {
            let message = refusal(&format!(r#"{{"Mounts":[{wrong}]}}"#));
            assert!(message.contains(text), "{wrong}: {message}");
        }
        assert_eq!(refusal(r#"{"Binds":["/a:/b"],"Tmpfs":{"/b/":""}}"#), "Duplicate mount point: /b");
    }

    #[test]
    fn an_images_volume_gives_way_to_a_mount_at_the_same_place() {
        let config: ContainerConfig = serde_json::from_str(r#"{"Volumes":{"/data":{},"/b":{}}}"#).unwrap();
        let wishes = wishes(&config, &host(r#"{"Binds":["/a:/b"]}"#)).unwrap();
        assert_eq!(wishes.len(), 2);
        assert!(matches!(&wishes[1].source, Source::Volume { name: None, .. }));
    }
}
