//! Device names as on the command line.

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
        /// How it is reached.
        backend: Backend,
        /// Position in the list that `worker devices` shows for the backend.
        index: usize,
    },
    /// CPU numerics under the name of a device of its own: for tests of placement, in no list.
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
    /// In the order in which `auto` prefers them.
    pub const ALL: [Backend; 4] = [Backend::Cuda, Backend::Rocm, Backend::Metal, Backend::Vulkan];

    /// As in a device name; also the cargo feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Cuda => "cuda",
            Backend::Rocm => "rocm",
            Backend::Metal => "metal",
            Backend::Vulkan => "vulkan",
        }
    }

    /// Whether this program was built with it.
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
    /// The class of numbers that the device produces; `auto` counts as what it resolves to.
    pub fn class(&self) -> NumericClass {
        match self {
            DeviceName::Cpu | DeviceName::Stub(_) => NumericClass::Cpu,
            DeviceName::Gpu { .. } => NumericClass::Gpu,
            DeviceName::Auto => self.resolve().class(),
        }
    }

    /// `auto` becomes the first GPU that is not software, or the CPU: a software rasterizer is slower than
    /// the CPU backend on the same cores. Every other name stays what it is.
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
