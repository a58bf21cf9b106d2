//! What a machine has: the JSON that `worker devices` and `worker inspect` print and that the coordinator's programs
//! read.

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetFacts;
use crate::device::NumericClass;
use crate::packing::PackedFile;
use crate::survey::Survey;

/// Most bytes of decoded pictures that a trainer holds, however large the machine is.
pub const MOST_PIXELS: u64 = 16 << 30;

/// Share of the memory that decoded pictures may take: networks need some too.
pub const PIXELS_SHARE: f64 = 0.8;

/// Returns the bytes of decoded pictures that a trainer may hold where a process may use `memory` bytes.
pub fn most_pixels(memory: u64) -> u64 {
    ((memory as f64 * PIXELS_SHARE) as u64).min(MOST_PIXELS)
}

/// A data set below a data root: a row of `worker inspect --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundDataset {
    /// `KIND:PATH`.
    pub key: String,
    /// The facts that a worker announces.
    pub facts: Option<DatasetFacts>,
    /// Why the data set cannot be used, if it cannot.
    pub problem: Option<String>,
    /// What a look at all its pictures found, if `--deep` asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<Survey>,
    /// Its files, if `--files` asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<PackedFile>>,
}

/// A device of a machine: a row of `worker devices --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundDevice {
    /// The name as `--device` takes it.
    pub name: String,
    /// The adapter's name.
    pub description: String,
    /// The class of numbers that it produces.
    pub class: NumericClass,
    /// What kind of device it is, for people.
    pub kind: String,
    /// Whether it computes in hardware of its own. `--device auto` takes no other GPU.
    pub real: bool,
    /// Whether `--device auto` takes it.
    pub auto: bool,
    /// For the CPU: the bytes of memory that a process may use here, if the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// A data set with all files that reading it needs, in their order.
#[derive(Debug, Clone)]
pub struct Shipment {
    /// The facts that a worker with the data set announces.
    pub facts: DatasetFacts,
    /// Its files.
    pub files: Vec<PackedFile>,
}
