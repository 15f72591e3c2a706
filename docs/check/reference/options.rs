//! What can be set for each driver: one table each, from the drivers' own settings.

use std::fmt::Write as _;

use wharf::Entry;
use wharf_driver::{Setting, Takes};

use super::cell;

pub(super) fn page(drivers: &[Entry]) -> String {
    let mut page = "# Options of the drivers\n\nEach is a flag of `create`, a variable, a key of the configuration file below \
                    `drivers:` and the driver's name, and (unless it is a person's own) a key below `options:` of a fleet \
                    file; there and in the file without the driver's name in front. A flag counts first, then the profile of \
                    the cloud, the variable, the file. Names of docker-machine's are accepted as flags where they differ.\n"
        .to_owned();
    for driver in drivers {
        let about = driver.about();
        let also = about.aliases.iter().map(|alias| format!(", also called `{alias}`")).collect::<String>();
        let _ = write!(page, "\n## {}\n\n{}{also}.\n\n", about.name, sentence(about.summary));
        page += "| option | value | what it says | default | variable |\n|---|---|---|---|---|\n";
        for setting in driver.settings() {
            row(&mut page, setting);
        }
    }
    page
}

fn row(page: &mut String, setting: &Setting) {
    let value = match setting.takes {
        Takes::Text(name) | Takes::Path(name) => format!("`{name}`"),
        Takes::List(name) | Takes::Paths(name) => format!("`{name}`, repeatable"),
        Takes::Switch => String::new(),
        Takes::Personal(name) | Takes::PersonalPath(name) => format!("`{name}`, yours alone"),
        Takes::Secret(name) => format!("`{name}`, secret"),
    };
    let aliases: String = setting.aliases.iter().map(|alias| format!(" `--{alias}`")).collect();
    let default = match (setting.default, setting.at_terminal) {
        (Some(default), Some(there)) => format!("`{default}`; `{there}` at a terminal"),
        (Some(default), None) => format!("`{default}`"),
        (None, _) => String::new(),
    };
    let variables: Vec<String> = setting.env.iter().map(|name| format!("`{name}`")).collect();
    let (help, variables) = (cell(&sentence(setting.help)), variables.join(" "));
    let _ = writeln!(
        page,
        "| `--{}`{aliases} | {} | {help} | {default} | {variables} |",
        setting.flag,
        cell(&value)
    );
}

/// With a capital, as every other line.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
