//! Finds names of pictures that may name groups: the slide, the patient, the session that a picture comes from.

use std::collections::BTreeMap;

use pretext_shared::dataset::GroupPattern;

/// Patterns that people use, the most specific first.
const PATTERNS: [&str; 4] = ["{*}/*", "{*}_*_*", "{*}_*", "{*}-*"];

/// Groups that the names may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// The pattern, as in `dataset.groups`.
    pub(super) pattern: &'static str,
    /// Number of groups.
    pub(super) groups: usize,
    /// The largest one.
    pub(super) example: String,
    /// Number of its pictures.
    pub(super) pictures: usize,
}

/// Returns the pattern that divides `names` (paths below the class folders) best. `None` if none fits all names, with at
/// least three groups of two pictures on average.
pub(super) fn propose<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<Proposal> {
    PATTERNS.into_iter().find_map(|pattern| {
        let parsed: GroupPattern = pattern.parse().ok()?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut all = 0;
        for name in names.clone() {
            *counts.entry(parsed.group_of(name)?).or_default() += 1;
            all += 1;
        }
        let (example, pictures) = counts.iter().max_by_key(|(_, count)| **count)?;
        let groups = counts.len();
        let divides = groups >= 3 && 2 * groups <= all;
        divides.then(|| Proposal { pattern, groups, example: (*example).to_owned(), pictures: *pictures })
    })
}

/// Returns the path of a picture below its class folder, for a path below the data set's folder.
pub(super) fn below_class<'p>(path: &'p str, classes: &[String]) -> Option<&'p str> {
    let mut begin = 0;
    for part in path.split('/') {
        begin += part.len() + 1;
        if classes.iter().any(|class| class == part) {
            return path.get(begin..).filter(|rest| !rest.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_seen_in_names_and_not_made_up() {
        let proposed =
            |names: &[String]| propose(names.iter().map(String::as_str)).map(|p| (p.pattern, p.groups, p.example));
        let names = |form: &dyn Fn(usize) -> String| (0..24).map(form).collect::<Vec<_>>();
        let slides = proposed(&names(&|i| format!("slide-{}_{i}.png", i % 4)));
        assert_eq!(slides, Some(("{*}_*", 4, "slide-3".to_owned())));
        let tiles = proposed(&names(&|i| format!("s{}_{i}_0.png", i % 4)));
        assert_eq!(tiles.map(|(pattern, groups, _)| (pattern, groups)), Some(("{*}_*_*", 4)));
        let folders = proposed(&names(&|i| format!("patient {}/{i}.png", i % 3)));
        assert_eq!(folders.map(|(pattern, groups, _)| (pattern, groups)), Some(("{*}/*", 3)));
        // A camera's prefix, numbers, and names of which some do not fit.
        assert_eq!(proposed(&names(&|i| format!("IMG_{i:04}.png"))), None);
        assert_eq!(proposed(&names(&|i| format!("{i:04}.png"))), None);
        assert_eq!(proposed(&names(&|i| format!("{i}_a.png"))), None);
        assert_eq!(
            proposed(&names(&|i| if i == 5 { "other.png".to_owned() } else { format!("s{}_{i}.png", i % 4) })),
            None
        );
    }

    #[test]
    fn the_class_folder_is_found_below_parts() {
        let classes = ["cat".to_owned(), "dog".to_owned()];
        assert_eq!(below_class("train/cat/a/1.png", &classes), Some("a/1.png"));
        assert_eq!(below_class("dog/1.png", &classes), Some("1.png"));
        assert_eq!(below_class("groups.csv", &classes), None);
    }
}
