//! Every command's help, but for what drivers add, which has a page of its own.

use std::fmt::Write as _;

use clap::Command;
use wharf::Entry;

/// As wide as a page shows it without a bar to scroll.
const WIDTH: usize = 90;

pub(super) fn page(drivers: &[Entry]) -> String {
    let mut root = wharf::describe::grammar(drivers).term_width(WIDTH);
    root.build();
    let mut page = "# Commands\n\nWhat `wharf COMMAND --help` says. The global options stand with `wharf` itself and hold for \
                    every command; what drivers add to `create`, `adopt`, `gc` and `cloud add` is on the page \
                    [Options of the drivers](options.md).\n\n"
        .to_owned();
    let _ = write!(page, "## wharf\n\n```text\n{}```\n\n", help(&root));
    for command in visible(&root) {
        section(&mut page, &format!("wharf {}", command.get_name()), command, 2);
        for below in visible(command) {
            section(&mut page, &format!("wharf {} {}", command.get_name(), below.get_name()), below, 3);
        }
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

fn section(page: &mut String, name: &str, command: &Command, depth: usize) {
    // What stands elsewhere is not said forty times.
    let own = command.clone().mut_args(|arg| {
        let elsewhere = arg
            .get_help_heading()
            .is_some_and(|heading| heading == "Global options" || heading.starts_with("Options of --driver"));
        if elsewhere { arg.hide(true) } else { arg }
    });
    let own = own.term_width(WIDTH).bin_name(name.to_owned());
    let _ = write!(page, "{} {name}\n\n```text\n{}```\n\n", "#".repeat(depth), help(&own));
}

fn help(command: &Command) -> String {
    let text = command.clone().render_long_help().to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
