//! Device rules on cgroup v2: there they are a program, not a file.
//!
//! The last rule that matches decides, as with version 1's files; without any match everything is allowed. Devices
//! that every container has are allowed whatever the rules say.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, Spec};

use super::super::sys;

/// Enforces the spec's rules where only the unified hierarchy is mounted; elsewhere the device controller does it.
pub(super) fn enforce(spec: &Spec) -> io::Result<()> {
    let linux = spec.linux().as_ref();
    let rules = linux.and_then(|l| l.resources().as_ref()).and_then(|r| r.devices().as_ref());
    let path = linux.and_then(|l| l.cgroups_path().as_ref());
    let (Some(rules), Some(path)) = (rules, path) else { return Ok(()) };
    let root = Path::new("/sys/fs/cgroup");
    if statfs(root)?.filesystem_type() != CGROUP2_SUPER_MAGIC {
        return Ok(());
    }
    attach(&root.join(path.strip_prefix("/").unwrap_or(path)), rules)
}

fn attach(folder: &Path, rules: &[LinuxDeviceCgroup]) -> io::Result<()> {
    let group = std::fs::File::open(folder)?;
    sys::attach_device_program(group.as_fd(), &assemble(rules))
}

/// One rule, without what it leaves open.
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const ALL: i32 = MKNOD | READ | WRITE;

/// null, zero, full, tty, random, urandom, console, ptmx; and every slave of a pseudo terminal.
const ALWAYS: [(i32, Option<i32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (5, Some(0)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

impl Rule {
    const fn matches_everything(&self) -> bool {
        matches!(self, Self { kind: None, major: None, minor: None, access: ALL, .. })
    }

    fn of(rule: &LinuxDeviceCgroup) -> Option<Self> {
        let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(BLOCK),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(CHARACTER),
            LinuxDeviceType::P => return None,
        };
        let access = rule.access().as_deref().unwrap_or("rwm").chars().fold(0, |access, letter| {
            access
                | match letter {
                    'r' => READ,
                    'w' => WRITE,
                    'm' => MKNOD,
                    _ => 0,
                }
        });
        let number = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0);
        Some(Self {
            allow: rule.allow(),
            kind,
            major: number(rule.major()),
            minor: number(rule.minor()),
            access,
        })
    }
}

/// The program: every rule in turn, the last one first.
fn assemble(rules: &[LinuxDeviceCgroup]) -> Vec<u64> {
    let always = ALWAYS.iter().map(|&(major, minor)| Rule {
        allow: true,
        kind: Some(CHARACTER),
        major: Some(major),
        minor,
        access: ALL,
    });
    let mut program = vec![
        // r2 = type, r3 = access, r4 = major, r5 = minor
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE, 3, 2, 0, 0),
        instruction(AND_NUMBER, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT_NUMBER, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in always.chain(rules.iter().rev().filter_map(Rule::of)) {
        program.extend(test(&rule));
        if rule.matches_everything() {
            // The kernel refuses a program with instructions that are never reached.
            return program;
        }
    }
    program.extend(verdict(true));
    program
}

fn test(rule: &Rule) -> Vec<u64> {
    let mut conditions = Vec::new();
    let mut unless_equal = |register, number| conditions.push((JUMP_UNLESS_EQUAL, register, number));
    if let Some(kind) = rule.kind {
        unless_equal(2, kind);
    }
    if let Some(major) = rule.major {
        unless_equal(4, major);
    }
    if let Some(minor) = rule.minor {
        unless_equal(5, minor);
    }
    let access = match rule {
        Rule { access: ALL, .. } => None,
        // allowed only if nothing else is wanted; denied if any of it is
        Rule { allow: true, access, .. } => Some((ALL & !access, JUMP_UNLESS_EQUAL)),
        Rule { allow: false, access, .. } => Some((*access, JUMP_IF_EQUAL)),
    };
    let mut code = Vec::new();
    let length = conditions.len() + if access.is_some() { 3 } else { 0 } + 2;
    // A jump skips what remains of this rule.
    let rest = |code: &Vec<u64>| i16::try_from(length - code.len() - 1).unwrap_or(i16::MAX);
    for (jump, register, number) in conditions {
        code.push(instruction(jump, register, 0, rest(&code), number));
    }
    if let Some((mask, jump)) = access {
        code.push(instruction(MOVE, 1, 3, 0, 0));
        code.push(instruction(AND_NUMBER, 1, 0, 0, mask));
        code.push(instruction(jump, 1, 0, rest(&code), 0));
    }
    code.extend(verdict(rule.allow));
    code
}

fn verdict(allow: bool) -> [u64; 2] {
    [instruction(MOVE_NUMBER, 0, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const AND_NUMBER: u8 = 0x57;
const SHIFT_RIGHT_NUMBER: u8 = 0x77;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// One eBPF instruction: opcode, registers, offset, number.
fn instruction(code: u8, target: u8, source: u8, offset: i16, number: i32) -> u64 {
    let mut bytes = [0; 8];
    bytes[0] = code;
    bytes[1] = if cfg!(target_endian = "little") { source << 4 | target } else { target << 4 | source };
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..].copy_from_slice(&number.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    fn rule(
        allow: bool,
        kind: LinuxDeviceType,
        numbers: Option<(i64, i64)>,
        access: &str,
    ) -> LinuxDeviceCgroup {
        let mut builder = LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access);
        if let Some((major, minor)) = numbers {
            builder = builder.major(major).minor(minor);
        }
        builder.build().unwrap()
    }

    /// A reader of the few instructions we write.
    fn run(program: &[u64], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut r = [0i64; 6];
        let mut at = 0;
        loop {
            let b = program[at].to_ne_bytes();
            let (t, s) = (usize::from(b[1] & 15), usize::from(b[1] >> 4));
            let offset = i16::from_ne_bytes([b[2], b[3]]);
            let number = i64::from(i32::from_ne_bytes([b[4], b[5], b[6], b[7]]));
            at += 1;
            match b[0] {
                LOAD_WORD => r[t] = i64::from(context[usize::try_from(offset).unwrap() / 4]),
                MOVE => r[t] = r[s],
                MOVE_NUMBER => r[t] = number,
                AND_NUMBER => r[t] &= number,
                SHIFT_RIGHT_NUMBER => r[t] >>= number,
                JUMP_IF_EQUAL if r[t] == number => at += usize::try_from(offset).unwrap(),
                JUMP_UNLESS_EQUAL if r[t] != number => at += usize::try_from(offset).unwrap(),
                JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL => {}
                EXIT => return r[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let program = assemble(&[
            rule(false, LinuxDeviceType::A, None, "rwm"),
            rule(true, LinuxDeviceType::C, None, "m"),
            rule(true, LinuxDeviceType::B, Some((8, 0)), "r"),
        ]);
        assert!(run(&program, CHARACTER, READ | WRITE, 1, 3), "null is always there");
        assert!(run(&program, CHARACTER, MKNOD, 10, 229), "any node may be made");
        assert!(!run(&program, CHARACTER, READ, 10, 229), "but not opened");
        assert!(run(&program, BLOCK, READ, 8, 0));
        assert!(!run(&program, BLOCK, READ | WRITE, 8, 0), "only to read");
        assert!(!run(&program, BLOCK, READ, 8, 1));
    }

    #[test]
    fn denying_a_part_denies_what_wants_it() {
        let program = assemble(&[rule(false, LinuxDeviceType::B, None, "w")]);
        assert!(run(&program, BLOCK, READ, 8, 0));
        assert!(!run(&program, BLOCK, READ | WRITE, 8, 0));
    }

    #[test]
    fn the_kernel_takes_the_program() {
        let folder = Path::new("/sys/fs/cgroup/unified");
        let root = if folder.exists() { folder } else { Path::new("/sys/fs/cgroup") };
        let group = root.join(format!("wharf-test-{}", std::process::id()));
        if !statfs(root).is_ok_and(|s| s.filesystem_type() == CGROUP2_SUPER_MAGIC)
            || std::fs::create_dir(&group).is_err()
        {
            println!("skipped: no writable cgroup v2 here (needs root)");
            return;
        }
        let attached = attach(&group, &[rule(false, LinuxDeviceType::A, None, "rwm")]);
        let denied = attached.and_then(|()| {
            let script = format!("echo $$ > {}/cgroup.procs; cat /dev/fuse; cat /dev/null", group.display());
            std::process::Command::new("sh").args(["-c", &script]).output()
        });
        std::fs::remove_dir(&group).unwrap();
        let output = denied.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "null stays open: {errors}");
        if Path::new("/dev/fuse").exists() {
            assert!(errors.contains("ermitted"), "fuse is closed: {errors}");
        }
    }
}
