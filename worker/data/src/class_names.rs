//! Names of classes that are the same word: in another Unicode form (`é` as one character or as two), or in another case.

use unicode_normalization::UnicodeNormalization;

/// How a name is among the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// The same name.
    Same(usize),
    /// The same characters in another Unicode form: zip files of macOS carry decomposed names.
    OtherForm(usize),
    /// The same word in another case.
    OtherCase(usize),
    /// Another word.
    Nothing,
}

/// Returns `name` in the other Unicode form, if it has one.
pub(super) fn other_form(name: &str) -> Option<String> {
    [name.nfc().collect::<String>(), name.nfd().collect()].into_iter().find(|form| form != name)
}

fn form(name: &str) -> String {
    name.nfc().collect()
}

/// Returns how `name` is among `known`.
pub(super) fn find(known: &[String], name: &str) -> Match {
    if let Some(label) = known.iter().position(|class| class == name) {
        return Match::Same(label);
    }
    let composed = form(name);
    if let Some(label) = known.iter().position(|class| form(class) == composed) {
        return Match::OtherForm(label);
    }
    let plain = composed.to_lowercase();
    match known.iter().position(|class| form(class).to_lowercase() == plain) {
        Some(label) => Match::OtherCase(label),
        None => Match::Nothing,
    }
}

/// Checks that no two classes of `names` are one word in two Unicode forms.
///
/// # Errors
/// Both names with their code points.
pub(super) fn check_distinct(names: &[String]) -> Result<(), String> {
    let mut forms: Vec<(String, &String)> = names.iter().map(|name| (form(name), name)).collect();
    forms.sort_unstable();
    match forms.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(format!(
            "the classes `{}` ({}) and `{}` ({}) are one word in two Unicode forms",
            pair[0].1,
            code_points(pair[0].1),
            pair[1].1,
            code_points(pair[1].1)
        )),
    }
}

fn code_points(name: &str) -> String {
    let foreign = name.chars().filter(|character| !character.is_ascii());
    foreign.map(|character| format!("U+{:04X}", u32::from(character))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_every_form() {
        let known = ["Cafe\u{301}", "The\u{301}", "apple"].map(str::to_owned);
        assert_eq!(find(&known, "apple"), Match::Same(2));
        assert_eq!(find(&known, "Caf\u{e9}"), Match::OtherForm(0));
        assert_eq!(find(&known, "TH\u{c9}"), Match::OtherCase(1));
        assert_eq!(find(&known, "Apple"), Match::OtherCase(2));
        assert_eq!(find(&known, "apples"), Match::Nothing);
        assert_eq!(check_distinct(&known), Ok(()));
        let error = check_distinct(&["a", "e\u{301}", "\u{e9}"].map(str::to_owned)).expect_err("one word");
        assert!(error.contains("U+0301") && error.contains("U+00E9"), "{error}");
    }
}
