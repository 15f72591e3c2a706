//! What a person may set for the local driver.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wharf_driver::{Configure, Mistake, Setting, Settings, Takes};

use crate::Local;
use crate::share::{self, Share};
use crate::virtiofs::Virtiofsd;

/// The configuration, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Processors of the machine.
    pub cpus: u32,
    /// Memory of the machine, in MiB.
    pub memory_mib: u32,
    /// Size of the machine's disk, in GiB. It takes only the room that is used.
    pub disk_gib: u32,
    /// A full cloud image with cloud-init to boot instead of our own guest.
    pub image: Option<PathBuf>,
    /// The folder of our own guest's image, or a folder of such folders.
    pub image_dir: Option<PathBuf>,
    /// How the machine is run; `None` finds out what works here.
    pub accelerator: Option<Accelerator>,
    /// The QEMU to run.
    pub qemu: PathBuf,
    /// The machine reaches no network; its own ports are reached all the same.
    pub offline: bool,
    /// Folders of this computer that the machine sees.
    #[serde(default)]
    pub mounts: Vec<Share>,
    /// What offers them by virtiofs, beside QEMU's 9p.
    #[serde(default, skip_serializing_if = "Virtiofsd::is_any")]
    pub virtiofsd: Virtiofsd,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Linux's hypervisor.
    Kvm,
    /// macOS' hypervisor.
    Hvf,
    /// Emulation: works everywhere, several times slower.
    Tcg,
}

impl Accelerator {
    /// As QEMU and people spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Tcg => "tcg",
        }
    }
}

const QEMU: &str = if cfg!(target_arch = "aarch64") { "qemu-system-aarch64" } else { "qemu-system-x86_64" };

impl Configure for Local {
    const SETTINGS: &'static [Setting] = &[
        setting("local-cpus", "processors of the machine", Takes::Text("NUMBER"), Some("2")),
        setting("local-memory", "memory of the machine, in MiB", Takes::Text("MIB"), Some("2048")),
        setting(
            "local-disk",
            "size of its disk, in GiB; takes only what is used",
            Takes::Text("GIB"),
            Some("40"),
        ),
        setting(
            "local-image",
            "boot this cloud image (qcow2, with cloud-init) instead of wharf's own guest",
            Takes::Path("FILE"),
            None,
        ),
        Setting {
            env: &["WHARF_GUEST"],
            ..setting("local-image-dir", "where the guest's image is", Takes::Path("FOLDER"), None)
        },
        setting(
            "local-accel",
            "kvm, hvf, tcg, or auto: what works on this computer",
            Takes::Text("NAME"),
            Some("auto"),
        ),
        setting("local-qemu", "the QEMU to run", Takes::Text("PROGRAM"), Some(QEMU)),
        setting(
            "local-offline",
            "give the machine no network; its ports work all the same",
            Takes::Switch,
            None,
        ),
        setting(
            "local-mount",
            "show the machine this folder at the same path, so that containers can bind it; only to be read without \
             `:rw`; as often as wanted; `home` is yours, `none` is none",
            Takes::Paths("PATH[:rw]"),
            Some("home"),
        ),
        Setting {
            env: &["WHARF_VIRTIOFSD"],
            ..setting(
                "local-virtiofsd",
                "share folders by this virtiofsd (1.13 or later), too, for kernels without 9p; auto: where it is \
                 installed; or none",
                Takes::Text("PROGRAM"),
                Some("auto"),
            )
        },
    ];

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut number = |flag, smallest: u32, largest: u32, default: u32| {
            let value = set.parse(flag, &mut mistakes).unwrap_or(default);
            if !(smallest..=largest).contains(&value) {
                mistakes
                    .push(Mistake::new(flag, format!("`{value}` is not between {smallest} and {largest}")));
            }
            value
        };
        let cpus = number("local-cpus", 1, 256, 2);
        let memory_mib = number("local-memory", 256, 1 << 22, 2048);
        let disk_gib = number("local-disk", 1, 1 << 16, 40);
        let accelerator = match set.text("local-accel") {
            None | Some("auto") => None,
            Some("kvm") => Some(Accelerator::Kvm),
            Some("hvf") => Some(Accelerator::Hvf),
            Some("tcg") => Some(Accelerator::Tcg),
            Some(other) => {
                mistakes
                    .push(Mistake::new("local-accel", format!("`{other}` is none of kvm, hvf, tcg, auto")));
                None
            }
        };
        let (mounts, wrong) = share::read_all(set.list("local-mount"));
        let virtiofsd = match set.text("local-virtiofsd") {
            None | Some("auto") => Virtiofsd::Any,
            Some("none") => Virtiofsd::None,
            Some(program) => Virtiofsd::At(program.into()),
        };
        mistakes.extend(wrong.into_iter().map(|why| Mistake::new("local-mount", why)));
        let config = Config {
            cpus,
            memory_mib,
            disk_gib,
            image: set.path("local-image"),
            image_dir: set.path("local-image-dir"),
            accelerator,
            qemu: set.path("local-qemu").unwrap_or_else(|| QEMU.into()),
            offline: set.switch("local-offline"),
            mounts,
            virtiofsd,
        };
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }
}

const fn setting(
    flag: &'static str,
    help: &'static str,
    takes: Takes,
    default: Option<&'static str>,
) -> Setting {
    Setting { flag, aliases: &[], env: &[], help, takes, default, at_terminal: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(set: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let mut settings = Settings::default();
        for (flag, value) in set {
            settings.set(*flag, vec![(*value).to_owned()]);
        }
        Local::configure(&settings)
    }

    #[test]
    fn nothing_set_is_a_usable_machine() {
        let config = configure(&[]).unwrap();
        assert_eq!((config.cpus, config.memory_mib, config.disk_gib), (2, 2048, 40));
        assert_eq!(config.accelerator, None);
    }

    #[test]
    fn every_mistake_is_reported_together() {
        let set =
            [("local-cpus", "0"), ("local-memory", "much"), ("local-accel", "warp"), ("local-mount", "/etc")];
        let mistakes = configure(&set).unwrap_err();
        let flags: Vec<_> = mistakes.iter().map(|mistake| mistake.flag).collect();
        assert_eq!(flags, ["local-cpus", "local-memory", "local-accel", "local-mount"]);
    }

    #[test]
    fn what_an_earlier_release_wrote_down_is_read() {
        let mut before = serde_json::to_value(configure(&[]).unwrap()).unwrap();
        let fields = before.as_object_mut().unwrap();
        fields.remove("mounts").unwrap();
        // Nor does what nobody chose make a fleet's machine of such a release another one than is wanted.
        assert_eq!(fields.get("virtiofsd"), None);
        assert_eq!(serde_json::from_value::<Config>(before).unwrap(), configure(&[]).unwrap());
    }
}
