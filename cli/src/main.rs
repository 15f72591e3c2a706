//! Starts the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf::run(std::env::args_os(), wharf::World::real())
}
