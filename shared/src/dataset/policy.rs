//! What a sweep decides about pictures that do not fit: unreadable ones, identical ones, and ones that are not square.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a picture of any shape becomes the square that a network reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The shorter side is scaled to the size, and the middle of the longer one is cut out.
    #[default]
    Crop,
    /// The longer side is scaled to the size, and the rest is black, in equal parts on both sides.
    Pad,
    /// Both sides are scaled to the size, each by its own factor.
    Squash,
}

impl Fit {
    /// All kinds, as a sweep file writes them.
    pub const ALL: [(&'static str, Self); 3] = [("crop", Self::Crop), ("pad", Self::Pad), ("squash", Self::Squash)];

    /// Returns whether this is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What to do with pictures that cannot be decoded. The stronger choice is the greater one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// The data set cannot be used.
    #[default]
    Refuse,
    /// They are left out and counted.
    Skip,
}

impl Unreadable {
    /// All choices, as a sweep file writes them.
    pub const ALL: [(&'static str, Self); 2] = [("refuse", Self::Refuse), ("skip", Self::Skip)];
}

/// What to do with identical pictures in training and test, or under two labels. The stronger choice is the greater one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DuplicatePolicy {
    /// The data set cannot be used if they are more than a stated share.
    #[default]
    Refuse,
    /// They are used as they are.
    Keep,
    /// Training pictures that are also test pictures, or that have two labels, are left out and counted.
    DropFromTrain,
}

impl DuplicatePolicy {
    /// All choices, as a sweep file writes them.
    pub const ALL: [(&'static str, Self); 3] =
        [("refuse", Self::Refuse), ("keep", Self::Keep), ("drop-from-train", Self::DropFromTrain)];
}

/// The choices about the pictures of a folder. The default is strict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    /// Pictures that cannot be decoded.
    pub unreadable: Unreadable,
    /// Identical pictures.
    pub duplicates: DuplicatePolicy,
}

/// The texts that begin a choice in a key.
const UNREADABLE: &str = "unreadable=";
const DUPLICATES: &str = "duplicates=";

impl Policies {
    /// Returns whether all choices are the default ones.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the stronger of both choices: for a copy of the data that another source announced.
    pub(super) fn or_stronger(self, other: Self) -> Self {
        Self { unreadable: self.unreadable.max(other.unreadable), duplicates: self.duplicates.max(other.duplicates) }
    }

    /// The texts that begin a choice in a key.
    pub(super) const MARKS: [&'static str; 2] = [UNREADABLE, DUPLICATES];

    /// Splits the choices off the beginning of the options of a key: `unreadable=skip&groups={*}_*`.
    pub(super) fn split_off(options: &str) -> Result<(Self, Option<&str>), String> {
        let (mut policies, mut rest) = (Self::default(), Some(options));
        while let Some(text) = rest {
            let (option, others) = text.split_once('&').map_or((text, None), |(option, others)| (option, Some(others)));
            if let Some(value) = option.strip_prefix(UNREADABLE) {
                policies.unreadable = choice(&Unreadable::ALL, UNREADABLE, value)?;
            } else if let Some(value) = option.strip_prefix(DUPLICATES) {
                policies.duplicates = choice(&DuplicatePolicy::ALL, DUPLICATES, value)?;
            } else {
                break;
            }
            rest = others;
        }
        Ok((policies, rest))
    }
}

/// As in a key, without choices that are the default: `unreadable=skip&duplicates=keep`.
impl fmt::Display for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Vec::new();
        if self.unreadable != Unreadable::default() {
            written.push(format!("{UNREADABLE}{}", name(&Unreadable::ALL, self.unreadable)));
        }
        if self.duplicates != DuplicatePolicy::default() {
            written.push(format!("{DUPLICATES}{}", name(&DuplicatePolicy::ALL, self.duplicates)));
        }
        f.write_str(&written.join("&"))
    }
}

fn name<T: PartialEq>(all: &[(&'static str, T)], value: T) -> &'static str {
    all.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

fn choice<T: Copy>(all: &[(&'static str, T)], option: &str, text: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("`{}{text}` is not one of {}", option, names.join(", "))
    })
}
