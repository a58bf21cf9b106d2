//! The files of a data set that is cut into shards, and the part that each of them belongs to by its name.

use super::error::DataError;
use super::labels::part_of;
use super::layout::is_hidden;
use super::listing::Part;
use crate::root::{Folder, Kind};

/// Folders between the data set's folder and its shards: `data/train/x.parquet`.
const DEEPEST: usize = 2;
/// The most shards of a data set.
const MOST_SHARDS: usize = 100_000;

/// A shard: its path in the data set's folder, and its part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) path: String,
    pub(super) part: Part,
}

/// Returns the shards at `path` below `root`, a file or a folder, with the folder that their paths are relative to, in the
/// byte order of their paths. `ending` is the end of their names.
pub(super) fn find(root: &Folder, path: &str, ending: &str) -> Result<(Folder, Vec<Shard>), DataError> {
    let (folder, mut paths) = match root.kind(path)? {
        Some(Kind::File) => {
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
            (root.join(folder)?, vec![name.to_owned()])
        }
        Some(Kind::Folder) => {
            let folder = root.join(path)?;
            let paths = below(&folder, ending)?;
            (folder, paths)
        }
        None => return Err(DataError::NoFolder { path: root.shown(path) }),
    };
    let refuse = |reason: String| DataError::Shard { path: folder.shown(""), reason };
    if paths.is_empty() {
        return Err(refuse(format!("no file ends in `{ending}`")));
    }
    if paths.len() > MOST_SHARDS {
        return Err(refuse(format!("more than {MOST_SHARDS} files end in `{ending}`")));
    }
    paths.sort_unstable();
    let parts = paths.iter().map(|path| part_in(path)).collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    // Without any name of a part, all are training shards.
    let named = parts.iter().any(Option::is_some);
    if let Some((unnamed, _)) = paths.iter().zip(&parts).find(|(_, part)| named && part.is_none()) {
        return Err(refuse(format!(
            "{unnamed} names no part, and other files do: let every name say `train`, `validation` or `test`, such as \
             `train-0001{ending}`"
        )));
    }
    let shards = paths.into_iter().zip(parts);
    Ok((folder, shards.map(|(path, part)| Shard { path, part: part.unwrap_or(Part::Train) }).collect()))
}

/// Returns whether `folder` has shards.
pub(super) fn is_in(folder: &Folder, ending: &str) -> bool {
    below(folder, ending).is_ok_and(|paths| !paths.is_empty())
}

/// Returns the shards in `folder`, or those in deeper folders if there are none.
fn below(folder: &Folder, ending: &str) -> Result<Vec<String>, DataError> {
    let mut paths = Vec::new();
    walk(folder, "", DEEPEST, ending, &mut paths)?;
    if paths.is_empty() {
        walk(folder, "", 0, ending, &mut paths)?;
    }
    Ok(paths)
}

fn walk(folder: &Folder, prefix: &str, depth: usize, ending: &str, paths: &mut Vec<String>) -> Result<(), DataError> {
    for child in folder.children(prefix)? {
        let Some(name) = child.name.clone().filter(|name| !is_hidden(name)) else { continue };
        let path = format!("{prefix}{name}");
        if name.to_ascii_lowercase().ends_with(ending) {
            match child.kind(folder, &path)? {
                Kind::File => paths.push(path),
                Kind::Folder => {}
            }
        } else if depth < DEEPEST && matches!(child.kind(folder, &path), Ok(Kind::Folder)) {
            walk(folder, &format!("{path}/"), depth + 1, ending, paths)?;
        }
        if paths.len() > MOST_SHARDS {
            break;
        }
    }
    Ok(())
}

/// Returns the part that a path names: `train-0001.tar`, `test/0001.tar`, `cifar10-train-0001.tar`.
fn part_in(path: &str) -> Result<Option<Part>, String> {
    let mut words = path.split(|character: char| !character.is_alphanumeric()).filter_map(part_of);
    let first = words.next();
    match words.find(|part| Some(*part) != first) {
        None => Ok(first),
        Some(_) => Err(format!("the name of {path} says two parts")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(paths: &[&str]) -> Result<Vec<(String, Part)>, String> {
        let root = tempfile::tempdir().expect("a temporary folder");
        for path in paths {
            let path = root.path().join("set").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, b"").expect("a file");
        }
        let root = Folder::root(root.path()).expect("a root");
        let shards = find(&root, "set", ".tar").map_err(|error| error.to_string())?.1;
        Ok(shards.into_iter().map(|shard| (shard.path, shard.part)).collect())
    }

    #[test]
    fn names_say_the_part() {
        let parts =
            |paths: &[&str]| found(paths).expect("shards").into_iter().map(|(_, part)| part).collect::<Vec<_>>();
        let (train, validation, test) = (Part::Train, Part::Validation, Part::Test);
        assert_eq!(parts(&["a.tar", "b.tar", "notes.txt", ".hidden.tar"]), [train, train]);
        assert_eq!(parts(&["test-0.tar", "train-0.tar", "val-0.tar"]), [test, train, validation]);
        assert_eq!(parts(&["data/test/0.tar", "data/train/0.TAR", "data/cifar-train-1.tar"]), [train, test, train]);
        // Shards in the folder itself hide deeper ones.
        assert_eq!(found(&["train-0.tar", "old/train-0.tar"]).expect("shards").len(), 1);
        assert!(found(&["train-0.tar", "other.tar"]).expect_err("unclear").contains("other.tar names no part"));
        assert!(found(&["train/test-0.tar"]).expect_err("unclear").contains("says two parts"));
        assert!(found(&["x.zip"]).expect_err("none").contains("no file ends in `.tar`"));
    }
}
