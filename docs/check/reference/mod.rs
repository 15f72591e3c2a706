//! The pages of the book's reference, made of the program's own data: `cargo run -p wharf-docs -- reference` writes them,
//! and a test compares what is written with what would be.

mod commands;
mod environment;
mod fleet_file;
mod options;

use std::path::PathBuf;

/// What every such page says first.
const MADE: &str = "<!-- Made by `cargo run -p wharf-docs -- reference`; change the program instead. -->\n\n";

/// Every page, by its file from the book's sources on.
#[must_use]
pub fn pages() -> Vec<(PathBuf, String)> {
    let drivers = crate::drivers();
    let pages = [
        ("commands.md", commands::page(&drivers)),
        ("options.md", options::page(&drivers)),
        ("environment.md", environment::page(&drivers)),
        ("exit-codes.md", exit_codes()),
        ("fleet-file.md", fleet_file::page(&drivers)),
    ];
    let place = PathBuf::from("reference");
    pages.map(|(name, text)| (place.join(name), format!("{MADE}{text}"))).into()
}

fn exit_codes() -> String {
    let mut page = "# Exit codes\n\nFixed: scripts may branch on them. Every error says what to do on a line that begins \
                    with `hint:`; where it does not know better, that is what stands here.\n\n\
                    | code | meaning | what to do |\n|---|---|---|\n"
        .to_owned();
    for code in wharf::describe::exit_codes() {
        page += &format!("| {} | {} | {} |\n", code.code, code.meaning, cell(code.hint));
    }
    page + "\n`wharf ssh NAME COMMAND` ends with the command's own code.\n"
}

/// As a cell of a table may say it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
