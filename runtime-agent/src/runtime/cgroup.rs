//! Control groups, as far as the shim needs them beside the runtime: where a process is, joining, out-of-memory
//! counts, killing what is left. Version 1, hybrid and version 2 alike, by what is really mounted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::sys;

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    /// What of the hierarchy the mount shows; `/` but inside containers.
    root: PathBuf,
    /// Names of controllers, or `name=…`; empty for version 2.
    controllers: Vec<String>,
}

/// A process's group in one hierarchy, as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) folder: PathBuf,
    controllers: Vec<String>,
}

impl Group {
    #[cfg(test)]
    pub(super) fn new(folder: &Path, controllers: &[&str]) -> Self {
        Self {
            folder: folder.to_owned(),
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    pub(super) fn controls(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// The groups a process is in, leaving out roots.
pub(super) fn of(pid: i32) -> io::Result<Vec<Group>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    Ok(groups(&hierarchies(&mounts), &cgroups))
}

/// The groups of the container that a process is the first one of: it may have moved into groups of its own making
/// below. An error when the pid has become another process's.
pub(super) fn container(pid: i32, id: &str) -> io::Result<Vec<Group>> {
    let whole = |group: Group| {
        let folder = group.folder.ancestors().find(|folder| folder.ends_with(id))?.to_owned();
        Some(Group { folder, ..group })
    };
    let groups: Vec<_> = of(pid)?.into_iter().filter_map(whole).collect();
    if groups.is_empty() {
        return Err(io::Error::other("the process is in no control group of the container's"));
    }
    Ok(groups)
}

/// Moves the calling process into these groups.
pub(super) fn join(groups: &[Group]) -> io::Result<()> {
    groups.iter().try_for_each(|group| write(&group.folder.join("cgroup.procs"), "0"))
}

/// Moves the calling process out of the group it was started in, in every hierarchy that allows it: what kills or
/// limits the daemon must not reach it. Failures are for the log; the process works all the same.
pub(super) fn leave_for(path: &str) -> Vec<io::Error> {
    let mounts = match std::fs::read_to_string("/proc/self/mountinfo") {
        Ok(mounts) => mounts,
        Err(error) => return vec![error],
    };
    let moved = hierarchies(&mounts).into_iter().map(|hierarchy| {
        let folder = hierarchy.mount.join(path);
        std::fs::create_dir_all(&folder)?;
        if hierarchy.controllers.iter().any(|c| c == "cpuset") {
            inherit_cpuset(&hierarchy.mount, path)?;
        }
        write(&folder.join("cgroup.procs"), "0")
    });
    moved.filter_map(Result::err).collect()
}

/// What is mounted, for [`Hierarchies::stir`].
#[derive(Debug)]
pub(super) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    pub(super) fn mounted() -> io::Result<Self> {
        Ok(Self(hierarchies(&std::fs::read_to_string("/proc/self/mountinfo")?)))
    }

    /// Has the calling process join a group that it is in already. The first change of groups after a while waits until
    /// every processor has heard that the kernel is about to; those that follow soon do not.
    pub(super) fn stir(&self) -> io::Result<()> {
        let own = groups(&self.0, &std::fs::read_to_string("/proc/self/cgroup")?);
        // A process that is in roots alone is in the first one.
        let root = || self.0.first().map(|hierarchy| hierarchy.mount.clone());
        let folder = own.into_iter().map(|group| group.folder).next().or_else(root);
        folder.map_or(Ok(()), |folder| write(&folder.join("cgroup.procs"), "0"))
    }
}

/// How often the kernel killed something in these groups for want of memory.
pub(super) fn oom_kills(groups: &[Group]) -> u64 {
    let count = |file: &str, group: &Group| {
        let text = std::fs::read_to_string(group.folder.join(file)).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    };
    let of = |group: &Group| match group {
        group if group.is_v2() => count("memory.events", group),
        group if group.controls("memory") => count("memory.oom_control", group),
        _ => 0,
    };
    groups.iter().map(of).max().unwrap_or(0)
}

/// Kills everything in these groups and waits until they are empty, within a bound.
pub(super) fn kill(groups: &[Group]) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let pids = members(groups);
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // It may be gone already; the next look tells.
            let _ = sys::kill(pid, libc::SIGKILL);
        }
        thaw(groups);
        if Instant::now() > deadline {
            return Err(io::Error::other("its processes do not die"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Stops every process in these groups where it stands. Thawed again when that can't be done within a bound.
pub(super) fn freeze(groups: &[Group]) -> io::Result<()> {
    let Some((group, file)) = groups.iter().find_map(|group| Some((group, freezer(group)?))) else {
        return Err(io::Error::other("there is no freezer here"));
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        // Under version 1 it has to be said again when processes were forked meanwhile.
        write(&group.folder.join(file.name), file.freeze)?;
        let state = std::fs::read_to_string(group.folder.join(file.state))?;
        if state.lines().any(|line| line == file.frozen) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    thaw(groups);
    Err(io::Error::other("its processes do not stop"))
}

/// Lets frozen processes go on: under version 1 not even KILL reaches them. Those that aren't frozen don't notice.
pub(super) fn thaw(groups: &[Group]) {
    for group in groups {
        if let Some(file) = freezer(group) {
            let _ = write(&group.folder.join(file.name), file.thaw);
        }
    }
}

/// How a freezer is spoken to.
struct Freezer {
    name: &'static str,
    freeze: &'static str,
    thaw: &'static str,
    state: &'static str,
    frozen: &'static str,
}

fn freezer(group: &Group) -> Option<Freezer> {
    const V1: &str = "freezer.state";
    if group.controls("freezer") {
        return Some(Freezer { name: V1, freeze: "FROZEN", thaw: "THAWED", state: V1, frozen: "FROZEN" });
    }
    let (name, state) = ("cgroup.freeze", "cgroup.events");
    group.is_v2().then_some(Freezer { name, freeze: "1", thaw: "0", state, frozen: "frozen 1" })
}

/// The processes in these groups, each once.
pub(super) fn members(groups: &[Group]) -> Vec<i32> {
    let mut pids = Vec::new();
    for folder in groups.iter().flat_map(|group| tree(&group.folder)) {
        let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// A folder and those below it, the deepest first: a container may have made groups of its own.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<_> = folders.flat_map(|entry| tree(&entry.path())).collect();
    found.push(folder.to_owned());
    found
}

/// The groups of this path, in every hierarchy where they exist. Never the calling process's own: what is found here
/// gets killed.
pub(super) fn at(path: &Path) -> io::Result<Vec<Group>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let relative = path.strip_prefix("/").unwrap_or(path);
    if relative.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let groups = hierarchies(&mounts)
        .into_iter()
        .map(|h| Group { folder: h.mount.join(relative), controllers: h.controllers });
    let exists =
        |group: &Group| group.folder.is_dir() && !members(std::slice::from_ref(group)).contains(&own);
    Ok(groups.filter(exists).collect())
}

/// Removes these groups; they must be empty.
pub(super) fn remove(groups: &[Group]) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(2);
    for folder in groups.iter().flat_map(|group| tree(&group.folder)) {
        loop {
            match std::fs::remove_dir(&folder) {
                // The last process has been reaped, yet the kernel still lets go of it.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => break,
            }
        }
    }
    Ok(())
}

/// Removes this group with those below it, wherever they exist and nobody is in them. Whether it is gone everywhere. One
/// that was made just now stays: another engine may be about to put somebody into it.
pub(super) fn remove_if_empty(path: &str) -> bool {
    let groups = at(Path::new(path)).unwrap_or_default();
    groups.iter().filter(|group| remove_tree(&group.folder)).count() == groups.len()
}

/// The files of a group go with it; only folders are in the way.
fn remove_tree(folder: &Path) -> bool {
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path());
    }
    // In use, where that fails.
    !is_young(folder) && std::fs::remove_dir(folder).is_ok()
}

/// Whether it was made, or first looked at, less than a moment ago: the kernel remembers no more.
fn is_young(folder: &Path) -> bool {
    let since = folder.metadata().and_then(|metadata| metadata.modified()).ok();
    since.and_then(|since| since.elapsed().ok()).is_some_and(|age| age < YOUNG)
}

const YOUNG: Duration = Duration::from_secs(1);

/// A new group of the cpuset controller takes nobody until it has processors and memory.
fn inherit_cpuset(mount: &Path, path: &str) -> io::Result<()> {
    let mut folder = mount.to_owned();
    for part in Path::new(path).components() {
        let parent = folder.clone();
        folder.push(part);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if std::fs::read_to_string(folder.join(file))?.trim().is_empty() {
                write(&folder.join(file), std::fs::read_to_string(parent.join(file))?.trim())?;
            }
        }
    }
    Ok(())
}

/// Files of the kernel's are written in one call and never created.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    written.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// From proc(5)'s mountinfo; a hierarchy that is mounted twice counts once.
fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((head, tail)) = line.split_once(" - ") else { continue };
        let head: Vec<&str> = head.split(' ').collect();
        let tail: Vec<&str> = tail.split(' ').collect();
        let (Some(root), Some(mount), Some(&kind)) = (head.get(3), head.get(4), tail.first()) else {
            continue;
        };
        let controllers = match (kind, tail.get(2)) {
            ("cgroup2", _) => Vec::new(),
            ("cgroup", Some(options)) => controllers(options),
            _ => continue,
        };
        if !found.iter().any(|h| h.controllers == controllers) {
            found.push(Hierarchy { mount: mount.into(), root: root.into(), controllers });
        }
    }
    found
}

fn controllers(options: &str) -> Vec<String> {
    let general = ["rw", "ro", "xattr", "clone_children", "noprefix", "seclabel"];
    let ours = |option: &&str| !general.contains(option) && !option.starts_with("release_agent=");
    let mut names: Vec<String> = options.split(',').filter(ours).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn groups(hierarchies: &[Hierarchy], cgroups: &str) -> Vec<Group> {
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let mut names: Vec<String> = names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        names.sort_unstable();
        let hierarchy = hierarchies.iter().find(|h| h.controllers == names)?;
        let path = Path::new(path);
        let path = path.strip_prefix(&hierarchy.root).or_else(|_| path.strip_prefix("/")).ok()?;
        let group = Group { folder: hierarchy.mount.join(path), controllers: names };
        (!path.as_os_str().is_empty()).then_some(group)
    };
    cgroups.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 29 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 29 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
33 29 0:29 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
34 29 0:26 / /somewhere/else rw,relatime - cgroup cgroup rw,memory
35 29 0:30 / /proc rw - proc proc rw";

    #[test]
    fn finds_a_process_in_a_hybrid_tree() {
        let cgroups = "9:name=systemd:/\n4:memory:/wharf/a\n2:cpuacct,cpu:/wharf/a\n0::/wharf/a";
        let found = groups(&hierarchies(HYBRID), cgroups);
        let folders: Vec<_> = found.iter().map(|g| g.folder.to_str().unwrap()).collect();
        let expected = [
            "/sys/fs/cgroup/memory/wharf/a",
            "/sys/fs/cgroup/cpu,cpuacct/wharf/a",
            "/sys/fs/cgroup/unified/wharf/a",
        ];
        assert_eq!(folders, expected);
        assert!(found[2].is_v2() && found[0].controls("memory"));
    }

    #[test]
    fn a_group_that_was_made_just_now_may_be_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("group");
        std::fs::create_dir(&group).unwrap();
        assert!(!remove_tree(&group) && group.exists());
        let opened = std::fs::File::open(&group).unwrap();
        opened.set_modified(std::time::SystemTime::now() - 2 * YOUNG).unwrap();
        assert!(remove_tree(&group) && !group.exists());
    }

    #[test]
    fn stirring_moves_nobody() {
        let own = || std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let before = own();
        // Without the right to it, it fails, and then neither.
        let _ = Hierarchies::mounted().unwrap().stir();
        assert_eq!(own(), before);
    }

    #[test]
    fn strips_what_the_mount_does_not_show() {
        let inside = "30 29 0:26 /outer /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw";
        let found = groups(&hierarchies(inside), "0::/outer/wharf/a");
        assert_eq!(found[0].folder, Path::new("/sys/fs/cgroup/wharf/a"));
        assert!(groups(&hierarchies(inside), "0::/outer").is_empty());
    }

    #[test]
    fn counts_out_of_memory_kills_of_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| {
            io::Write::write_all(&mut std::fs::File::create(dir.path().join(file)).unwrap(), text.as_bytes())
        };
        put("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n").unwrap();
        put("memory.events", "low 0\noom 3\noom_kill 1\noom_group_kill 0\n").unwrap();
        let group = |names: &[&str]| Group {
            folder: dir.path().to_owned(),
            controllers: names.iter().map(|n| (*n).to_owned()).collect(),
        };
        assert_eq!(oom_kills(&[group(&["memory"])]), 2);
        assert_eq!(oom_kills(&[group(&[])]), 1);
        assert_eq!(oom_kills(&[group(&["cpu"])]), 0);
    }
}
