//! The data sets below a data root, each with its facts or with the reason why it cannot be used.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, DuplicatePolicy, GroupPattern, Policies, Source};
use pretext_shared::inventory::{FoundDataset, Shipment};

use crate::{DataError, discover, scan, ship, survey};

/// Which data sets are looked at picture by picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// None: files are listed and hashed.
    Listed,
    /// Those with at most this many pictures.
    Small(u64),
    /// All.
    Every,
}

impl Depth {
    /// Returns whether a data set with these facts is looked at; `None` if it cannot be used.
    fn includes(self, facts: Option<&DatasetFacts>) -> bool {
        match (self, facts) {
            (Depth::Listed, _) | (Depth::Small(_), None) => false,
            (Depth::Small(most), Some(facts)) => {
                facts.train_total() + facts.validation_total() + facts.test_total() <= most
            }
            // What is wrong with it may be the pictures.
            (Depth::Every, _) => true,
        }
    }
}

fn found(key: String, facts: Result<DatasetFacts, DataError>) -> FoundDataset {
    match facts {
        Ok(facts) => FoundDataset { key, facts: Some(facts), problem: None, survey: None, files: None },
        Err(error) => FoundDataset { key, facts: None, problem: Some(error.to_string()), survey: None, files: None },
    }
}

/// Adds what a look at all pictures of `source` finds, if `depth` asks for it.
fn deepen(mut found: FoundDataset, root: &Path, source: &Source, cache: Option<&Path>, depth: Depth) -> FoundDataset {
    if !depth.includes(found.facts.as_ref()) {
        return found;
    }
    match survey::look(root, source, cache) {
        Ok(survey) => found.survey = Some(survey),
        // The problem that listing it has found stays.
        Err(_) if found.problem.is_some() => {}
        Err(error) => found = self::found(found.key, Err(error)),
    }
    found
}

/// Returns the data sets `keys` below `root`, or all that are there if `keys` is empty. Hashes of files are kept in
/// `cache`.
///
/// # Errors
/// When the root cannot be read or a key is none; the text is for a person.
pub fn inspect(root: &Path, keys: &[String], cache: Option<&Path>, depth: Depth) -> Result<Vec<FoundDataset>, String> {
    if keys.is_empty() {
        let all = discover(root, cache).map_err(|error| error.to_string())?;
        return all
            .into_iter()
            .map(|(key, facts)| {
                let source: Source = key.parse()?;
                Ok(deepen(found(key, facts), root, &source, cache, depth))
            })
            .collect();
    }
    keys.iter()
        .map(|key| {
            let source: Source = key.parse()?;
            let scanned = scan(root, &source, cache);
            let found = found(key.clone(), scanned.map(|manifest| manifest.facts));
            Ok(deepen(found, root, &source, cache, depth))
        })
        .collect()
}

/// Returns the data set in `folder`, of whichever kind it is, with its files.
///
/// # Errors
/// When the folder is no data set that can be used.
pub fn inspect_files(folder: &Path, groups: Option<GroupPattern>, depth: Depth) -> Result<FoundDataset, DataError> {
    // A look names identical pictures with all other findings.
    let duplicates = if depth == Depth::Listed { DuplicatePolicy::Refuse } else { DuplicatePolicy::Keep };
    let policies = Policies { duplicates, ..Policies::default() };
    let Shipment { facts, files } = ship(folder, groups, policies)?;
    let source: Result<Source, String> = facts.key.parse();
    let found =
        FoundDataset { key: facts.key.clone(), facts: Some(facts), problem: None, survey: None, files: Some(files) };
    Ok(match source {
        Ok(source) => deepen(found, folder, &source, None, depth),
        // The kinds that are shipped have keys.
        Err(_) => found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_folder::tests::write_png;

    #[test]
    fn a_look_at_all_pictures_is_taken_where_it_was_asked_for() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&root.path().join(format!("set/train/{class}/0.png")), [value, 2, 3]);
        }
        let looked = |keys: &[String], depth| {
            let found = inspect(root.path(), keys, None, depth).expect("a readable folder");
            assert_eq!(found.len(), 1);
            found[0].survey.is_some()
        };
        let key = ["image-folder:set".to_owned()];
        for (depth, expected) in
            [(Depth::Listed, false), (Depth::Small(1), false), (Depth::Small(2), true), (Depth::Every, true)]
        {
            assert_eq!((looked(&key, depth), looked(&[], depth)), (expected, expected), "{depth:?}");
        }
        let shipped = inspect_files(&root.path().join("set"), None, Depth::Every).expect("a data set");
        assert!(shipped.survey.is_some() && shipped.files.is_some_and(|files| files.len() == 2));
    }
}
