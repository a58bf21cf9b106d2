//! Says what to write instead, for text that other programs read and a sweep file does not: merge keys, templates,
//! odd spaces, typographic quotes, numbers in quotes.

use super::error::{Issue, SpecErrors, lines};

/// Something in a line that people write and YAML reads otherwise.
struct Remark {
    /// In characters, from 1.
    column: usize,
    /// What is there.
    what: String,
    help: &'static str,
    reach: Reach,
}

/// The lines that a remark may explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Only its own.
    Line,
    /// Later ones too: without the space, YAML joins the line with the next.
    Later,
}

/// Adds to each problem the remedy that its line asks for. A space that YAML does not take for one, or a quote that is
/// none, explains the problem better than any "did you mean".
pub(super) fn explain(mut errors: SpecErrors, text: &str) -> SpecErrors {
    let lines: Vec<&str> = lines(text).collect();
    for issue in &mut errors.issues {
        let line = issue.line.checked_sub(1).and_then(|index| lines.get(index));
        if let Some(remark) = line.and_then(|line| remark(line).or_else(|| variable(line))) {
            issue.help = Some(format!("column {} has {}: {}", remark.column, remark.what, remark.help));
        }
    }
    errors
}

/// Returns the problem of a text that YAML refuses at `line` (0 if it does not say where), if that line or an earlier
/// one explains it.
pub(super) fn of_refused(text: &str, line: usize) -> Option<Issue> {
    let lines: Vec<&str> = lines(text).collect();
    // Without a position, any line may be the cause.
    let last = if line == 0 { lines.len() } else { line.min(lines.len()) };
    (0..last).rev().find_map(|index| {
        let remark = remark(lines[index])?;
        if remark.reach == Reach::Line && index + 1 != line {
            return None;
        }
        let (message, help) = (format!("there is {} here", remark.what), Some(remark.help.to_owned()));
        Some(Issue { line: index + 1, column: remark.column, path: String::new(), message, help })
    })
}

fn remark(line: &str) -> Option<Remark> {
    let characters: Vec<(char, Quoted)> = code(line);
    let remark =
        |index: usize, what: &str, help, reach| Some(Remark { column: index + 1, what: what.to_owned(), help, reach });
    let placeholder = (0..characters.len()).find(|start| {
        let mut rest = characters[*start..].iter().map(|(c, _)| *c);
        match (rest.next(), rest.next()) {
            (Some('{'), Some('%')) => true,
            // `{{*}}` may be a pattern of groups.
            (Some('{'), Some('{')) => rest.find(|c| *c != ' ').is_some_and(|c| c.is_alphanumeric() || c == '_'),
            _ => false,
        }
    });
    if let Some(index) = placeholder {
        let what = "a placeholder of a template (`{{ … }}` or `{% … %}`)";
        return remark(index, what, "a sweep file is no template: write the value there", Reach::Later);
    }
    let bare = characters.iter().enumerate().filter(|(_, (_, quoted))| *quoted == Quoted::No);
    let (index, c, (what, help, reach)) = bare.filter_map(|(index, (c, _))| Some((index, *c, odd(*c)?))).next()?;
    remark(index, &format!("{what} (U+{:04X})", u32::from(c)), help, reach)
}

/// Returns what an odd character is, and what to type instead.
fn odd(c: char) -> Option<(&'static str, &'static str, Reach)> {
    Some(match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => ("a non-breaking space", "type a plain space instead", Reach::Later),
        '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => {
            ("a space that YAML does not know", "type a plain space instead", Reach::Later)
        }
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
            ("an invisible character", "delete it: type the line anew", Reach::Later)
        }
        '\u{ff1a}' => ("a full-width colon", "type a plain `:` and a space instead", Reach::Later),
        '\u{ff0c}' => ("a full-width comma", "type a plain `,` instead", Reach::Line),
        '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '«' | '»' => {
            ("a typographic quote", "type a plain \" instead", Reach::Line)
        }
        _ => return None,
    })
}

fn variable(line: &str) -> Option<Remark> {
    let characters = code(line);
    let index = characters.windows(2).position(|two| two[0].0 == '$' && two[1].0 == '{')?;
    let help = "a sweep file has no variables: write the value";
    Some(Remark { column: index + 1, what: "a variable (`${…}`)".to_owned(), help, reach: Reach::Line })
}

/// Whether a character is between quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Yes,
    No,
}

/// Returns the characters of a line before its comment (a `#` after a space, outside quotes).
fn code(line: &str) -> Vec<(char, Quoted)> {
    let (mut open, mut before) = (None, ' ');
    let mut characters = Vec::new();
    for c in line.chars() {
        match open {
            None if c == '#' && before.is_whitespace() => break,
            // A quote within a word is an apostrophe.
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => open = Some(c),
            Some(quote) if quote == c => open = None,
            _ => {}
        }
        characters.push((c, if open.is_some() { Quoted::Yes } else { Quoted::No }));
        before = c;
    }
    characters
}

/// Returns how to write `text` as a number, if it is a number in other clothes.
pub(super) fn of_number(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    // A plain number would have been read as one.
    if is_number(trimmed) {
        return Some(format!("remove the quotes: write {trimmed}"));
    }
    if let Some(share) = trimmed.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok()) {
        return Some(format!("write {} instead of a percentage", share / 100.0));
    }
    let plain = trimmed.replace(['_', '\'', '\u{2009}', ' '], "");
    if plain != trimmed && is_number(&plain) {
        return Some(format!("write {plain}, without separators"));
    }
    let point = trimmed.replace(',', ".");
    (point != trimmed && is_number(&point)).then(|| format!("write {point}, with a decimal point"))
}

/// Returns how to write `text` as `true` or `false`, if it means one of them.
pub(super) fn of_switch(text: &str) -> Option<String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some("remove the quotes: write true".to_owned()),
        "false" => Some("remove the quotes: write false".to_owned()),
        "yes" | "y" | "on" => Some("write true".to_owned()),
        "no" | "n" | "off" => Some("write false".to_owned()),
        _ => None,
    }
}

/// Returns how to write a key that a colon and a value are glued to (`epochs:1`).
pub(super) fn of_key(text: &str, known: &[&str]) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    known
        .contains(&key.trim())
        .then(|| format!("write `{}: {}`, with a space after the colon", key.trim(), value.trim()))
}

/// Returns what to do about a message of the YAML reader.
pub(super) fn of_message(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    if message.contains("tab") {
        Some("indent with spaces: YAML allows no tabs there")
    } else if message.contains("block sequence") {
        Some("write a list in square brackets: `[a, b]`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_yaml_reads_as_code_is_remarked_on() {
        let column = |line: &str| remark(line).map(|remark| remark.column);
        assert_eq!(column("aé: “b”"), Some(5));
        assert_eq!(column("a:\u{a0}b"), Some(3));
        assert_eq!(column("a: {b: {{ c }}}"), Some(8));
        for line in
            ["a: 1 # {{ c }} and “", "a: \"“b\u{a0}c”\" # d", "it's: 1 # “", "groups: \"{{*}}_*\"", "a: {b: {c: 1}}"]
        {
            assert_eq!(column(line), None, "{line}");
        }
    }

    #[test]
    fn numbers_in_other_clothes_are_known() {
        let written = |text: &str| of_number(text).unwrap_or_default();
        assert_eq!(written("8"), "remove the quotes: write 8");
        assert_eq!(written("1e-3"), "remove the quotes: write 1e-3");
        assert_eq!(written("20 %"), "write 0.2 instead of a percentage");
        assert_eq!(written("1 000"), "write 1000, without separators");
        assert_eq!(written("0,01"), "write 0.01, with a decimal point");
        assert_eq!([written("ten"), written(""), written("nan")], [""; 3]);
    }
}
