//! A page of prose, and what in it can be checked: fenced blocks with what their fences say, and code in the text.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its file, from the repository on.
    pub path: PathBuf,
    /// Where its commands run: what the comment `<!-- stage: NAME -->` names.
    pub stage: Option<String>,
    /// Its fenced blocks, in order.
    pub blocks: Vec<Block>,
    /// Code within sentences, in order.
    pub code: Vec<String>,
    /// What it links to.
    pub links: Vec<String>,
    /// What its headings are called in links to them.
    pub anchors: Vec<String>,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The line that its fence stands on.
    pub line: usize,
    /// The first word of its fence.
    pub language: String,
    /// The rest of it.
    pub says: String,
    /// What is in it.
    pub text: String,
}

impl Page {
    /// Reads the page at `path`, which hangs on the repository.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(crate::root().join(&path)).expect("a page that is there");
        Self::parse(path, &text)
    }

    fn parse(path: PathBuf, text: &str) -> Self {
        let mut page = Self {
            path,
            stage: None,
            blocks: Vec::new(),
            code: Vec::new(),
            links: Vec::new(),
            anchors: Vec::new(),
        };
        let mut open: Option<Block> = None;
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let line = text[..range.start].lines().count() + 1;
                    let (language, says) = info.split_once(' ').unwrap_or((&info, ""));
                    let (language, says) = (language.to_owned(), says.to_owned());
                    open = Some(Block { line, language, says, text: String::new() });
                }
                Event::Text(more) => {
                    if let Some(block) = &mut open {
                        block.text += &more;
                    }
                    if let Some(heading) = &mut heading {
                        *heading += &more;
                    }
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(open.take()),
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        *heading += &code;
                    }
                    page.code.push(code.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    let numbered = (1..).map(|n| format!("{name}-{n}"));
                    let mut names = std::iter::once(name.clone()).chain(numbered);
                    page.anchors.extend(names.find(|name| !page.anchors.contains(name)));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let stage =
                        html.trim().strip_prefix("<!-- stage: ").and_then(|rest| rest.strip_suffix(" -->"));
                    page.stage = stage.map(str::to_owned).or(page.stage);
                }
                _ => {}
            }
        }
        page
    }

    /// Its blocks of commands.
    pub fn consoles(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| block.language == "console")
    }
}

/// The name of a heading's place, as mdBook makes it: letters and digits in lower case, hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some('-'),
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

impl Block {
    /// What the fence says of `key`, in quotes.
    #[must_use]
    pub fn says(&self, key: &str) -> Option<&str> {
        let (_, rest) = self.says.split_once(&format!("{key}=\""))?;
        Some(rest.split_once('"')?.0)
    }

    /// Why it is not run, if it is not.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.says("norun")
    }

    /// Each command with the lines under it, and how it is to end.
    #[must_use]
    pub fn commands(&self) -> Vec<Shown> {
        let mut commands: Vec<Shown> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (_, Some(last)) if goes_on => last.command += &format!("\n{line}"),
                (Some(command), _) => {
                    commands.push(Shown { command: command.to_owned(), output: Vec::new(), code: 0 });
                }
                (None, Some(last)) => {
                    match line.strip_prefix("[exit ").and_then(|rest| rest.strip_suffix(']')) {
                        Some(code) => last.code = code.parse().expect("a code in `[exit N]`"),
                        None => last.output.push(line.to_owned()),
                    }
                }
                (None, None) => panic!("line {}: a block of commands begins with `$ `", self.line),
            }
            let typed = line.strip_prefix("$ ").is_some() || goes_on;
            goes_on = typed && line.ends_with('\\');
        }
        commands
    }
}

/// A command, as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// What is typed.
    pub command: String,
    /// What is printed; nothing shown is nothing said about it.
    pub output: Vec<String>,
    /// What it ends with.
    pub code: i32,
}

/// The pages that the book's summary lists, and those beside the sources that show commands.
///
/// # Panics
/// When the book cannot be read.
#[must_use]
pub fn all() -> Vec<Page> {
    let summary = Page::read("docs/src/SUMMARY.md");
    let in_book = summary.links.iter().map(|link| Path::new("docs/src").join(link));
    let beside =
        ["README.md", "CONTRIBUTING.md", "examples/aws/README.md", "examples/azure-stack-lab/README.md"];
    let more = ["examples/ci/README.md", "examples/fleet/README.md", "examples/existing-host/README.md"];
    let beside = beside.into_iter().chain(more).map(PathBuf::from);
    in_book.chain(beside).map(Page::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# The title, (first)\n<!-- stage: azure -->\n\nSee `wharf ls -q` and [more](more.md).\n\n\
        ```console norun=\"needs an account\"\n$ wharf ls\n$ wharf create \\\n    web1\nweb1: ready\n[exit 3]\n```\n\n\
        ```yaml file=\"fleet.yaml\"\nfleet: shop\n```\n\n## Ends\n## Ends\n## Ends\n";

    #[test]
    fn a_page_is_its_blocks() {
        let page = Page::parse("x.md".into(), PAGE);
        assert_eq!(page.stage.as_deref(), Some("azure"));
        assert_eq!(
            (page.code.as_slice(), page.links.as_slice()),
            (&["wharf ls -q".to_owned()][..], &["more.md".to_owned()][..])
        );
        assert_eq!(page.anchors, ["the-title-first", "ends", "ends-1", "ends-2"]);
        let [console, yaml] = page.blocks.as_slice() else { panic!("{page:?}") };
        assert_eq!((console.line, console.left_out()), (6, Some("needs an account")));
        assert_eq!((yaml.says("file"), yaml.text.as_str()), (Some("fleet.yaml"), "fleet: shop\n"));
        let create = Shown {
            command: "wharf create \\\n    web1".to_owned(),
            output: vec!["web1: ready".to_owned()],
            code: 3,
        };
        let ls = Shown { command: "wharf ls".to_owned(), output: Vec::new(), code: 0 };
        assert_eq!(console.commands(), [ls, create]);
    }
}
