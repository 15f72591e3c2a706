//! Filters of system calls: a profile of the OCI's, translated once, and kept as what the kernel loads.
//!
//! Promises: what is loaded is what libseccomp makes of the profile; a name that it does not know is left to the
//! default action, as runc does it. A kept filter is found by everything that it was made of, this build included.
//! Refuses: profiles that ask somebody outside (`SCMP_ACT_NOTIFY`).

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};
use sha2::{Digest as _, Sha256};

use super::super::sys;

/// One instruction of the kernel's classic packet filters.
const INSTRUCTION: usize = 8;

/// A filter as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    instructions: Vec<u64>,
    flags: u32,
}

impl Filter {
    /// The filter for a profile, from `cache` if it was translated before. The folder is made if it is missing; one
    /// that cannot be written to only costs time.
    pub(super) fn prepare(profile: &LinuxSeccomp, cache: &Path) -> io::Result<Self> {
        let flags = flags(profile);
        let kept = cache.join(name(profile)?);
        if let Some(instructions) = fs::read(&kept).ok().and_then(|bytes| instructions(&bytes)) {
            return Ok(Self { instructions, flags });
        }
        let program = translate(profile)?;
        let _ = keep(&program, &kept);
        let instructions = instructions(&program).ok_or_else(|| io::Error::other("it is no filter"))?;
        Ok(Self { instructions, flags })
    }

    /// Has the kernel apply it to the calling thread, for ever.
    pub(super) fn load(&self) -> io::Result<()> {
        sys::load_seccomp_filter(&self.instructions, self.flags)
    }
}

/// The name that a translation is kept by.
fn name(profile: &LinuxSeccomp) -> io::Result<String> {
    let library = libseccomp::ScmpVersion::current().map_err(io::Error::other)?;
    let mut hash = Sha256::new();
    hash.update(format!("{} {library:?}\n", env!("CARGO_PKG_VERSION")));
    hash.update(serde_json::to_vec(profile)?);
    Ok(hex::encode(hash.finalize()))
}

/// Nobody ever reads half of one.
fn keep(program: &[u8], path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let unfinished = path.with_extension(std::process::id().to_string());
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let written = file.and_then(|mut file| file.write_all(program));
    let kept = written.and_then(|()| fs::rename(&unfinished, path));
    kept.inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

fn instructions(program: &[u8]) -> Option<Vec<u64>> {
    let (whole, rest) = program.as_chunks::<INSTRUCTION>();
    (!whole.is_empty() && rest.is_empty())
        .then(|| whole.iter().map(|&bytes| u64::from_ne_bytes(bytes)).collect())
}

fn translate(profile: &LinuxSeccomp) -> io::Result<Vec<u8>> {
    let failed = |error: libseccomp::error::SeccompError| io::Error::other(error.to_string());
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(failed)?;
    for &architecture in profile.architectures().iter().flatten() {
        filter.add_arch(self::architecture(architecture)).map_err(failed)?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret())?;
        // The library refuses rules that change nothing.
        if action != default {
            add(&mut filter, action, rule).map_err(failed)?;
        }
    }
    let memory = rustix::fs::memfd_create("filter", rustix::fs::MemfdFlags::CLOEXEC)?;
    filter.export_bpf(&memory).map_err(failed)?;
    let (mut file, mut program) = (fs::File::from(memory), Vec::new());
    file.rewind()?;
    file.read_to_end(&mut program)?;
    Ok(program)
}

fn add(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    rule: &LinuxSyscall,
) -> Result<(), libseccomp::error::SeccompError> {
    let conditions: Vec<_> = rule.args().iter().flatten().map(condition).collect();
    let arguments: BTreeSet<_> = rule.args().iter().flatten().map(LinuxSeccompArg::index).collect();
    for name in rule.names() {
        let Ok(call) = ScmpSyscall::from_name(name) else { continue };
        if arguments.len() < conditions.len() {
            // The library compares an argument once a rule. As runc does it, each condition is a rule then.
            for condition in &conditions {
                filter.add_rule_conditional(action, call, std::slice::from_ref(condition))?;
            }
        } else {
            filter.add_rule_conditional(action, call, &conditions)?;
        }
    }
    Ok(())
}

/// What the OCI calls the value is the mask of a masked comparison, and its second value what must be left.
fn condition(argument: &LinuxSeccompArg) -> ScmpArgCompare {
    use LinuxSeccompOperator as Operator;
    let (value, second) = (argument.value(), argument.value_two().unwrap_or(0));
    let (operator, value) = match argument.op() {
        Operator::ScmpCmpNe => (ScmpCompareOp::NotEqual, value),
        Operator::ScmpCmpLt => (ScmpCompareOp::Less, value),
        Operator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, value),
        Operator::ScmpCmpEq => (ScmpCompareOp::Equal, value),
        Operator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, value),
        Operator::ScmpCmpGt => (ScmpCompareOp::Greater, value),
        Operator::ScmpCmpMaskedEq => (ScmpCompareOp::MaskedEqual(value), second),
    };
    // No system call has more than six.
    ScmpArgCompare::new(u32::try_from(argument.index()).unwrap_or(u32::MAX), operator, value)
}

fn action(action: LinuxSeccompAction, number: Option<u32>) -> io::Result<ScmpAction> {
    use LinuxSeccompAction as Action;
    let number = number.unwrap_or(libc::EPERM.unsigned_abs());
    let narrow = |_| io::Error::other(format!("{number} is no error number"));
    Ok(match action {
        Action::ScmpActAllow => ScmpAction::Allow,
        Action::ScmpActErrno => ScmpAction::Errno(i32::try_from(number).map_err(narrow)?),
        Action::ScmpActKill | Action::ScmpActKillThread => ScmpAction::KillThread,
        Action::ScmpActKillProcess => ScmpAction::KillProcess,
        Action::ScmpActLog => ScmpAction::Log,
        Action::ScmpActTrace => ScmpAction::Trace(u16::try_from(number).map_err(narrow)?),
        Action::ScmpActTrap => ScmpAction::Trap,
        Action::ScmpActNotify => {
            return Err(io::Error::other("profiles that notify are not supported"));
        }
    })
}

/// The flags of seccomp(2).
fn flags(profile: &LinuxSeccomp) -> u32 {
    use LinuxSeccompFilterFlag as Flag;
    let flag = |flag: &Flag| match flag {
        Flag::SeccompFilterFlagTsync => 1 << 0,
        Flag::SeccompFilterFlagLog => 1 << 1,
        Flag::SeccompFilterFlagSpecAllow => 1 << 2,
        // Only for those who are asked.
        Flag::SeccompFilterFlagWaitKillableRecv => 0,
    };
    profile.flags().iter().flatten().map(flag).fold(0, |all, flag| all | flag)
}

const fn architecture(architecture: Arch) -> ScmpArch {
    match architecture {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        Arch::ScmpArchM68k => ScmpArch::M68k,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchSh => ScmpArch::Sh,
        Arch::ScmpArchSheb => ScmpArch::Sheb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn profile(value: serde_json::Value) -> LinuxSeccomp {
        serde_json::from_value(value).unwrap()
    }

    /// What the kernel would decide about a call, by running the filter as it does.
    fn decide(filter: &Filter, call: &str, arguments: &[u64]) -> u32 {
        let number = ScmpSyscall::from_name(call).unwrap();
        let number = u32::try_from(i32::from(number)).unwrap();
        let architecture: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
        let mut data = vec![number, architecture, 0, 0];
        for argument in (0..6).map(|at| arguments.get(at).copied().unwrap_or(0)) {
            data.extend([
                u32::try_from(argument & 0xffff_ffff).unwrap(),
                u32::try_from(argument >> 32).unwrap(),
            ]);
        }
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let [code, _, yes, no, value @ ..] = filter.instructions[at].to_ne_bytes();
            let value = u32::from_ne_bytes(value);
            let jump = |taken| at + 1 + usize::from(if taken { yes } else { no });
            at = match code {
                0x20 => {
                    accumulator = data[usize::try_from(value).unwrap() / 4];
                    at + 1
                }
                0x54 => {
                    accumulator &= value;
                    at + 1
                }
                0x05 => at + 1 + usize::try_from(value).unwrap(),
                0x15 => jump(accumulator == value),
                0x25 => jump(accumulator > value),
                0x35 => jump(accumulator >= value),
                0x45 => jump(accumulator & value != 0),
                0x06 => return value,
                other => panic!("an instruction that nobody expects: {other:#x}"),
            };
        }
    }

    const ALLOW: u32 = 0x7fff_0000;
    const REFUSE: u32 = 0x0005_0001;

    #[test]
    fn a_masked_comparison_masks_by_the_value() {
        let namespaces = 0x7e02_0000_u64;
        let masked = |second: serde_json::Value| {
            let mut condition = json!({ "index": 0, "value": namespaces, "op": "SCMP_CMP_MASKED_EQ" });
            if !second.is_null() {
                condition["valueTwo"] = second;
            }
            profile(json!({
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                "syscalls": [{ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [condition] }],
            }))
        };
        let cache = tempfile::tempdir().unwrap();
        for none_of_them in [json!(null), json!(0)] {
            let filter = Filter::prepare(&masked(none_of_them), cache.path()).unwrap();
            assert_eq!(decide(&filter, "clone", &[17]), ALLOW);
            assert_eq!(decide(&filter, "clone", &[0x1000_0000 | 17]), REFUSE, "a namespace of users");
            assert_eq!(decide(&filter, "fork", &[]), REFUSE);
        }
        let filter = Filter::prepare(&masked(json!(0x1000_0000)), cache.path()).unwrap();
        assert_eq!(decide(&filter, "clone", &[0x1000_0000]), ALLOW);
        assert_eq!(decide(&filter, "clone", &[0]), REFUSE);
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives_and_on_several_hold_together() {
        let is = |index: u32, value: u64| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
        let rules = profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [
                { "names": ["personality", "no_such_call"], "action": "SCMP_ACT_ERRNO", "args": [is(0, 1), is(0, 2)] },
                { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [is(0, 16), is(2, 9)] },
                { "names": ["mount"], "action": "SCMP_ACT_ALLOW" },
            ],
        }));
        let cache = tempfile::tempdir().unwrap();
        let filter = Filter::prepare(&rules, cache.path()).unwrap();
        for (call, arguments, expected) in [
            ("personality", &[1][..], REFUSE),
            ("personality", &[2], REFUSE),
            ("personality", &[3], ALLOW),
            ("socket", &[16, 0, 9], REFUSE),
            ("socket", &[16, 0, 8], ALLOW),
            ("socket", &[2, 0, 9], ALLOW),
            ("mount", &[], ALLOW),
        ] {
            assert_eq!(decide(&filter, call, arguments), expected, "{call} {arguments:?}");
        }
    }

    #[test]
    fn a_translation_is_kept_and_a_damaged_one_made_anew() {
        let rules = profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [{ "names": ["mount"], "action": "SCMP_ACT_ERRNO" }],
        }));
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("made");
        let first = Filter::prepare(&rules, &cache).unwrap();
        assert_eq!(first.flags, 2);
        let kept: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [kept] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!(Filter::prepare(&rules, &cache).unwrap(), first);
        for damage in [&b""[..], b"half an instruction"] {
            io::Write::write_all(&mut fs::File::create(kept).unwrap(), damage).unwrap();
            assert_eq!(Filter::prepare(&rules, &cache).unwrap(), first);
        }
        let notifies = profile(json!({ "defaultAction": "SCMP_ACT_NOTIFY" }));
        assert!(Filter::prepare(&notifies, &cache).unwrap_err().to_string().contains("notify"));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing is kept of what failed");
    }
}
