//! Sentences as wide as the terminal that they are printed to: broken between words, since a terminal breaks wherever its
//! edge is. What is there to be copied stays whole, however wide: a path, an address, and a command, which stands behind two
//! spaces.

/// `text` with lines of at most `width` letters; 0, where nobody knows, leaves it as it is. What continues a line stands
/// below its beginning. Colours take no room.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    if width == 0 {
        return text.to_owned();
    }
    let lines = text.split_inclusive('\n');
    lines
        .map(|line| if letters(line.trim_end()) > width { broken(line, width) } else { line.to_owned() })
        .collect()
}

fn broken(line: &str, width: usize) -> String {
    let content = line.trim_start_matches(' ');
    let indent = &line[..line.len() - content.len()];
    // Half of a narrow terminal is left for words in any case.
    let indent = &indent[..indent.len().min(width / 2)];
    let mut text = String::from(indent);
    let mut length = indent.len();
    let (sentence, command) = match content.split_once("  ") {
        Some((sentence, command)) => (sentence, Some(command.trim_start())),
        None => (content, None),
    };
    for (number, word) in sentence.split(' ').chain(command).enumerate() {
        let wide = letters(word.trim_end());
        if number > 0 && length + 1 + wide > width && length > indent.len() {
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
            text.push_str(indent);
            length = indent.len();
        } else if number > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += wide;
    }
    text
}

/// How many there are to be seen.
fn letters(text: &str) -> usize {
    let (mut count, mut hidden) = (0, false);
    for letter in text.chars() {
        match letter {
            '\x1b' => hidden = true,
            'm' if hidden => hidden = false,
            _ if hidden => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_sentence_is_broken_between_words() {
        let said = "hint: make one with build.sh, and name it\n";
        assert_eq!(wrapped(said, 0), said, "nobody knows how wide it is");
        assert_eq!(wrapped(said, 41), said);
        assert_eq!(wrapped(said, 20), "hint: make one with\nbuild.sh, and name\nit\n");
    }

    #[test]
    fn each_line_is_its_own_and_keeps_its_place() {
        assert_eq!(
            wrapped("short\n  because: it is closed\n\nlast one here", 14),
            "short\n  because: it\n  is closed\n\nlast one here"
        );
        assert_eq!(
            wrapped("Use it:  docker run --rm first\nnow", 12),
            "Use it:\ndocker run --rm first\nnow",
            "a command is copied as one line"
        );
    }

    #[test]
    fn what_is_to_be_copied_stays_whole() {
        assert_eq!(wrapped("see /a/very/long/path now\n", 10), "see\n/a/very/long/path\nnow\n");
        assert_eq!(wrapped("        deep down there", 8), "    deep\n    down\n    there");
    }

    #[test]
    fn colours_take_no_room() {
        let said = "\x1b[1;31merror:\x1b[0m no such machine\n";
        assert_eq!(wrapped(said, 22), said);
        assert_eq!(wrapped(said, 15), "\x1b[1;31merror:\x1b[0m no such\nmachine\n");
    }
}
