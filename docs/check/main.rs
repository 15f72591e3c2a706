//! Makes what of the book is made: its reference from the program, its screens from a terminal, and the book itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wharf_docs::page::Page;
use wharf_docs::screen::{self, SCENES, SESSION, Scene, WIDTHS};
use wharf_docs::{book, play, reference};

/// Makes what of the book is made.
#[derive(Debug, Parser)]
#[command(name = "wharf-docs", version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The pages under `docs/src/reference`, from the program's grammar, settings and codes
    Reference,
    /// The screens under `docs/screens`, by running the program at a terminal; the session needs WHARF_TEST_GUEST and
    /// WHARF_TEST_DOCKER, as `tests/run.sh` sets them
    Screens {
        /// Only the README's session
        #[arg(long)]
        session: bool,
    },
    /// The book, into `docs/book`
    #[cfg(feature = "html")]
    Book,
    /// Nothing: runs a page's commands on its stage, and prints what they print
    Play {
        /// The page, such as docs/src/tutorial.md
        page: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().what {
        What::Reference => write_reference(),
        What::Screens { session } => write_screens(session),
        What::Play { page } => show(page),
        #[cfg(feature = "html")]
        What::Book => {
            let built = mdbook_driver::MDBook::load(book()).and_then(|book| book.build());
            built.map_err(|error| format!("{error:#}"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "wharf-docs: {why}");
            ExitCode::FAILURE
        }
    }
}

fn write_reference() -> Result<(), String> {
    for (path, text) in reference::pages() {
        write(&book().join("src").join(path), &text)?;
    }
    Ok(())
}

fn write_screens(session: bool) -> Result<(), String> {
    if !session {
        for scene in SCENES {
            for columns in WIDTHS {
                let recorded = screen::record(scene, columns)?;
                write(&file(scene, columns, "txt"), &screen::text(recorded.screen()))?;
            }
        }
    }
    for columns in WIDTHS {
        let recorded = screen::record(&SESSION, columns)?;
        let title = format!("a session of wharf: {}", SESSION.typed.join("; "));
        write(&file(&SESSION, columns, "svg"), &screen::image(recorded.screen(), &title))?;
        write(&file(&SESSION, columns, "txt"), &screen::text(recorded.screen()))?;
    }
    Ok(())
}

fn show(page: PathBuf) -> Result<(), String> {
    for played in play::play(&Page::read(page))? {
        // Whoever closed stdout does not want to know.
        let _ = writeln!(std::io::stdout(), "{}", played.transcript());
    }
    Ok(())
}

fn file(scene: &Scene, columns: u16, kind: &str) -> PathBuf {
    book().join("screens").join(format!("{}-{columns}.{kind}", scene.name))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
