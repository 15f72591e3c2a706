//! Every command that a page shows is run, or says why not; every one is understood by the program's own grammar.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use wharf_docs::page::{Page, all};
use wharf_docs::play::play;
use wharf_docs::shell::calls;

/// Whether the program takes these words.
fn understood(words: &[String]) -> Result<(), String> {
    let line = std::iter::once("wharf").chain(words.iter().map(String::as_str));
    match wharf::describe::grammar(&wharf_docs::drivers()).try_get_matches_from(line) {
        Ok(_) => Ok(()),
        // An answer, and no mistake.
        Err(answer) if !answer.use_stderr() => Ok(()),
        Err(mistake) => Err(mistake.to_string()),
    }
}

#[test]
fn every_command_is_one_that_the_program_takes() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in all() {
        for block in page.consoles() {
            for shown in block.commands().iter().filter(|shown| shown.code != 2) {
                for words in calls(&shown.command, "wharf") {
                    seen += 1;
                    // What speaks as docker-machine has a grammar of its own.
                    if words.first().is_some_and(|word| word == "docker-machine") {
                        continue;
                    }
                    if let Err(why) = understood(&words) {
                        wrong.push(format!(
                            "{}:{}: {}: {why}",
                            page.path.display(),
                            block.line,
                            shown.command
                        ));
                    }
                }
            }
        }
    }
    assert!(seen > 50, "the search found too little to be true: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every flag of every command.
fn flags(command: &clap::Command, found: &mut BTreeSet<String>) {
    for arg in command.get_arguments() {
        found.extend(arg.get_long().map(str::to_owned));
        found.extend(arg.get_all_aliases().into_iter().flatten().map(str::to_owned));
    }
    command.get_subcommands().for_each(|below| flags(below, found));
}

#[test]
fn every_flag_and_command_in_the_prose_is_the_programs() {
    let grammar = wharf::describe::grammar(&wharf_docs::drivers());
    // The last two are scripts' of this repository.
    let others = ["help", "version", "clean", "dev"];
    let mut known = BTreeSet::from(others.map(str::to_owned));
    flags(&grammar, &mut known);
    let verbs: BTreeSet<&str> = grammar.get_subcommands().map(clap::Command::get_name).collect();
    let mut wrong = Vec::new();
    for page in all() {
        for code in &page.code {
            let words: Vec<&str> = code.split_whitespace().collect();
            let ours = words.first().is_some_and(|word| *word == "wharf" || word.starts_with("--"));
            if !ours {
                continue;
            }
            let flags =
                words.iter().take_while(|word| **word != "--").filter_map(|word| word.strip_prefix("--"));
            for flag in flags.map(|flag| flag.split('=').next().unwrap().trim_end_matches(['…', ',', '*']))
            {
                // `--azure-…` names many.
                let one = known.contains(flag);
                let several = flag.ends_with('-') && known.iter().any(|known| known.starts_with(flag));
                if !(one || several) {
                    wrong.push(format!("{}: `{code}`: there is no --{flag}", page.path.display()));
                }
            }
            let verb = words.get(1).filter(|_| words[0] == "wharf").map(|verb| verb.trim_end_matches(','));
            let names =
                |verb: &str| verb.split('|').all(|verb| verbs.contains(verb) || verb == "docker-machine");
            if let Some(verb) =
                verb.filter(|verb| verb.starts_with(|l: char| l.is_ascii_lowercase()) && !names(verb))
            {
                wrong.push(format!("{}: `{code}`: there is no `wharf {verb}`", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_run_says_why() {
    for page in all() {
        for block in page.consoles().filter(|block| block.left_out().is_some()) {
            let reason = block.left_out().unwrap();
            assert!(reason.split(' ').count() > 2, "{}:{}: `{reason}`", page.path.display(), block.line);
        }
        let runs = page.consoles().any(|block| block.left_out().is_none());
        let known = page.stage.is_some() || !runs;
        assert!(known, "{}: commands without `norun`, and no `<!-- stage: … -->`", page.path.display());
    }
}

/// As many pages are played at once: most of their time they wait for machines.
const AT_ONCE: usize = 6;

#[test]
fn every_page_shows_what_happens() {
    let pages = all().into_iter().filter(|page| page.stage.is_some());
    let pages: Mutex<VecDeque<Page>> = Mutex::new(pages.collect());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(page) = pages.lock().unwrap().pop_front() else { return };
                    wrong.lock().unwrap().extend(mistakes(&page));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a page shows and does not happen.
fn mistakes(page: &Page) -> Vec<String> {
    let played = match play(page) {
        Ok(played) => played,
        Err(why) => {
            wharf_tests::skip(&format!("the commands of {}", page.path.display()), &why);
            return Vec::new();
        }
    };
    let wrong = played.iter().filter(|one| !one.is_true()).map(|one| {
        let (at, expected) = (page.path.display(), one.shown.output.join("\n"));
        format!(
            "{at}:{}: {}--- shown, with exit {}\n{expected}\n",
            one.line,
            one.transcript(),
            one.shown.code
        )
    });
    wrong.collect()
}
