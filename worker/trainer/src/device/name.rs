//! Device names of the command line.

use std::fmt;
use std::str::FromStr;

use pretext_shared::device::NumericClass;

use super::{AdapterKind, DeviceError, list};

/// A device as a user writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The first real GPU, or the CPU.
    Auto,
    /// burn's flex backend.
    Cpu,
    /// One GPU.
    Gpu {
        /// The backend that reaches it.
        backend: Backend,
        /// Position in the list that `worker devices` shows for the backend.
        index: usize,
    },
    /// CPU numerics under a device name of its own, for tests of placement. Listed nowhere.
    Stub(usize),
}

/// A way to reach GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// NVIDIA's CUDA.
    Cuda,
    /// AMD's ROCm.
    Rocm,
    /// Apple's Metal, through wgpu.
    Metal,
    /// Vulkan, through wgpu.
    Vulkan,
}

impl Backend {
    /// All backends, in the order in which `auto` prefers them.
    pub const ALL: [Backend; 4] = [Backend::Cuda, Backend::Rocm, Backend::Metal, Backend::Vulkan];

    /// Returns the name in a device name, which is also the cargo feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Cuda => "cuda",
            Backend::Rocm => "rocm",
            Backend::Metal => "metal",
            Backend::Vulkan => "vulkan",
        }
    }

    /// Returns whether this program was built with the backend.
    pub fn is_compiled(self) -> bool {
        match self {
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Rocm => cfg!(feature = "rocm"),
            Backend::Metal => cfg!(feature = "metal"),
            Backend::Vulkan => cfg!(feature = "vulkan"),
        }
    }
}

impl DeviceName {
    /// Returns the numeric class of the device; `auto` counts as the device that it resolves to.
    pub fn class(&self) -> NumericClass {
        match self {
            DeviceName::Cpu | DeviceName::Stub(_) => NumericClass::Cpu,
            DeviceName::Gpu { .. } => NumericClass::Gpu,
            DeviceName::Auto => self.resolve().class(),
        }
    }

    /// Resolves `auto` to the first GPU that is not software, or to the CPU, because a software rasterizer is slower
    /// than the CPU backend on the same cores. Every other name stays the same.
    pub fn resolve(&self) -> DeviceName {
        match self {
            DeviceName::Auto => list()
                .into_iter()
                .find(|adapter| adapter.kind != AdapterKind::Software)
                .map_or(DeviceName::Cpu, |adapter| adapter.name),
            other => other.clone(),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Auto => f.write_str("auto"),
            DeviceName::Cpu => f.write_str("cpu"),
            DeviceName::Gpu { backend, index } => write!(f, "{}:{index}", backend.as_str()),
            DeviceName::Stub(index) => write!(f, "stub:{index}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { text: text.to_owned() };
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse::<usize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (kind, index) {
            ("auto", None) => Ok(DeviceName::Auto),
            ("cpu", None) => Ok(DeviceName::Cpu),
            ("stub", index) => Ok(DeviceName::Stub(index.unwrap_or(0))),
            (kind, index) => Backend::ALL
                .into_iter()
                .find(|backend| backend.as_str() == kind)
                .map(|backend| DeviceName::Gpu { backend, index: index.unwrap_or(0) })
                .ok_or_else(unknown),
        }
    }
}
