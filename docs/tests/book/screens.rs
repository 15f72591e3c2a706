//! The screens that are kept are what the program shows, fit their width, and the README's session is a recorded one.

use wharf_docs::screen::{SCENES, SESSION, Scene, WIDTHS, record, settled, text};
use wharf_docs::{book, root};

fn kept(scene: &Scene, columns: u16) -> String {
    let file = book().join("screens").join(format!("{}-{columns}.txt", scene.name));
    std::fs::read_to_string(file).expect("`cargo run -p wharf-docs -- screens` records it")
}

fn is_kept(scene: &Scene, columns: u16) {
    match record(scene, columns) {
        Ok(recorded) => assert_eq!(
            settled(&text(recorded.screen())),
            settled(&kept(scene, columns)),
            "{} at {columns}: `cargo run -p wharf-docs -- screens` records it anew",
            scene.name
        ),
        Err(why) => wharf_tests::skip(&format!("the screen {} at {columns}", scene.name), &why),
    }
}

#[test]
fn what_is_kept_is_what_is_shown() {
    for scene in SCENES {
        for columns in WIDTHS {
            is_kept(scene, columns);
        }
    }
}

/// Its commands are the tutorial's, which are run: a machine more would only take longer.
#[test]
fn the_session_of_the_readme_is_a_recorded_one() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("docs/screens/session-80.svg"), "the README shows its session");
    let image = std::fs::read_to_string(book().join("screens/session-80.svg")).unwrap();
    for command in SESSION.typed {
        let shown = command.replace('&', "&amp;").replace('>', "&gt;");
        assert!(image.contains(&shown), "{shown}");
    }
    for line in kept(&SESSION, 80).lines().flat_map(|line| line.split("   ")).filter(|part| !part.is_empty())
    {
        let shown = line.trim().replace('&', "&amp;").replace('"', "&quot;");
        assert!(image.contains(shown.trim_start_matches("$ ")), "{shown}");
    }
}

#[test]
fn no_row_of_a_list_is_broken_by_a_narrow_terminal() {
    let scene = SCENES.iter().find(|scene| scene.name == "create").unwrap();
    for columns in WIDTHS {
        let screen = kept(scene, columns);
        let row = screen.lines().find(|line| line.starts_with("web1 ")).expect("a row of `wharf ls`");
        assert!(row.contains("tcp://") && row.ends_with("Unknown"), "{row}");
    }
}
