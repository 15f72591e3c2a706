//! Starts the program.
use std::process::ExitCode;

fn main() -> ExitCode {
    wharfd::main(std::env::args_os().collect())
}
