//! Image folders: `train/CLASS/…` and `test/CLASS/…`, or class folders directly below the data set.

use pretext_shared::dataset::{Note, PartFolders, Role};

use super::class_names::{Match, check_distinct, find};
use super::error::DataError;
use super::groups;
use super::kinds::{self, Ignored};
use super::layout::{self, Parts, is_hidden};
use super::listing::{Entry, ListedFile, Listing, Location, Part};
use crate::root::{Folder, Identity, Kind};

/// Lists the images of `folder`, in the byte order of their paths, and returns the folder that the paths are relative to:
/// `folder`, or the one that it wraps. `named` are the folders of parts that the sweep file names.
pub(super) fn list(folder: &Folder, named: &PartFolders) -> Result<(Folder, Listing), DataError> {
    let parts = layout::find(folder, named)?;
    let folder = match parts.below.trim_end_matches('/') {
        "" => folder.clone(),
        below => folder.join(below)?,
    };
    let listing = list_parts(&folder, parts)?;
    Ok((folder, listing))
}

fn list_parts(folder: &Folder, parts: Parts) -> Result<Listing, DataError> {
    let mut walk = Walk { folder, above: Vec::new(), beside: parts.beside, ignored: Ignored::default() };
    let mut notes = parts.notes;
    let train_folder = folder.shown(parts.train.trim_end_matches('/'));
    let train = walk.classes(&parts.train)?;
    if let Some(empty) = train.iter().find(|class| class.images.is_empty()) {
        return Err(DataError::EmptyClass { path: train_folder.join(&empty.name) });
    }
    let classes: Vec<String> = train.iter().map(|class| class.name.clone()).collect();
    match &classes[..] {
        [] => return Err(DataError::NoImages { path: train_folder }),
        [class] => return Err(one_class(&walk, &parts.train, class)),
        _ => check_distinct(&classes).map_err(|found| DataError::ClassNames { path: train_folder, found })?,
    }
    let mut files = Vec::new();
    for (label, class) in train.into_iter().enumerate() {
        files.extend(class.files(&parts.train, Part::Train, label));
    }
    let others = [(Part::Test, Role::Test, parts.test), (Part::Validation, Role::Validation, parts.validation)];
    for (part, role, prefix) in others.into_iter().filter_map(|(part, role, prefix)| Some((part, role, prefix?))) {
        let path = folder.shown(prefix.trim_end_matches('/'));
        let (before, mut seen) = (files.len(), vec![false; classes.len()]);
        for class in walk.classes(&prefix)? {
            let found = find(&classes, &class.name);
            if matches!(found, Match::Nothing) && class.images.is_empty() {
                continue;
            }
            let label = match found {
                Match::Same(label) => label,
                Match::OtherForm(label) => {
                    notes.push(Note::UnicodeForm { class: classes[label].clone(), role });
                    label
                }
                Match::OtherCase(label) => {
                    let (known, word) = (&classes[label], part.word());
                    let found = format!(
                        "class `{}` of the {word} images and class `{known}` of the training images differ in case only \
                         (the training classes are: {})",
                        class.name,
                        classes.join(", ")
                    );
                    return Err(DataError::ClassNames { path, found });
                }
                Match::Nothing if part == Part::Test => {
                    return Err(DataError::TestOnlyClass { path, class: class.name, classes });
                }
                Match::Nothing => {
                    let found = format!("class `{}` has validation images but no training images", class.name);
                    let remedy = format!("the training classes are: {}", classes.join(", "));
                    return Err(DataError::Arrangement { path, found, remedy });
                }
            };
            if std::mem::replace(&mut seen[label], !class.images.is_empty()) && !class.images.is_empty() {
                let found =
                    format!("two folders are class `{}`: their names differ in Unicode form only", classes[label]);
                return Err(DataError::ClassNames { path, found });
            }
            files.extend(class.files(&prefix, part, label));
        }
        if files.len() == before {
            return Err(DataError::NoImages { path });
        }
        let missing = classes.iter().zip(seen).filter(|(_, seen)| !seen);
        notes.extend(missing.map(|(class, _)| Note::NoImages { class: class.clone(), role }));
    }
    files.sort_by(|a, b| (a.part, &a.path).cmp(&(b.part, &b.path)));
    let entries = |part: Part| {
        let of_part = files.iter().enumerate().filter(|(_, file)| file.part == part);
        of_part.filter_map(|(i, file)| Some(Entry { label: file.class?, location: Location::File(i as u32) })).collect()
    };
    let (train, validation, test) = (entries(Part::Train), entries(Part::Validation), entries(Part::Test));
    Ok(Listing { classes, train, validation, test, files, ignored: walk.ignored, groups: None, notes })
}

/// Returns the error for a single class folder. If it has folders of its own, these may be the classes.
fn one_class(walk: &Walk<'_>, prefix: &str, class: &str) -> DataError {
    let path = walk.folder.shown(prefix.trim_end_matches('/'));
    let children = walk.children(&format!("{prefix}{class}/")).unwrap_or_default();
    let inner: Vec<String> =
        children.into_iter().filter(|child| child.kind == Kind::Folder).map(|child| child.name).collect();
    match inner.as_slice() {
        [] | [_] => DataError::OneClass { path, class: class.to_owned() },
        [first, second, ..] => DataError::Arrangement {
            path,
            found: format!("the only class folder is `{class}`, which has the folders `{first}`, `{second}` …"),
            remedy: format!(
                "if these are the classes, write the path of `{class}`; else add a folder for a second class"
            ),
        },
    }
}

/// A class folder and the images below it, with paths relative to the data set's folder.
struct ClassFolder {
    name: String,
    images: Vec<String>,
}

impl ClassFolder {
    /// Returns its files; `prefix` is the folder of the class folders.
    fn files(self, prefix: &str, part: Part, label: usize) -> impl Iterator<Item = ListedFile> + use<> {
        let name_at = prefix.len() + self.name.len() + 1;
        self.images.into_iter().map(move |path| ListedFile {
            part,
            path,
            class: Some(label as u32),
            layout: None,
            name_at,
        })
    }
}

/// A visible child of a folder.
struct Child {
    name: String,
    kind: Kind,
}

/// A walk through class folders that follows symbolic links but refuses cycles.
struct Walk<'a> {
    folder: &'a Folder,
    /// The folders from the class folder down to the current one.
    above: Vec<Identity>,
    /// Folders beside the class folders that are no class.
    beside: Vec<String>,
    /// Files that are not images, and files outside any class.
    ignored: Ignored,
}

impl Walk<'_> {
    /// Returns the class folders in `prefix`, sorted by name.
    fn classes(&mut self, prefix: &str) -> Result<Vec<ClassFolder>, DataError> {
        self.above.push(self.folder.identity(prefix)?);
        let mut classes = Vec::new();
        for Child { name, kind } in self.children(prefix)? {
            match kind {
                Kind::Folder if prefix.is_empty() && self.beside.contains(&name) => {}
                Kind::Folder => {
                    let mut images = Vec::new();
                    self.descend(&format!("{prefix}{name}/"), &mut images)?;
                    classes.push(ClassFolder { name, images });
                }
                Kind::File if prefix.is_empty() && name == groups::FILE => {}
                Kind::File => self.ignored.push(format!("{prefix}{name}"), "it is in no class folder"),
            }
        }
        self.above.pop();
        Ok(classes)
    }

    fn descend(&mut self, prefix: &str, images: &mut Vec<String>) -> Result<(), DataError> {
        let identity = self.folder.identity(prefix)?;
        if self.above.contains(&identity) {
            return Err(DataError::LinkLoop { path: self.folder.shown(prefix.trim_end_matches('/')) });
        }
        self.above.push(identity);
        for Child { name, kind } in self.children(prefix)? {
            let path = format!("{prefix}{name}");
            match kind {
                Kind::Folder => self.descend(&format!("{path}/"), images)?,
                Kind::File => match kinds::of(self.folder, &path, &name) {
                    kinds::Kind::Picture => images.push(path),
                    kinds::Kind::Other(what) => self.ignored.push(path, what),
                },
            }
        }
        self.above.pop();
        Ok(())
    }

    /// Returns the children of the folder `prefix` by name, without hidden ones. Links are followed; a broken link is
    /// an error that names it.
    fn children(&self, prefix: &str) -> Result<Vec<Child>, DataError> {
        let mut children = Vec::new();
        for child in self.folder.children(prefix)? {
            let shown = child.shown.file_name().unwrap_or_default();
            if is_hidden(&shown.to_string_lossy()) {
                continue;
            }
            let name = child.name.clone().ok_or_else(|| DataError::NotUtf8 { path: child.shown.clone() })?;
            let kind = child.kind(self.folder, &format!("{prefix}{name}"))?;
            children.push(Child { name, kind });
        }
        children.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(children)
    }
}

#[cfg(test)]
pub(super) mod tests;
