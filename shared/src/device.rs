//! Devices as the plan and the scheduler see them.

use serde::{Deserialize, Serialize};

/// The kind of numbers that a device produces; part of a stage's hash. Outputs are bit-exact within `cpu` and equal
/// within a band within `gpu`, so the two never share results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumericClass {
    /// burn's flex backend on the CPU.
    Cpu,
    /// Any GPU backend.
    Gpu,
}

impl NumericClass {
    /// Returns `cpu` or `gpu`.
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
    /// Name on the command line: `cpu`, `vulkan:0`, `cuda:1`.
    pub name: String,
    /// Name for people: that of the adapter.
    pub description: String,
    /// The numeric class of the device.
    pub class: NumericClass,
    /// Number of stages that the device runs at a time.
    pub slots: u32,
}

/// A device by its name and by what its numbers depend on, `cpu (x86-64 with AVX-512)` or `vulkan:0 (ADAPTER)`: what
/// the results of a stage say that it ran on.
pub fn label(device: &DeviceFacts) -> String {
    let numerics = match device.class {
        NumericClass::Cpu => cpu_level(),
        NumericClass::Gpu => &device.description,
    };
    format!("{} ({numerics})", device.name)
}

#[cfg(target_arch = "x86_64")]
/// Returns the vector instructions that the CPU kernels use on this machine. Results are bit-exact between CPUs of one
/// level only.
pub fn cpu_level() -> &'static str {
    // What the kernels ask for before they take a level (`pulp::x86::{V4, V3}`).
    let v3 = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    let v4 = std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512cd")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl");
    if v3 && v4 {
        "x86-64 with AVX-512"
    } else if v3 {
        "x86-64 with AVX2 and FMA"
    } else {
        "x86-64"
    }
}

#[cfg(not(target_arch = "x86_64"))]
/// Returns the architecture: on this one the CPU kernels have a single level.
pub fn cpu_level() -> &'static str {
    std::env::consts::ARCH
}
