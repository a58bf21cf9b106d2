//! Finds the data sets of a worker: the data root itself, or every data set directly below it.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, PartFolders, Policies, Source};

use super::error::DataError;
use super::manifest::scan_in;
use super::{arrays, cifar, idx, layout, list, shards, tables, webdataset};
use crate::root::{Folder, Kind, RootError};

/// A data set's key (`KIND:PATH`), with its facts or its problem.
pub type Found = (String, Result<DatasetFacts, DataError>);

/// Scans the data sets in `data_root` or in a folder directly below it, by name. A folder that looks like no data set
/// is skipped. A link that leads out of the root may be any data set, so it is listed under every kind. `cache` is as
/// in [`super::scan`].
pub fn discover(data_root: &Path, cache: Option<&Path>) -> Result<Vec<Found>, DataError> {
    if !data_root.is_dir() {
        return Err(DataError::NoFolder { path: data_root.to_owned() });
    }
    let root = Folder::root(data_root)?;
    // If the root is a data set, its `train` folder would look like another one.
    let own = recognise(&root, ".", Flat::No);
    let sources = if own.is_empty() { below(&root)? } else { own };
    Ok(sources.into_iter().map(|source| (source.key(), scan_in(&root, &source, cache).map(|m| m.facts))).collect())
}

fn below(root: &Folder) -> Result<Vec<Source>, DataError> {
    // A sweep file cannot name a folder whose name is not text.
    let names = root.children("")?.into_iter().filter_map(|child| child.name);
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort_unstable();
    let mut sources = Vec::new();
    for shards in [tables::is_table, webdataset::is_shard] {
        // Several files of one kind in the root are one data set.
        if names.iter().filter(|name| shards(name)).count() > 1 {
            let source = names.iter().find(|name| shards(name)).and_then(|name| file(name));
            sources.extend(source.map(|source| source.at(".")));
            names.retain(|name| !shards(name));
        }
    }
    for name in names {
        match root.kind(&name) {
            Err(RootError::LeadsOut { .. }) => sources.extend(every_kind(&name)),
            Ok(Some(Kind::File)) => sources.extend(file(&name)),
            _ => sources.extend(recognise(&root.join(&name)?, &name, Flat::Yes)),
        }
    }
    Ok(sources)
}

/// Returns a source of every kind, for a path that cannot be opened.
fn every_kind(path: &str) -> [Source; 8] {
    let path = || path.to_owned();
    let test_fraction = None;
    [
        Source::ImageFolder {
            path: path(),
            test_fraction: None,
            groups: None,
            folders: PartFolders::default(),
            policies: Policies::default(),
        },
        Source::Cifar10 { path: path() },
        Source::Cifar100 { path: path() },
        Source::Idx { path: path() },
        Source::List { path: path(), test_fraction, policies: Policies::default() },
        Source::Arrays { path: path(), test_fraction },
        Source::Parquet { path: path(), test_fraction },
        Source::Webdataset { path: path(), test_fraction },
    ]
}

/// Returns the source of a root that is itself a data set.
pub(super) fn only(root: &Folder) -> Result<Source, DataError> {
    let own = recognise(root, ".", Flat::Yes).into_iter().next();
    own.ok_or_else(|| {
        let inside = below(root).ok().and_then(|sources| Some(sources.first()?.path()?.to_owned()));
        DataError::NoDataSet { path: root.shown(""), inside }
    })
}

/// Whether class folders directly below a folder make it an image folder.
#[derive(PartialEq)]
enum Flat {
    Yes,
    No,
}

fn recognise(folder: &Folder, path: &str, flat: Flat) -> Vec<Source> {
    let path = path.to_owned();
    if cifar::Release::Ten.is_in(folder) {
        vec![Source::Cifar10 { path }]
    } else if cifar::Release::Hundred.is_in(folder) {
        vec![Source::Cifar100 { path }]
    } else if idx::is_in(folder) {
        vec![Source::Idx { path }]
    } else if layout::has_parts(folder) || (flat == Flat::Yes && layout::is_in(folder)) {
        vec![Source::ImageFolder {
            path,
            test_fraction: None,
            groups: None,
            folders: PartFolders::default(),
            policies: Policies::default(),
        }]
    } else if list::NAMES.iter().any(|name| folder.has_file(name)) {
        vec![Source::List { path, test_fraction: None, policies: Policies::default() }]
    } else if flat == Flat::Yes && arrays::is_in(folder) {
        vec![Source::Arrays { path, test_fraction: None }]
    } else if flat == Flat::Yes && shards::is_in(folder, tables::ENDING) {
        vec![Source::Parquet { path, test_fraction: None }]
    } else if flat == Flat::Yes && shards::is_in(folder, webdataset::ENDING) {
        vec![Source::Webdataset { path, test_fraction: None }]
    } else {
        Vec::new()
    }
}

/// Returns the data set that is the file `name` of the root, if it is one.
fn file(name: &str) -> Option<Source> {
    let (path, test_fraction) = (name.to_owned(), None);
    if arrays::is_archive(name) {
        Some(Source::Arrays { path, test_fraction })
    } else if tables::is_table(name) {
        Some(Source::Parquet { path, test_fraction })
    } else if webdataset::is_shard(name) {
        Some(Source::Webdataset { path, test_fraction })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image_folder::tests::write_png;

    #[test]
    fn data_sets_are_found_and_other_folders_are_not() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join(path);
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&at(&format!("flat/{class}/0.png")), [value; 3]);
            write_png(&at(&format!("parted/train/{class}/0.png")), [value; 3]);
        }
        write_png(&at("pictures/0.png"), [1, 2, 3]);
        write_png(&at(".hidden/a/0.png"), [1, 2, 3]);
        fs::create_dir_all(at("code/src")).expect("a folder");
        fs::create_dir_all(at("broken/train")).expect("a folder");
        fs::create_dir_all(at("digits")).expect("a folder");
        fs::write(at("digits/train-images-idx3-ubyte"), b"").expect("a file");
        // The other kinds, found by their names alone.
        fs::write(at("m.npz"), b"").expect("a file");
        for path in ["named/labels.csv", "arrays/train_images.npy", "hub/data/train-0.parquet", "web/0.tar"] {
            fs::create_dir_all(at(path).parent().expect("a folder")).expect("a folder");
            fs::write(at(path), b"").expect("a file");
        }
        let found = discover(root.path(), None).expect("a readable folder");
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "arrays:arrays",
            "image-folder:broken",
            "idx:digits",
            "image-folder:flat",
            "parquet:hub",
            "arrays:m.npz",
            "list:named",
            "image-folder:parted",
            "webdataset:web",
        ];
        assert_eq!(keys, expected);
        assert!(matches!(found[1].1, Err(DataError::NoImages { .. })));
        assert!([0, 2, 4, 5, 6, 8].into_iter().all(|place| found[place].1.is_err()));
        let flat = found[3].1.as_ref().expect("a whole data set");
        assert_eq!((flat.classes.len(), &flat.train[..], &flat.test[..]), (2, &[1, 1][..], &[][..]));
        // The root is itself the data set.
        let own = discover(&at("parted"), None).expect("a readable folder");
        assert_eq!(own.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["image-folder:."]);
        assert!(discover(&at("nowhere"), None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_told_and_nothing_of_what_it_leads_to() {
        use std::os::unix::fs::symlink;

        let place = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| place.path().join(path);
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&at(&format!("outside/train/{class}/0.png")), [value; 3]);
            write_png(&at(&format!("root/mine/train/{class}/0.png")), [value; 3]);
        }
        symlink(at("outside"), at("root/theirs")).expect("a link");
        symlink("../../../outside/train/b", at("root/mine/train/c")).expect("a link");
        let found = discover(&at("root"), None).expect("a readable folder");
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        let kinds = ["image-folder", "cifar10", "cifar100", "idx", "list", "arrays", "parquet", "webdataset"];
        let theirs = kinds.map(|kind| format!("{kind}:theirs"));
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        assert_eq!(keys, [vec!["image-folder:mine"], theirs].concat());
        for (key, facts) in &found {
            let error = facts.as_ref().expect_err("it leads out").to_string();
            let link = if key.ends_with("mine") { at("root/mine/train/c") } else { at("root/theirs") };
            assert!(error.contains(&link.display().to_string()) && error.contains("--data-root"), "{key}: {error}");
        }
        // The root itself may be a link, and links within it are followed.
        fs::remove_file(at("root/mine/train/c")).expect("a link");
        write_png(&at("root/.kept/0.png"), [3; 3]);
        symlink("../../.kept", at("root/mine/train/c")).expect("a link");
        symlink(at("root"), at("data")).expect("a link");
        let found = discover(&at("data"), None).expect("a readable folder");
        assert_eq!(found[0].1.as_ref().expect("a whole data set").classes, ["a", "b", "c"]);
    }
}
