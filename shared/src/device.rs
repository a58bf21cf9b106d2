//! Devices as the plan and the placement see them.

use serde::{Deserialize, Serialize};

/// What numbers a device produces. Part of a stage's hash: a stage's output is bit-exact within `cpu`
/// and equal within a band within `gpu`, so the two never share results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumericClass {
    /// burn's flex backend on the CPU.
    Cpu,
    /// Any GPU backend.
    Gpu,
}

impl NumericClass {
    /// `cpu` or `gpu`.
    pub fn as_str(self) -> &'static str {
        match self {
            NumericClass::Cpu => "cpu",
            NumericClass::Gpu => "gpu",
        }
    }
}

impl std::fmt::Display for NumericClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for NumericClass {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(NumericClass::Cpu),
            "gpu" => Ok(NumericClass::Gpu),
            other => Err(format!("`{other}` is not a numeric class: cpu or gpu")),
        }
    }
}

/// A device that a worker offers slots on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// As on the command line: `cpu`, `vulkan:0`, `cuda:1`.
    pub name: String,
    /// What a person calls it: the adapter's name.
    pub description: String,
    /// The numbers it produces.
    pub class: NumericClass,
    /// How many stages it runs at a time.
    pub slots: u32,
}
