//! The local driver with a QEMU that only plays one: every verb, every way to be killed, nothing left behind.
//!
//! This executable is test, supervisor (`supervise local FOLDER`), QEMU (any argument `-qmp`), server of shares (any
//! argument `--shared-dir`) and victim (`make FOLDER`, which is killed half-way) in one, so that nothing else needs to be
//! built or found.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr, reason = "all of this is a test")]

mod engine;
mod fake_qemu;
mod fake_virtiofsd;
mod kill;
mod life;
mod ports;
mod shares;
mod suite;
mod world;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["supervise", "local", folder] => wharf_driver_local::supervise(Path::new(folder)),
        ["make", home] => world::make(Path::new(home)),
        ["--help"] if fake_virtiofsd::is_meant() => fake_virtiofsd::help(),
        words if words.contains(&"--shared-dir") => fake_virtiofsd::run(words),
        ["--version"] => ExitCode::SUCCESS,
        // Called by another name, it is a QEMU that was built without.
        ["-device", device] if device.ends_with(",help") => {
            let called = std::env::args().next().unwrap_or_default();
            let lacks = called.rsplit_once("without-").is_some_and(|(_, what)| device.contains(what));
            ExitCode::from(u8::from(lacks))
        }
        words if words.contains(&"-qmp") => fake_qemu::run(&arguments),
        _ => {
            let trials = [life::trials(), kill::trials(), ports::trials(), shares::trials(), suite::trials()]
                .concat_trials();
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

trait Concat {
    fn concat_trials(self) -> Vec<Trial>;
}

impl<const N: usize> Concat for [Vec<Trial>; N] {
    fn concat_trials(self) -> Vec<Trial> {
        self.into_iter().flatten().collect()
    }
}
