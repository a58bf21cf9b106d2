//! The folders of an image folder's parts, if the sweep file names them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Folders below the data set's folder, with `/`. A part without a name is found by the usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFolders {
    /// The folder of the training images; `.` for the data set's folder itself. If it is named, only folders that are
    /// named are read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub train: Option<String>,
    /// The folder of the validation images. Without a name, validation images are drawn from the training images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<String>,
    /// The folder of the test images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test: Option<String>,
}

impl PartFolders {
    /// The texts that begin a named folder in a key, in their order.
    pub(super) const MARKS: [&'static str; 3] = ["train=", "validation=", "test="];

    /// Returns whether no folder is named.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// Splits the folders off the beginning of the options of a key: `train=FOLDER&groups={*}_*`. No name of a folder has
    /// an `&`.
    pub(super) fn split_off(options: &str) -> (Self, Option<&str>) {
        let (mut folders, mut rest) = (Self::default(), Some(options));
        while let Some(text) = rest {
            let (option, others) = text.split_once('&').map_or((text, None), |(option, others)| (option, Some(others)));
            let known = Self::MARKS.iter().zip([&mut folders.train, &mut folders.validation, &mut folders.test]);
            let named = known.into_iter().find_map(|(mark, place)| Some((place, option.strip_prefix(mark)?)));
            let Some((place, folder)) = named else { break };
            *place = Some(folder.to_owned());
            rest = others;
        }
        (folders, rest)
    }
}

/// As in a key: `train=FOLDER&test=FOLDER`.
impl fmt::Display for PartFolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::MARKS.iter().zip([&self.train, &self.validation, &self.test]);
        let written: Vec<String> =
            named.filter_map(|(mark, folder)| Some(format!("{mark}{}", folder.as_ref()?))).collect();
        f.write_str(&written.join("&"))
    }
}
