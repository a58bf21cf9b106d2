//! Reads the group of an image (its slide, its patient) from the image's name.

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Length of the longest pattern, in bytes.
const LONGEST: usize = 256;

/// A pattern for names, with the part that is the group in braces: `{*}_*_*` finds `slide-7` in
/// `slide-7_1024_2048.png`. `*` matches any characters, as few as possible; `?` matches one character; all others match
/// themselves. No pattern matches a literal brace. The pattern is matched with an image's whole path below its class
/// folder, so `{*}/*` finds the folder of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupPattern {
    text: String,
    /// The pieces between the stars: at least one. There is a star between each two pieces.
    pieces: Vec<Vec<Character>>,
    /// The beginning and the end of the group.
    group: Range<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Character {
    Any,
    This(char),
}

impl Character {
    fn is(self, found: char) -> bool {
        match self {
            Character::Any => true,
            Character::This(expected) => expected == found,
        }
    }
}

/// A place in a pattern: the number of characters before it in a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    piece: usize,
    offset: usize,
}

/// The reason why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Braces are missing, doubled, or closed before they open.
    #[error("it must have one part in braces, which names the group, as in `{{*}}_*`")]
    Braces,
    /// The braces are empty.
    #[error("the braces are empty: put `*` between them")]
    Empty,
    /// The text is too long, or has characters that no name has.
    #[error("it is longer than {LONGEST} bytes or has control characters")]
    Unfit,
}

impl GroupPattern {
    /// Returns the group of the image `name`, its path below its class folder. `None` if the name does not match, or if
    /// the group would be empty.
    pub fn group_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        // The offset of each character in bytes, and of the end.
        let bytes: Vec<usize> = name.char_indices().map(|(byte, _)| byte).chain([name.len()]).collect();
        let name_chars: Vec<char> = name.chars().collect();
        let begins = self.places(&name_chars)?;
        let at = |mark: Mark| bytes[begins[mark.piece] + mark.offset];
        let group = &name[at(self.group.start)..at(self.group.end)];
        (!group.is_empty()).then_some(group)
    }

    /// Returns where each piece begins in `name`: the first at its beginning, the last at its end, those between as
    /// early as possible.
    fn places(&self, name: &[char]) -> Option<Vec<usize>> {
        let fits = |piece: &[Character], at: usize| {
            let found = name.get(at..at + piece.len());
            found.is_some_and(|found| piece.iter().zip(found).all(|(character, found)| character.is(*found)))
        };
        let mut places = Vec::with_capacity(self.pieces.len());
        let mut free = 0;
        for (i, piece) in self.pieces.iter().enumerate() {
            let latest = name.len().checked_sub(piece.len())?;
            let place = match (i == 0, i + 1 == self.pieces.len()) {
                (true, true) => (latest == 0 && fits(piece, 0)).then_some(0),
                (true, false) => fits(piece, 0).then_some(0),
                (false, true) => (latest >= free && fits(piece, latest)).then_some(latest),
                (false, false) => (free..=latest).find(|at| fits(piece, *at)),
            }?;
            places.push(place);
            free = place + piece.len();
        }
        Some(places)
    }
}

impl FromStr for GroupPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(PatternError::Unfit);
        }
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        let (mut start, mut end) = (None, None);
        for character in text.chars() {
            let mark = Mark { piece: pieces.len(), offset: piece.len() };
            match character {
                '*' => pieces.push(std::mem::take(&mut piece)),
                '?' => piece.push(Character::Any),
                '{' if start.is_none() => start = Some(mark),
                '}' if start.is_some() && end.is_none() => end = Some(mark),
                '{' | '}' => return Err(PatternError::Braces),
                other => piece.push(Character::This(other)),
            }
        }
        pieces.push(piece);
        match (start, end) {
            (Some(start), Some(end)) if start == end => Err(PatternError::Empty),
            (Some(start), Some(end)) => Ok(Self { text: text.to_owned(), pieces, group: start..end }),
            _ => Err(PatternError::Braces),
        }
    }
}

impl std::fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for GroupPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<GroupPattern> for String {
    fn from(pattern: GroupPattern) -> Self {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_from_names() {
        let group = |pattern: &str, name: &'static str| pattern.parse::<GroupPattern>().expect("good").group_of(name);
        assert_eq!(group("{*}_*_*", "slide-7_1024_2048.png"), Some("slide-7"));
        assert_eq!(group("{*}_*", "slide-7_1024_2048.png"), Some("slide-7"));
        assert_eq!(group("{TCGA-*-*}-*", "TCGA-A1-A0SB-01Z-00-DX1_1_2.png"), Some("TCGA-A1-A0SB"));
        assert_eq!(group("{????????????}*", "TCGA-A1-A0SB-01Z-00-DX1_1_2.png"), Some("TCGA-A1-A0SB"));
        assert_eq!(group("slide_{*}_*", "slide_12_0_256.png"), Some("12"));
        assert_eq!(group("{*}/*", "patient 3/left/0.png"), Some("patient 3"));
        assert_eq!(group("*-{*}.png", "0001-é日.png"), Some("é日"));
        assert_eq!(group("{*}", "a.png"), Some("a.png"));
        assert_eq!(group("{a}.png", "a.png"), Some("a"));
        // Names that do not match, and names with an empty group.
        let others = [
            ("{*}_*", "slide.png"),
            ("{*}_*", "_1.png"),
            ("{a}.png", "ab.png"),
            ("{*}_*_*", "a_b.png"),
            ("a{*}a", "a"),
            ("{*}b", "bc"),
            ("{?}", ""),
        ];
        for (pattern, name) in others {
            assert_eq!(group(pattern, name), None, "{pattern} {name}");
        }
    }

    #[test]
    fn other_texts_are_no_patterns() {
        let refused = |text: &str| text.parse::<GroupPattern>().expect_err("a mistake");
        for text in ["", "*_*", "{*", "*}", "}{", "{*}{*}", "{{*}}"] {
            assert_eq!(refused(text), PatternError::Braces, "{text}");
        }
        assert_eq!(refused("{}_*"), PatternError::Empty);
        assert_eq!(refused("{*}\n"), PatternError::Unfit);
        assert_eq!(refused(&format!("{{*}}{}", "x".repeat(LONGEST))), PatternError::Unfit);
        let pattern: GroupPattern = serde_json::from_str("\"{*}_*\"").expect("a pattern");
        assert_eq!(serde_json::to_string(&pattern).expect("JSON"), "\"{*}_*\"");
    }
}
