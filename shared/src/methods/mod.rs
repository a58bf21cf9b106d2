//! Methods: each is one file, which describes everything except the training. It has the method's names, its keys with
//! defaults and sources, its views and batches, and its line in charts. The sweep file, the plan, the report and the web
//! page read it from here, and a test compares the tables of `docs/recipes.md` with it.
//!
//! The trainer has a file of the same name for each task: the objective.

pub mod about;
pub mod keys;
pub mod line;
pub mod random_init;
pub mod rotation;
pub mod rotation_jitter;
pub mod rotation_noise;
pub mod rotation_pre_rotated;
pub mod simclr;
pub mod supervised;
#[cfg(test)]
mod tests;
pub mod views;

use serde::{Deserialize, Serialize};

use about::{About, Pretext, PretextImages, Rules, Start};
use keys::{Defaults, Listing, Text};

/// Makes [`Method`] and [`PretextTask`]. A method that learns a task of its own has a struct `Task` in its file.
macro_rules! registry {
    ($($method:ident in $file:ident $(learns $task:ident)?;)*) => {
        /// The way in which a representation is learned before (or instead of) labels.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Method {
            $(#[doc = concat!("See the module [`", stringify!($file), "`].")] $method,)*
        }

        impl Method {
            /// All methods, in the order of the report's columns.
            pub const ALL: [Method; [$(Method::$method),*].len()] = [$(Method::$method),*];

            /// Returns the description of the method.
            pub fn about(self) -> &'static About {
                match self {
                    $(Method::$method => const { &$file::ABOUT },)*
                }
            }
        }

        /// The task of a pretext stage.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum PretextTask {
            $($(#[doc = concat!("See the module [`", stringify!($file), "`].")] $method($file::$task),)?)*
        }

        impl PretextTask {
            /// Returns the pretext training that has this task.
            pub fn pretext(&self) -> &'static Pretext {
                match self {
                    $($(PretextTask::$method(_) => const { &$file::$task::PRETEXT },)?)*
                }
            }
        }
    };
}

// In the order of the report's columns.
registry! {
    Supervised in supervised;
    Rotation in rotation learns Task;
    RotationJitter in rotation_jitter learns Task;
    Simclr in simclr learns Task;
    RandomInit in random_init;
    RotationNoise in rotation_noise;
    RotationPreRotated in rotation_pre_rotated;
}

impl Method {
    /// Returns the name in a sweep file.
    pub fn as_str(self) -> &'static str {
        self.about().name
    }

    /// Returns the name as a column heading.
    pub fn title(self) -> &'static str {
        self.about().title
    }

    /// Returns whether its cells have a pretext stage.
    pub fn has_pretext(self) -> bool {
        self.about().pretext.is_some()
    }

    /// Returns whether its encoder starts from the sweep's weights file, if there is one. The control `random-init`
    /// does not, because it measures random weights.
    pub fn starts_from_weights(self) -> bool {
        self.about().start == Start::Weights
    }

    /// Returns the images that its pretext training is shown.
    pub fn images(self) -> PretextImages {
        self.about().images
    }

    /// Returns the keys of `pretext` that this method reads besides those that all methods have.
    pub fn keys(self) -> Vec<Text> {
        let mut listing = Listing::new(Defaults::unknown());
        if let Some(pretext) = self.about().pretext {
            // A listing has no problems.
            let _ = (pretext.read)(&mut listing);
        }
        listing.asked
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PretextTask {
    /// Returns the rules of the task's batches.
    pub fn rules(&self) -> Rules {
        self.pretext().rules
    }
}
