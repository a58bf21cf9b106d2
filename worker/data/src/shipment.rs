//! A data set to send to another machine: its manifest, and every file that is needed to read it there.

use std::path::Path;

use pretext_shared::dataset::{GroupPattern, Policies, Source};
use pretext_shared::inventory::Shipment;
use pretext_shared::packing::PackedFile;

use super::discover::only;
use super::error::DataError;
use super::fingerprint::hash_file;
use super::manifest::scan_in;
use super::{cifar, groups as lists, list};
use crate::root::Folder;

/// Lists and hashes the data set in `folder`, of whichever kind it is. An image folder may have its groups in its names.
/// `policies` are the choices about pictures, if its kind has any; the default ones decode only identical files.
pub fn ship(folder: &Path, groups: Option<GroupPattern>, policies: Policies) -> Result<Shipment, DataError> {
    if !folder.is_dir() {
        return Err(DataError::NoFolder { path: folder.to_owned() });
    }
    let root = Folder::root(folder)?;
    let source = match (only(&root)?, groups) {
        (Source::ImageFolder { path, test_fraction, folders, policies, .. }, groups) => {
            Source::ImageFolder { path, test_fraction, groups, folders, policies }
        }
        (source, None) => source,
        (source, Some(_)) => return Err(DataError::NoNames { folder: root.shown(""), kind: source.kind() }),
    };
    let source = source.with_policies(policies);
    let manifest = scan_in(&root, &source, None)?;
    // The images may be in a folder that the given one wraps; the copy has the same layout.
    let below = manifest.folder.as_ref().map(Folder::below_root).unwrap_or_default();
    let path = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
    let mut files: Vec<PackedFile> = manifest
        .files
        .into_iter()
        .map(|file| PackedFile { path: path(&file.path), bytes: file.bytes, hash: file.hash })
        .collect();
    // Files that name classes and groups: the fingerprint covers the names themselves.
    let lists: &[&str] = match source {
        Source::ImageFolder { .. } => &[lists::FILE],
        Source::List { .. } => &list::NAMES,
        Source::Cifar10 { .. } | Source::Cifar100 { .. } => &cifar::NAMES,
        Source::Arrays { .. } | Source::Parquet { .. } | Source::Webdataset { .. } => &[],
        Source::Idx { .. } | Source::Procedural(_) => &[],
    };
    for name in lists.iter().map(|name| path(name)) {
        if root.kind(&name)?.is_some() {
            let file = root.open(&name)?;
            let bytes = file.metadata().map_err(DataError::io(&root.shown(&name)))?.len();
            let hash = hash_file(file).map_err(DataError::io(&root.shown(&name)))?;
            files.push(PackedFile { path: name, bytes, hash });
        }
    }
    Ok(Shipment { facts: manifest.facts, files })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image_folder::tests::write_png;

    #[test]
    fn everything_that_reading_needs_goes_along_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        for (path, value) in [("b/1.png", 1), ("a/0.png", 2)] {
            write_png(&at(path), [value; 3]);
        }
        fs::write(at("groups.csv"), "path,group\na/0.png,p\nb/1.png,q\n").expect("writable");
        fs::write(at("a/notes.txt"), "no image").expect("writable");
        let shipment = ship(folder.path(), None, Policies::default()).expect("a data set");
        assert_eq!((shipment.facts.key.as_str(), shipment.facts.groups.len()), ("image-folder:.", 2));
        let paths: Vec<&str> = shipment.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/0.png", "b/1.png", "groups.csv"]);
        // The copy elsewhere is the same data set.
        let there = tempfile::tempdir().expect("a folder");
        for file in &shipment.files {
            let path = there.path().join(&file.path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            assert_eq!(fs::copy(at(&file.path), path).expect("a file"), file.bytes);
        }
        // The note about the text stays here.
        let copy = ship(there.path(), None, Policies::default()).expect("a data set").facts;
        assert!(copy.is_same_data(&shipment.facts) && copy.notes.is_empty(), "{copy:?}");
        // The same groups, read from the names.
        fs::remove_file(at("groups.csv")).expect("a file");
        for (from, to) in [("a/0.png", "a/p_0.png"), ("b/1.png", "b/q_1.png")] {
            fs::rename(at(from), at(to)).expect("a file");
        }
        let named = ship(folder.path(), "{*}_*".parse().ok(), Policies::default()).expect("a data set");
        assert_eq!((named.facts.key.as_str(), named.facts.groups.len()), ("image-folder:.?groups={*}_*", 2));
        // A list goes along with its images; images in an inner folder keep their place.
        let list = tempfile::tempdir().expect("a folder");
        let inner = tempfile::tempdir().expect("a folder");
        for (path, value) in [("x.png", 1), ("y.png", 2), ("z.png", 3)] {
            write_png(&list.path().join(path), [value; 3]);
            write_png(
                &inner.path().join("set/train").join(["a", "b", "c"][usize::from(value) - 1]).join(path),
                [value; 3],
            );
        }
        fs::write(list.path().join("labels.csv"), "path,label\nx.png,p\ny.png,q\n").expect("writable");
        for (folder, key, expected) in [
            (&list, "list:.", vec!["x.png", "y.png", "labels.csv"]),
            (&inner, "image-folder:.", vec!["set/train/a/x.png", "set/train/b/y.png", "set/train/c/z.png"]),
        ] {
            let shipment = ship(folder.path(), None, Policies::default()).expect("a data set");
            let paths: Vec<&str> = shipment.files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!((shipment.facts.key.as_str(), paths), (key, expected));
        }
        fs::remove_dir_all(at("a")).expect("a folder");
        let error = ship(folder.path(), None, Policies::default()).expect_err("nothing");
        assert!(matches!(error, DataError::NoDataSet { inside: None, .. }), "{error}");
        let above = tempfile::tempdir().expect("a folder");
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&above.path().join(format!("raw/{class}/0.png")), [value; 3]);
        }
        let error = ship(above.path(), None, Policies::default()).expect_err("one folder too high").to_string();
        assert!(error.contains("`raw` in it is one"), "{error}");
    }
}
