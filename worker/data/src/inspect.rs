//! The data sets below a data root, each with its facts or with the reason why it cannot be used.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::inventory::FoundDataset;

use crate::{DataError, discover, scan};

fn found(key: String, facts: Result<DatasetFacts, DataError>) -> FoundDataset {
    match facts {
        Ok(facts) => FoundDataset { key, facts: Some(facts), problem: None, files: None },
        Err(error) => FoundDataset { key, facts: None, problem: Some(error.to_string()), files: None },
    }
}

/// Returns the data sets `keys` below `root`, or all that are there if `keys` is empty. Hashes of files are kept in `cache`.
///
/// # Errors
/// When the root cannot be read or a key is none; the text is for a person.
pub fn inspect(root: &Path, keys: &[String], cache: Option<&Path>) -> Result<Vec<FoundDataset>, String> {
    if keys.is_empty() {
        let all = discover(root, cache).map_err(|error| error.to_string())?;
        return Ok(all.into_iter().map(|(key, facts)| found(key, facts)).collect());
    }
    keys.iter()
        .map(|key| {
            let source: Source = key.parse()?;
            let scanned = scan(root, &source, cache);
            Ok(found(key.clone(), scanned.map(|manifest| manifest.facts)))
        })
        .collect()
}
