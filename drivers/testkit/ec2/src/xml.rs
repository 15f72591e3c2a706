//! As much XML as EC2 speaks: elements and text. Answers are read, changed and written again.

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// What stands behind the name in its tag, as it is.
    pub(crate) attributes: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first element of a document; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            let (before, behind) = rest.split_at(at);
            if let Some(inner) = open.last_mut().filter(|_| !before.trim().is_empty()) {
                inner.text.push_str(before.trim());
            }
            let (tag, after) = behind.get(1..)?.split_once('>')?;
            rest = after;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            let done = if tag.starts_with('/') {
                open.pop()?
            } else {
                let alone = tag.ends_with('/');
                let tag = tag.trim_end_matches('/').trim_end();
                let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
                let (name, attributes) = (name.to_owned(), attributes.to_owned());
                let element = Self { name, attributes, ..Self::default() };
                if !alone {
                    open.push(element);
                    continue;
                }
                element
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(done),
                None => return Some(done),
            }
        }
        None
    }

    /// As a document.
    pub(crate) fn document(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        let space = if self.attributes.is_empty() { "" } else { " " };
        text.push_str(&format!("<{}{space}{}>{}", self.name, self.attributes, self.text));
        self.children.iter().for_each(|child| child.write(text));
        text.push_str(&format!("</{}>", self.name));
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(crate) fn say(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// The first child of this name, made where there is none.
    pub(crate) fn at(&mut self, name: &str) -> &mut Self {
        let at = self.children.iter().position(|child| child.name == name).unwrap_or_else(|| {
            self.children.push(Self { name: name.to_owned(), ..Self::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// Everything of this name in it, however deep.
    pub(crate) fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.all(name, found);
        }
    }
}

/// Text as it stands in an element. Bytes that no document can hold are left out.
pub(crate) fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Element, escaped};

    #[test]
    fn text_cannot_become_an_element() {
        assert_eq!(escaped("a <b> & \u{1b}[0mc"), "a &lt;b&gt; &amp; [0mc");
    }

    #[test]
    fn what_is_read_is_written_again() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><b>1</b><c/><b> 2 &amp; 3 </b></a>";
        let mut read = Element::parse(text).unwrap();
        assert_eq!((read.say("b"), read.children.len()), ("1", 3));
        read.at("c").text = "new".to_owned();
        let written = read.document();
        assert!(written.ends_with("<a xmlns=\"x\"><b>1</b><c>new</c><b>2 &amp; 3</b></a>"), "{written}");
        assert_eq!(Element::parse(&written), Some(read));
        assert_eq!(Element::parse("none"), None);
    }
}
