//! The layout of an image folder: which folders hold the parts, and which of them hold the class folders.
//!
//! People name the same thing in many ways: `Train/Test`, `training/validation`, a folder in a folder of its own name,
//! `images/` in between. What is clear is read. What is not is refused with what was found and what to write.

use std::collections::VecDeque;

use pretext_shared::dataset::{Note, PartFolders, Role};
use pretext_shared::text::counted;

use super::error::DataError;
use super::kinds::is_named_picture;
use crate::root::{Folder, Kind, RootError};

/// Number of folders that are opened to find the parts.
const MOST_FOLDERS: usize = 1000;
/// Number of folders between the data set's folder and its parts.
const DEEPEST: usize = 3;
/// Folders that people put between a part and its classes.
const BETWEEN: [&str; 11] =
    ["images", "image", "imgs", "img", "pictures", "photos", "data", "dataset", "jpg", "jpeg", "jpegimages"];
/// Folders that archivers and file servers leave behind.
const LEFTOVERS: [&str; 3] = ["__macosx", "@eadir", "$recycle.bin"];

/// The folders to read. All paths are relative to the data set's folder; a part's path is empty or ends in `/`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The folder that holds the parts, below the one that the sweep file names; empty if it is that one.
    pub(super) below: String,
    /// The folder of the training classes, below `below`.
    pub(super) train: String,
    /// The folder of the validation classes.
    pub(super) validation: Option<String>,
    /// The folder of the test classes.
    pub(super) test: Option<String>,
    /// Folders beside the training classes that are no class.
    pub(super) beside: Vec<String>,
    /// What a person may not expect.
    pub(super) notes: Vec<Note>,
}

/// Returns whether `name` belongs to a program, not to the data.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || LEFTOVERS.contains(&name.to_ascii_lowercase().as_str())
}

/// Returns the role that the name of a folder suggests: `Train`, `training_set` and `train2017` are the training part.
pub(super) fn role(name: &str) -> Option<Role> {
    let mut plain: String = name.to_lowercase();
    plain.retain(|character| !matches!(character, '-' | '_' | ' ' | '.'));
    let plain = plain.trim_end_matches(|character: char| character.is_ascii_digit());
    let stem = ["folder", "images", "image", "data", "dataset", "set", "split"]
        .into_iter()
        .find_map(|ending| plain.strip_suffix(ending))
        .unwrap_or(plain);
    match stem {
        "train" | "training" | "trn" => Some(Role::Train),
        "val" | "valid" | "validation" | "validate" | "dev" | "eval" | "evaluation" => Some(Role::Validation),
        "test" | "testing" | "tst" => Some(Role::Test),
        _ => None,
    }
}

/// What a look at one folder shows.
struct Glance {
    /// Visible folders, by name.
    folders: Vec<String>,
    /// Whether there are images directly in it.
    images: usize,
}

/// A look around that opens a bounded number of folders.
struct Look<'a> {
    folder: &'a Folder,
    opened: usize,
}

impl Look<'_> {
    /// Returns what is in the folder `prefix`, which is empty or ends in `/`. A folder that cannot be opened is empty:
    /// listing its images names it.
    fn at(&mut self, prefix: &str) -> Glance {
        self.opened += 1;
        let (mut folders, mut images) = (Vec::new(), 0);
        for child in self.folder.children(prefix).into_iter().flatten() {
            let Some(name) = child.name.clone().filter(|name| !is_hidden(name)) else { continue };
            match child.kind(self.folder, &format!("{prefix}{name}")) {
                // A link that leads out may be a folder; listing its images names it.
                Ok(Kind::Folder) | Err(RootError::LeadsOut { .. }) => folders.push(name),
                Ok(Kind::File) => images += usize::from(is_named_picture(&name)),
                // A link to nothing.
                Err(_) => images += usize::from(is_named_picture(&name)),
            }
        }
        folders.sort_unstable();
        Glance { folders, images }
    }

    /// Returns whether there are images below the folder `prefix`, at most [`DEEPEST`] folders deeper. A link that leads
    /// out counts.
    fn has_images(&mut self, prefix: &str) -> bool {
        let mut open = VecDeque::from([(prefix.to_owned(), 0)]);
        while let Some((prefix, depth)) = open.pop_front() {
            if self.opened >= MOST_FOLDERS || self.leads_out(&prefix) {
                return true;
            }
            let glance = self.at(&prefix);
            if glance.images > 0 {
                return true;
            }
            if depth < DEEPEST {
                open.extend(glance.folders.iter().map(|name| (format!("{prefix}{name}/"), depth + 1)));
            }
        }
        false
    }

    fn leads_out(&self, prefix: &str) -> bool {
        matches!(self.folder.kind(prefix.trim_end_matches('/')), Err(RootError::LeadsOut { .. }))
    }

    /// Returns the folders of `prefix` that have images below them.
    fn with_images(&mut self, prefix: &str) -> Vec<String> {
        let mut folders = self.at(prefix).folders;
        folders.retain(|name| self.has_images(&format!("{prefix}{name}/")));
        folders
    }

    /// Returns the folders of `prefix` that directly hold images.
    fn class_folders(&mut self, prefix: &str) -> Vec<String> {
        let mut folders = self.at(prefix).folders;
        folders.retain(|name| {
            let prefix = format!("{prefix}{name}/");
            self.leads_out(&prefix) || self.at(&prefix).images > 0
        });
        folders
    }

    fn shown(&self, prefix: &str) -> std::path::PathBuf {
        self.folder.shown(prefix.trim_end_matches('/'))
    }
}

/// Returns the folders of `names` with a role, exact names (`train`, `val`, `test`) first.
fn of_role(names: &[String], wanted: Role) -> Vec<&str> {
    let mut found: Vec<&str> = names.iter().map(String::as_str).filter(|name| role(name) == Some(wanted)).collect();
    found.sort_by_key(|name| (*name != wanted.as_str(), *name != "val"));
    found
}

/// Returns whether `names` are parts of a data set: a folder `train`, or two folders whose names suggest two parts.
fn are_parts(names: &[String]) -> bool {
    let has = |role| !of_role(names, role).is_empty();
    names.iter().any(|name| name == "train")
        || (has(Role::Train) && (has(Role::Test) || has(Role::Validation)))
        || (has(Role::Test) && has(Role::Validation))
}

/// Returns whether `folder` itself holds the parts of an image folder.
pub(super) fn has_parts(folder: &Folder) -> bool {
    let mut look = Look { folder, opened: 0 };
    let names = look.at("").folders;
    are_parts(&names)
        && of_role(&names, Role::Train).iter().any(|name| *name == "train" || look.has_images(&format!("{name}/")))
}

/// Returns whether `folder` seems to be an image folder of any layout.
pub(super) fn is_in(folder: &Folder) -> bool {
    let mut look = Look { folder, opened: 0 };
    has_parts(folder) || look.class_folders("").len() > 1 || !deeper(&mut look, "").is_empty()
}

/// Returns the nearest folders below `prefix` that hold parts with images.
fn deeper(look: &mut Look<'_>, prefix: &str) -> Vec<String> {
    let mut level = vec![prefix.to_owned()];
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for prefix in &level {
            if look.opened >= MOST_FOLDERS {
                return Vec::new();
            }
            next.extend(look.at(prefix).folders.into_iter().map(|name| format!("{prefix}{name}/")));
        }
        let mut found = Vec::new();
        for prefix in &next {
            let names = look.at(prefix).folders;
            if are_parts(&names) && look.has_images(prefix) {
                found.push(prefix.clone());
            }
        }
        if !found.is_empty() {
            return found;
        }
        level = next;
    }
    Vec::new()
}

/// Finds the folders to read below `folder`. `named` are the folders that the sweep file names.
pub(super) fn find(folder: &Folder, named: &PartFolders) -> Result<Parts, DataError> {
    let mut look = Look { folder, opened: 0 };
    if let Some(train) = &named.train {
        return explicit(&mut look, train, named);
    }
    let below = base(&mut look)?;
    let names = look.at(&below).folders;
    let parted = are_parts(&names) || !of_role(&names, Role::Train).is_empty() || !named.are_default();
    let mut parts = Parts { below: below.clone(), ..Parts::default() };
    if !below.is_empty() {
        parts.notes.push(Note::Deeper { folder: below.trim_end_matches('/').to_owned() });
    }
    if !parted && of_role(&names, Role::Test).is_empty() {
        no_disguised_parts(&mut look, &below, &names)?;
        return Ok(parts);
    }
    let train = one(&look, &below, &names, Role::Train)?;
    let Some(train) = train else {
        let found = match names.as_slice() {
            [] => "there is no folder with training images".to_owned(),
            names => format!("none of the folders {} is the training part", quoted(names)),
        };
        let remedy =
            "name the folders: `dataset.train` and `dataset.test` (`train: .` if the classes are directly here)";
        return Err(DataError::Arrangement { path: look.shown(&below), found, remedy: remedy.to_owned() });
    };
    let test = match &named.test {
        Some(test) => Some(existing(&mut look, &below, "test", test)?),
        None => one(&look, &below, &names, Role::Test)?.map(|name| format!("{name}/")),
    };
    let validation = match &named.validation {
        Some(validation) => Some(existing(&mut look, &below, "validation", validation)?),
        None => None,
    };
    parts.notes.extend(unread(
        &mut look,
        &below,
        &names,
        [Some(&format!("{train}/")), validation.as_ref(), test.as_ref()],
    ));
    parts.train = classes_in(&mut look, &below, format!("{train}/"), Role::Train)?;
    parts.validation = match validation {
        Some(folder) => Some(classes_in(&mut look, &below, folder, Role::Validation)?),
        None => None,
    };
    parts.test = match test {
        Some(folder) => Some(classes_in(&mut look, &below, folder, Role::Test)?),
        None => None,
    };
    Ok(parts)
}

/// Returns the folders that the sweep file names, and no others.
fn explicit(look: &mut Look<'_>, train: &str, named: &PartFolders) -> Result<Parts, DataError> {
    let mut parts = Parts::default();
    let mut part = |key, name: &Option<String>, role| match name {
        Some(name) => existing(look, "", key, name).and_then(|folder| classes_in(look, "", folder, role)).map(Some),
        None => Ok(None),
    };
    let test = part("test", &named.test, Role::Test)?;
    let validation = part("validation", &named.validation, Role::Validation)?;
    let named = [&named.test, &named.validation].into_iter().flatten();
    let beside: Vec<String> = named.filter_map(|folder| folder.split('/').next()).map(str::to_owned).collect();
    parts.train = match train {
        "." => String::new(),
        train => {
            let folder = existing(look, "", "train", train)?;
            classes_in(look, "", folder, Role::Train)?
        }
    };
    parts.beside = if train == "." { beside } else { Vec::new() };
    (parts.test, parts.validation) = (test, validation);
    Ok(parts)
}

/// Returns the path of a folder that the sweep file names.
fn existing(look: &mut Look<'_>, below: &str, key: &str, name: &str) -> Result<String, DataError> {
    let path = format!("{below}{name}");
    if look.folder.has_folder(&path) {
        return Ok(format!("{name}/"));
    }
    let found = match look.at(below).folders.as_slice() {
        [] => "there are no folders".to_owned(),
        names => format!("there is no folder `{name}`, only {}", quoted(names)),
    };
    let remedy = format!("write the name of a folder after `dataset.{key}`");
    Err(DataError::Arrangement { path: look.shown(below), found, remedy })
}

/// Returns the folder that holds the parts or the classes: the data set's own, or one that it wraps.
fn base(look: &mut Look<'_>) -> Result<String, DataError> {
    let mut below = String::new();
    for _ in 0..=DEEPEST {
        let names = look.at(&below).folders;
        if are_parts(&names) || look.class_folders(&below).len() > 1 {
            return Ok(below);
        }
        match deeper(look, &below).as_slice() {
            [] => {}
            [one] => return Ok(one.clone()),
            several => {
                let names: Vec<String> = several.iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
                let found = format!("the folders {} each have parts of their own", quoted(&names));
                let remedy = "if they are data sets, write the path of one; if they are classes, move the parts to the top: \
                              `train/CLASS/…` and `test/CLASS/…`";
                return Err(DataError::Arrangement { path: look.shown(&below), found, remedy: remedy.to_owned() });
            }
        }
        let with_images = look.with_images(&below);
        let [only] = with_images.as_slice() else { return Ok(below) };
        let parent = below.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let own = look.folder.shown("").file_name().is_some_and(|own| own.eq_ignore_ascii_case(only.as_str()));
        let wraps = is_between(only) || (below.is_empty() && own) || only.eq_ignore_ascii_case(parent);
        if !wraps || look.at(&below).images > 0 {
            return Ok(below);
        }
        below = format!("{below}{only}/");
    }
    Ok(below)
}

/// Returns the folder of a role; several are refused unless one has exactly the role's name.
fn one(look: &Look<'_>, below: &str, names: &[String], wanted: Role) -> Result<Option<String>, DataError> {
    match of_role(names, wanted).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        [first, ..] if *first == wanted.as_str() => Ok(Some((*first).to_owned())),
        several => {
            let key = wanted.as_str();
            let found = format!("each of the folders {} may be the {key} part", quoted(several));
            let remedy = format!("write `{key}: FOLDER` below `dataset`");
            Err(DataError::Arrangement { path: look.shown(below), found, remedy })
        }
    }
}

/// Returns a note for each folder with images that is beside the parts.
fn unread(look: &mut Look<'_>, below: &str, names: &[String], read: [Option<&String>; 3]) -> Vec<Note> {
    let is_read = |name: &&String| {
        let inside = format!("{name}/");
        !read.iter().flatten().any(|part| part.starts_with(&inside))
    };
    let beside: Vec<&String> = names.iter().filter(is_read).collect();
    let with_images = beside.into_iter().filter(|name| look.has_images(&format!("{below}{name}/")));
    with_images.map(|name| Note::UnreadFolder { folder: name.clone(), role: role(name) }).collect()
}

/// Returns the folder of the classes of a part: the part's own, or the one folder `images` in it.
fn classes_in(look: &mut Look<'_>, below: &str, part: String, wanted: Role) -> Result<String, DataError> {
    let prefix = format!("{below}{part}");
    let glance = look.at(&prefix);
    let classes = look.with_images(&prefix);
    if classes.is_empty() && glance.images > 0 {
        return Err(without_classes(look, below, &prefix, glance.images, wanted));
    }
    let inner = match classes.as_slice() {
        [only] if is_between(only) && glance.images == 0 => format!("{part}{only}/"),
        _ => return Ok(part),
    };
    let images = look.at(&format!("{below}{inner}")).images;
    match look.with_images(&format!("{below}{inner}")).len() {
        0 if images > 0 => Err(without_classes(look, below, &format!("{below}{inner}"), images, wanted)),
        0 | 1 => Ok(part),
        _ => Ok(inner),
    }
}

/// Returns the error for images without class folders.
fn without_classes(look: &mut Look<'_>, below: &str, prefix: &str, images: usize, wanted: Role) -> DataError {
    let path = look.shown(prefix);
    let found = match images {
        1 => "1 image and no class folders, so its class is unknown".to_owned(),
        _ => format!("{} and no class folders, so their classes are unknown", counted(images, "image")),
    };
    let others: Vec<String> = look.class_folders(below).into_iter().filter(|name| role(name).is_none()).collect();
    let remedy = match wanted {
        Role::Train if !others.is_empty() => format!(
            "if it is a class like {}, write `train: .` below `dataset`; else make a folder for each class",
            quoted(&others)
        ),
        Role::Train => "make a folder for each class, or name the classes in a list (`kind: list`)".to_owned(),
        Role::Validation | Role::Test => format!(
            "make a folder for each class; or write `train: FOLDER` below `dataset`, so that only this folder is read, with \
             `test_fraction: 0.2`{}",
            if wanted == Role::Validation { "; or leave out `validation`" } else { "" }
        ),
    };
    DataError::Arrangement { path, found, remedy }
}

/// Refuses class folders that are parts under names that are not known, such as `train_a` and `test_a`.
fn no_disguised_parts(look: &mut Look<'_>, below: &str, names: &[String]) -> Result<(), DataError> {
    let classes = look.class_folders(below);
    let begins = |beginnings: &[&str]| {
        let begins = |name: &&String| beginnings.iter().any(|part| name.to_lowercase().starts_with(part));
        classes.iter().filter(begins).count()
    };
    let (train, other) = (begins(&["train"]), begins(&["test", "val"]));
    if classes.is_empty() || train == 0 || other == 0 || train + other < names.len() {
        return Ok(());
    }
    let found = format!("the folders {} look like parts of a data set, not like classes", quoted(&classes));
    let remedy =
        "write `dataset.train` and `dataset.test` with the names of two of them, which have one folder for each class";
    Err(DataError::Arrangement { path: look.shown(below), found, remedy: remedy.to_owned() })
}

fn is_between(name: &str) -> bool {
    BETWEEN.contains(&name.to_ascii_lowercase().as_str())
}

/// Returns names in backticks, at most ten.
fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{}`", name.as_ref())).collect();
    let more = names.len().saturating_sub(shown.len());
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
