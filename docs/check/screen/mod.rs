//! Screens: what the program shows at a real terminal of some width, as text and as an image.
//!
//! A recording is a scene of a script at a pseudo-terminal. What is kept is what was really shown; a test compares it with a
//! new recording but for what differs from run to run (times, ids, addresses).

mod pty;
mod svg;

use std::num::NonZeroU16;
use std::process::Command;

use crate::stage::Stage;

pub use svg::image;

/// As many lines as any recording needs.
const ROWS: u16 = 120;

/// What is kept under `docs/screens`.
pub struct Scene {
    /// What its files are called.
    pub name: &'static str,
    /// Where it plays.
    pub stage: &'static str,
    /// What is done before, unseen.
    pub before: &'static [&'static str],
    /// What is typed and seen.
    pub typed: &'static [&'static str],
}

/// The widths that every scene is recorded at.
pub const WIDTHS: [u16; 2] = [80, 60];

/// Every scene. The last one is the README's.
pub const SCENES: &[Scene] = &[
    Scene { name: "help", stage: "alone", before: &[], typed: &["wharf --help"] },
    Scene { name: "help-ls", stage: "alone", before: &[], typed: &["wharf ls --help"] },
    Scene {
        name: "mistakes",
        stage: "alone",
        before: &[],
        typed: &[
            "wharf ip web1",
            "wharf create --driver local --azure-size Standard_B2s web1",
            "wharf crate web1",
        ],
    },
    Scene {
        name: "create",
        stage: "records",
        before: &[],
        typed: &[
            "wharf create --cloud public --azure-allow-from any --no-bootstrap web1",
            "wharf create --cloud stamp1 --azure-allow-from any --no-bootstrap --dry-run db1",
            "wharf ls",
            "wharf stop web1",
            "wharf rm -y web1",
        ],
    },
];

/// The README's.
pub const SESSION: Scene = Scene {
    name: "session",
    stage: "local",
    before: &["cp \"$(command -v busybox)\" busybox"],
    typed: &[
        "wharf create demo",
        "tar -c busybox | docker --context demo import - box",
        "docker --context demo run --rm box /busybox uname -n",
        "wharf ls",
        "wharf rm -y demo",
    ],
};

/// Plays a scene at a terminal so wide.
///
/// # Errors
/// What its stage lacks on this computer.
pub fn record(scene: &Scene, columns: u16) -> Result<vt100::Parser, String> {
    let stage = Stage::set(scene.stage)?;
    for command in scene.before {
        let ended = stage.run(command);
        assert_eq!(ended.code, 0, "{command}: {}", ended.printed);
    }
    let typed = scene.typed.iter().map(|command| {
        let quoted = command.replace('\'', "'\\''");
        format!("printf '\\033[1;32m$\\033[0m %s\\n' '{quoted}'\n{command}\n")
    });
    let command = stage.shell(&typed.collect::<String>());
    Ok(played(&command, columns))
}

fn played(command: &Command, columns: u16) -> vt100::Parser {
    let bytes = pty::play(command, ROWS, columns);
    let size = |number: u16| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
    let mut parser = vt100::Parser::new(size(ROWS), size(columns), 0);
    parser.process(&bytes);
    parser
}

/// The lines of a screen, as they stand there.
#[must_use]
pub fn text(screen: &vt100::Screen) -> String {
    let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
    let last = rows.iter().rposition(|row| !row.trim().is_empty()).map_or(0, |last| last + 1);
    rows[..last].iter().map(|row| format!("{}\n", row.trim_end())).collect()
}

/// The same without what time or chance chose: spans of time, ids, addresses, ports, and the room that these take.
#[must_use]
pub fn settled(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

fn word(word: &str) -> String {
    if word.starts_with("tcp://") {
        return "tcp://ADDRESS".to_owned();
    }
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    if bare.contains('.') && bare.parse::<f64>().is_ok() {
        return "TIME".to_owned();
    }
    let parts = word.split_inclusive(['-', ':']).map(|part| {
        let bare = part.trim_end_matches(['-', ':']);
        let id = bare.len() >= 8 && bare.chars().all(|letter| letter.is_ascii_hexdigit());
        if id { "ID".to_owned() } else { part.to_owned() }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn what_chance_chose_is_taken_out() {
        let line =
            "web1   azure   tcp://192.0.2.47:2376   web1-0a1b2c3d-vm wharf-8b785f77c2c2680a-nsg (3.1 s)";
        assert_eq!(settled(line), "web1 azure tcp://ADDRESS web1-IDvm wharf-IDnsg TIME s)\n");
        assert_eq!(settled("sha256:96d13c3d45f3 demo: ready"), "sha256:ID demo: ready\n");
    }
}
