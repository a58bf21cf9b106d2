//! What a worker has: every data set that is the data root itself or directly below it.

use std::fs;
use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, Source};

use super::error::DataError;
use super::manifest::scan;
use super::{cifar, idx, image_folder};

/// A data set's key (`KIND:PATH`), with what there is to announce of it or with what is wrong with it.
pub type Found = (String, Result<DatasetFacts, DataError>);

/// Scans the data sets that lie in `data_root` or in a folder directly below it, by name. A folder
/// that looks like no data set is left out. `cache` as in [`scan`].
pub fn discover(data_root: &Path, cache: Option<&Path>) -> Result<Vec<Found>, DataError> {
    if !data_root.is_dir() {
        return Err(DataError::NoFolder { path: data_root.to_owned() });
    }
    // A root with a data set of its own (its `train` folder would look like another one).
    let own = recognise(data_root, ".", Flat::No);
    let sources = if own.is_empty() { below(data_root)? } else { own };
    Ok(sources.into_iter().map(|source| (source.key(), scan(data_root, &source, cache).map(|m| m.facts))).collect())
}

fn below(data_root: &Path) -> Result<Vec<Source>, DataError> {
    let mut names = Vec::new();
    for child in fs::read_dir(data_root).map_err(DataError::io(data_root))? {
        let name = child.map_err(DataError::io(data_root))?.file_name();
        // A folder whose name is not text cannot be written in a sweep file: nobody can ask for it.
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names.iter().flat_map(|name| recognise(&data_root.join(name), name, Flat::Yes)).collect())
}

/// Whether class folders directly below count as an image folder.
#[derive(PartialEq)]
enum Flat {
    Yes,
    No,
}

fn recognise(folder: &Path, path: &str, flat: Flat) -> Vec<Source> {
    let path = path.to_owned();
    if cifar::Release::Ten.is_in(folder) {
        vec![Source::Cifar10 { path }]
    } else if cifar::Release::Hundred.is_in(folder) {
        vec![Source::Cifar100 { path }]
    } else if idx::is_in(folder) {
        vec![Source::Idx { path }]
    } else if image_folder::has_train_folder(folder) || (flat == Flat::Yes && image_folder::has_class_folders(folder)) {
        vec![Source::ImageFolder { path, test_fraction: None, groups: None }]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_folder::tests::write_png;

    #[test]
    fn data_sets_are_found_and_other_folders_are_not() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join(path);
        for class in ["a", "b"] {
            write_png(&at(&format!("flat/{class}/0.png")), [1, 2, 3]);
            write_png(&at(&format!("parted/train/{class}/0.png")), [1, 2, 3]);
        }
        write_png(&at("pictures/0.png"), [1, 2, 3]);
        write_png(&at(".hidden/a/0.png"), [1, 2, 3]);
        fs::create_dir_all(at("code/src")).expect("a folder");
        fs::create_dir_all(at("broken/train")).expect("a folder");
        fs::create_dir_all(at("digits")).expect("a folder");
        fs::write(at("digits/train-images-idx3-ubyte"), b"").expect("a file");
        let found = discover(root.path(), None).expect("a readable folder");
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["image-folder:broken", "idx:digits", "image-folder:flat", "image-folder:parted"]);
        assert!(matches!(found[0].1, Err(DataError::NoImages { .. })));
        assert!(found[1].1.is_err());
        let flat = found[2].1.as_ref().expect("a whole data set");
        assert_eq!((flat.classes.len(), &flat.train[..], &flat.test[..]), (2, &[1, 1][..], &[][..]));
        // The data set itself as the root.
        let own = discover(&at("parted"), None).expect("a readable folder");
        assert_eq!(own.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["image-folder:."]);
        assert!(discover(&at("nowhere"), None).is_err());
    }
}
