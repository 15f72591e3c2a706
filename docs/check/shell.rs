//! Takes a shell's command line apart as far as it takes to find the commands of `wharf` in it, those in `$(…)` included.

/// Every command of this line that runs `program`, as the words behind that name.
#[must_use]
pub fn calls(line: &str, program: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for words in commands(line) {
        let mut words =
            words.into_iter().skip_while(|word| is_assignment(word) || is_prefix(word)).peekable();
        if words.next_if(|word| word == program).is_some() {
            // What stands for further words is none.
            calls.push(words.filter(|word| word != "…").collect());
        }
    }
    calls
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

fn is_prefix(word: &str) -> bool {
    ["sudo", "eval", "exec", "time", "!", "if", "then", "do", "{"].contains(&word)
}

/// The simple commands of a line.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut lexer = Lexer { letters: line.chars().collect(), at: 0, found: Vec::new() };
    lexer.list(None);
    lexer.found
}

struct Lexer {
    letters: Vec<char>,
    at: usize,
    found: Vec<Vec<String>>,
}

impl Lexer {
    fn next(&mut self) -> Option<char> {
        let letter = self.letters.get(self.at).copied();
        self.at += 1;
        letter
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    /// Commands up to `end`.
    fn list(&mut self, end: Option<char>) {
        let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
        while let Some(letter) = self.next() {
            match letter {
                _ if Some(letter) == end => break,
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(escaped) => word.get_or_insert_default().push(escaped),
                },
                '\'' => self.quoted(word.get_or_insert_default()),
                '"' => self.double(word.get_or_insert_default()),
                '$' if self.peek() == Some('(') => {
                    self.at += 1;
                    self.list(Some(')'));
                    word.get_or_insert_default().push_str("SUBSTITUTED");
                }
                '#' if word.is_none() => while self.next().is_some_and(|letter| letter != '\n') {},
                ' ' | '\t' => words.extend(word.take()),
                ';' | '&' | '|' | '\n' | '(' | ')' => {
                    words.extend(word.take());
                    self.found.push(std::mem::take(&mut words));
                }
                '<' | '>' => {
                    words.extend(word.take());
                    self.redirection();
                }
                _ => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        self.found.push(words);
    }

    fn quoted(&mut self, word: &mut String) {
        while let Some(letter) = self.next().filter(|letter| *letter != '\'') {
            word.push(letter);
        }
    }

    fn double(&mut self, word: &mut String) {
        while let Some(letter) = self.next().filter(|letter| *letter != '"') {
            match letter {
                '\\' => word.extend(self.next()),
                '$' if self.peek() == Some('(') => {
                    self.at += 1;
                    self.list(Some(')'));
                }
                _ => word.push(letter),
            }
        }
    }

    /// Where something goes to or comes from is no word of the command.
    fn redirection(&mut self) {
        while self.peek().is_some_and(|letter| "<>& ".contains(letter)) {
            self.at += 1;
        }
        while self.peek().is_some_and(|letter| !" ;|\n)".contains(letter)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_wherever_they_stand() {
        let of = |line: &str| -> Vec<String> {
            calls(line, "wharf").iter().map(|words| words.join("|")).collect()
        };
        assert_eq!(of("wharf create web1 web2   # two"), ["create|web1|web2"]);
        assert_eq!(of("eval \"$(wharf env web1)\""), ["env|web1"]);
        assert_eq!(of("A=b wharf stop web1; wharf start web1 && docker ps"), ["stop|web1", "start|web1"]);
        assert_eq!(of("wharf tunnel rack1 -- docker ps"), ["tunnel|rack1|--|docker|ps"]);
        assert_eq!(of("wharf schema > fleet.json"), ["schema"]);
        assert_eq!(of("wharf ssh web1 'echo a; b' | wc -l"), ["ssh|web1|echo a; b"]);
        assert_eq!(of("wharf create \\\n  --driver ssh …"), ["create|--driver|ssh"]);
        assert_eq!(of("docker run wharf"), [""; 0]);
    }
}
