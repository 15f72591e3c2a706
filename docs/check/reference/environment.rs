//! Variables: the program's own, and where each driver's stand.

use std::fmt::Write as _;

use wharf::Entry;
use wharf::describe::VARIABLES;

use super::cell;

pub(super) fn page(drivers: &[Entry]) -> String {
    let mut page = "# Variables\n\nWhat the program itself reads. A flag counts before its variable, and a variable before the \
                    [configuration file](../configuration.md). An empty one is as good as none.\n\n\
                    | variable | what it decides |\n|---|---|\n"
        .to_owned();
    for variable in VARIABLES {
        let _ = writeln!(page, "| `{}` | {} |", variable.name, cell(variable.what));
    }
    page += "\nDrivers have variables for their options:\n\n| driver | variables |\n|---|---|\n";
    for driver in drivers {
        let names = driver.settings().iter().flat_map(|setting| setting.env);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let name = driver.about().name;
        let none = if names.is_empty() { "none" } else { "" };
        let _ = writeln!(page, "| [{name}](options.md#{name}) | {}{none} |", names.join(" "));
    }
    page
}
