//! Making foreign text safe to show: log lines, class names and messages come from other machines
//! and from users, and end up in HTML, Markdown, CSV, terminals and file names.

/// `text` on one line, without anything that a terminal or a browser would act on: control
/// characters, ANSI escape sequences and direction overrides go, line breaks and tabs become spaces.
pub fn line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\n' | '\t' => clean.push(' '),
            c if c.is_control() || is_direction_override(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// Skips what follows an ESC: a control sequence up to its final byte, an operating system command up
/// to its terminator, or one character.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => drop(rest.find(|c| ('\u{40}'..='\u{7e}').contains(c))),
        Some(']') => drop(rest.find(|c| matches!(c, '\u{7}' | '\u{1b}'))),
        _ => {}
    }
}

fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` as HTML or SVG text or attribute value, on one line.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Lines of text as the content of an HTML `<pre>`.
pub fn html_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().map(html).collect::<Vec<_>>().join("\n")
}

/// `text` as Markdown text, safe inside a table: every character with a meaning is escaped.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in line(text).chars() {
        if "\\`*_{}[]<>|#~&!".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `text` as LaTeX text that every engine sets without further packages. Every character with a meaning is escaped. Signs
/// that reports use become commands, and characters outside of Latin-1 become `?`.
pub fn latex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '±' => escaped.push_str("$\\pm$"),
            '·' => escaped.push_str("$\\cdot$"),
            '−' => escaped.push_str("$-$"),
            '–' => escaped.push_str("--"),
            '—' => escaped.push_str("---"),
            // The fonts that LaTeX loads by itself have no glyphs for these four letters of Latin-1.
            'Ð' | 'ð' | 'Þ' | 'þ' => escaped.push('?'),
            ' '..='~' | 'À'..='ÿ' => escaped.push(c),
            _ => escaped.push('?'),
        }
    }
    escaped
}

/// `text` as a CSV field (RFC 4180): quoted where it holds a separator, a quote or a line break.
pub fn csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// `text` as one component of a path: `[A-Za-z0-9._-]`, no leading dot, never empty, 200 bytes at most.
pub fn file_name(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    if name.is_empty() || name.starts_with('.') {
        name.insert(0, '-');
    }
    // A long name is cut in its middle: both its start and its extension say what it is.
    if name.len() > 200 {
        name.replace_range(100..name.len() - 100, "");
    }
    name
}

/// `text` cut to `most` characters, with an ellipsis where something was cut.
pub fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// `n` with a comma between groups of three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a number of bytes as people read it: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => counted(bytes, "byte"),
    }
}

/// Returns a count and what is counted: `1 cell`, `2 cells`, `1,200 test classes`. `noun` is one of them.
pub fn counted(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    if n == 1 { format!("1 {noun}") } else { format!("{} {}", grouped(n), plural(noun)) }
}

/// Returns the words that agree with a count: `one` if it is 1, else `several`.
pub fn agreeing<'w>(n: impl TryInto<u64>, one: &'w str, several: &'w str) -> &'w str {
    if n.try_into().is_ok_and(|n| n == 1) { one } else { several }
}

/// Returns several of what ends in a regular noun.
fn plural(noun: &str) -> String {
    let before_last = noun.chars().rev().nth(1);
    match noun.strip_suffix('y') {
        Some(stem) if !before_last.is_some_and(|c| "aeiou".contains(c)) => format!("{stem}ies"),
        _ if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_loses_its_teeth() {
        assert_eq!(line("a\u{1b}[31;1mred\u{1b}[0m\u{7}\u{202e}b\nc\u{9b}"), "aredb c");
        assert_eq!(line("\u{1b}]0;title\u{7}text"), "text");
        assert_eq!(html("<script>'x' & \"y\"\u{0}"), "&lt;script&gt;&#39;x&#39; &amp; &quot;y&quot;");
        assert_eq!(markdown("a|b *c* <d> [e](f)"), "a\\|b \\*c\\* \\<d\\> \\[e\\](f)");
    }

    #[test]
    fn latex_sees_no_command_of_a_foreign_text() {
        let hostile = "a_b \\input{x} 50 % & $x^2$ # ~ <é> 漢\n+1.00 ± 0.50";
        let expected = "a\\_b \\textbackslash{}input\\{x\\} 50 \\% \\& \\$x\\textasciicircum{}2\\$ \\# \\textasciitilde{} \
                        \\textless{}é\\textgreater{} ? +1.00 $\\pm$ 0.50";
        assert_eq!(latex(hostile), expected);
    }

    #[test]
    fn csv_fields_follow_rfc_4180() {
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv("a,b"), "\"a,b\"");
        assert_eq!(csv("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
    }

    #[test]
    fn file_names_are_closed() {
        assert_eq!(file_name("../a b/ü:*"), "-..-a-b----");
        assert_eq!(file_name(""), "-");
        assert_eq!(file_name(&"x".repeat(500)).len(), 200);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nouns_and_verbs_agree_with_their_count() {
        let counts = |noun| [0, 1, 1000].map(|n: u32| counted(n, noun));
        assert_eq!(counts("test image"), ["0 test images", "1 test image", "1,000 test images"]);
        let several = ["class", "batch", "lr policy", "replay", "box"].map(|noun| counted(2usize, noun));
        assert_eq!(several, ["2 classes", "2 batches", "2 lr policies", "2 replays", "2 boxes"]);
        assert_eq!([1, 1023, 1536, 5 << 30].map(size), ["1 byte", "1,023 bytes", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([0, 1, 2].map(|n: u64| agreeing(n, "is", "are")), ["are", "is", "are"]);
    }
}
