//! Notes about the way in which a data set was read: nothing is wrong, but a person may have expected something else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::{agreeing, counted, grouped};

/// The role that a folder's name suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Training images.
    Train,
    /// Validation images.
    Validation,
    /// Test images.
    Test,
}

impl Role {
    /// Returns the role as messages and the keys of a sweep file name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Train => "train",
            Role::Validation => "validation",
            Role::Test => "test",
        }
    }
}

/// One note. [`fmt::Display`] is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// A folder beside the parts is not read.
    UnreadFolder {
        /// The folder, relative to the data set's folder.
        folder: String,
        /// The role that its name suggests.
        role: Option<Role>,
    },
    /// The parts or classes are in a deeper folder than the one that the sweep file names.
    Deeper {
        /// The folder, relative to the named one.
        folder: String,
    },
    /// A class has no images in a part.
    NoImages {
        /// The class.
        class: String,
        /// The part.
        role: Role,
    },
    /// The names of a class differ in their Unicode form between the training part and another one.
    UnicodeForm {
        /// The class as the training part writes it.
        class: String,
        /// The part that writes it in another form.
        role: Role,
    },
    /// Columns of a list or table that are not read.
    UnreadColumns {
        /// Their names.
        columns: Vec<String>,
    },
    /// Pictures of a class that `unreadable: skip` left out.
    Unreadable {
        /// The class.
        class: String,
        /// The part.
        role: Role,
        /// Their number.
        count: u32,
    },
    /// Training pictures of a class that `duplicates: drop-from-train` left out.
    Dropped {
        /// The class.
        class: String,
        /// Their number.
        count: u32,
    },
    /// Test pictures that are also training pictures.
    Leaked {
        /// Their number.
        count: u64,
        /// All test pictures.
        all: u64,
        /// One of them, and its copy.
        example: [String; 2],
    },
    /// Pictures that exist under two labels.
    TwoLabels {
        /// Their number; copies count once.
        count: u64,
        /// One of them, and its copy.
        example: [String; 2],
    },
    /// Files beside the pictures that are no part of the data set.
    Ignored {
        /// Their number.
        count: u64,
        /// The first of them.
        first: String,
        /// Why it is ignored.
        reason: String,
    },
    /// A note of a newer worker.
    Other {
        /// Its text.
        text: String,
    },
}

impl Note {
    /// Returns the note as messages between programs carry it.
    pub fn encoded(&self) -> String {
        serde_json::to_string(self).expect("a note has only texts")
    }

    /// Returns the note that [`Self::encoded`] wrote; a note of another version becomes [`Note::Other`].
    pub fn decoded(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Note::Other { text: text.to_owned() })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::UnreadFolder { folder, role: Some(Role::Validation) } => write!(
                f,
                "the folder `{folder}` is not read: write `validation: {folder}` below `dataset` to validate with it"
            ),
            Note::UnreadFolder { folder, role: Some(role) } => {
                let role = role.as_str();
                write!(f, "the folder `{folder}` is not read: write `{role}: {folder}` below `dataset` to use it")
            }
            Note::UnreadFolder { folder, role: None } => {
                write!(f, "the folder `{folder}` is not read: it is beside the parts, not in one of them")
            }
            Note::Deeper { folder } => write!(f, "the images are read from the folder `{folder}`"),
            Note::NoImages { class, role } => write!(f, "class `{class}` has no {} images", role.as_str()),
            Note::UnicodeForm { class, role } => write!(
                f,
                "the name of class `{class}` has another Unicode form in the {} part; both are taken as one class",
                role.as_str()
            ),
            Note::UnreadColumns { columns } => write!(f, "columns that are not read: {}", columns.join(", ")),
            Note::Unreadable { class, role, count } => write!(
                f,
                "{} of class `{class}` cannot be read and {} left out (`unreadable: skip`)",
                counted(*count, &format!("{} image", role.as_str())),
                agreeing(*count, "was", "were")
            ),
            Note::Dropped { class, count } => write!(
                f,
                "{} of class `{class}` {} left out (`duplicates: drop-from-train`)",
                counted(*count, "training image"),
                agreeing(*count, "is identical to another one and was", "are identical to others and were")
            ),
            Note::Leaked { count, all, example: [test, train] } => write!(
                f,
                "{} of {} {} also {}, for example {test} and {train}: `duplicates: drop-from-train` leaves them out of \
                 training",
                grouped(*count),
                counted(*all, "test image"),
                agreeing(*count, "is", "are"),
                agreeing(*count, "a training image", "training images")
            ),
            Note::TwoLabels { count, example: [one, two] } => {
                let (images, exist) = (counted(*count, "image"), agreeing(*count, "exists", "exist"));
                write!(f, "{images} {exist} under two labels, for example {one} and {two}")
            }
            Note::Ignored { count, first, reason } => {
                let files = counted(*count, "file");
                write!(f, "{files} {} ignored, the first is {first}: {reason}", agreeing(*count, "is", "are"))
            }
            Note::Other { text } => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_travel_and_unknown_ones_stay_readable() {
        let note = Note::UnreadFolder { folder: "val".to_owned(), role: Some(Role::Validation) };
        assert_eq!(Note::decoded(&note.encoded()), note);
        assert!(note.to_string().contains("write `validation: val`"), "{note}");
        let newer = Note::decoded("{\"note\":\"invented-later\"}");
        assert_eq!(newer.to_string(), "{\"note\":\"invented-later\"}");
        assert_eq!(Note::decoded(&newer.encoded()), newer);
    }
}
