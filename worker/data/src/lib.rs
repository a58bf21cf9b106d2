//! Data sets: the files on disk (the manifest) and the pixels in memory.
//!
//! [`scan`] lists a source and hashes every file; it decodes only if the sweep file leaves pictures out. The hash of that
//! list is the fingerprint that stages carry. [`discover()`] scans everything below the data root, for a worker to announce. [`Dataset::load`]
//! decodes once to bytes `[n, 3, size, size]`; augmentation and normalisation happen later, in each epoch. The
//! manifest's order (by the bytes of the path) gives every training image its sample id, so splits are the same on
//! every machine.

mod arrays;
pub mod augment;
mod cifar;
mod class_names;
pub mod decode;
mod derived;
mod discover;
pub mod duplicates;
mod error;
mod fingerprint;
mod fit;
mod groups;
mod hash_cache;
mod idx;
mod image_folder;
mod images;
mod inspect;
mod kinds;
mod labels;
mod layout;
mod list;
mod listing;
mod looks;
mod manifest;
pub mod memory;
pub mod near;
mod pixels;
mod procedural;
mod records;
pub mod root;
mod shards;
mod shipment;
mod sieve;
mod sight;
pub mod survey;
mod tables;
mod webdataset;

pub use derived::FeatureCache;
pub use discover::{Found, discover};
pub use error::{DataError, Fault};
pub use groups::Groups;
pub use images::{Dataset, ImageSet};
pub use inspect::{Depth, inspect, inspect_files};
pub use kinds::Ignored;
pub use manifest::{Entry, Location, Manifest, ManifestFile, Part, scan};
pub use shipment::ship;
