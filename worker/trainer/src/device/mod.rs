//! Devices: their names for `--device`, the devices of this machine, and how to open one.

mod adapters;
mod name;

use burn::tensor::Device;
use pretext_shared::device::{DeviceFacts, NumericClass, cpu_level};

pub use adapters::{Adapter, AdapterKind, list};
pub use name::{Backend, DeviceName};

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The text names no device.
    #[error("`{text}` is not a device: write auto, cpu, vulkan[:N], cuda[:N], rocm[:N] or metal[:N]")]
    Unknown {
        /// The given text.
        text: String,
    },
    /// This program was built without the backend.
    #[error(
        "device `{name}` needs a worker built with `--features {backend}`; this worker has {compiled} (see `worker devices`)"
    )]
    NotCompiled {
        /// The requested device.
        name: DeviceName,
        /// The missing cargo feature.
        backend: &'static str,
        /// The backends of this program.
        compiled: String,
    },
    /// The machine has fewer devices of the backend.
    #[error("there is no device `{name}`: this machine has {found} for that backend (see `worker devices`)")]
    NotFound {
        /// The requested device.
        name: DeviceName,
        /// The devices that the machine has, as messages show them.
        found: String,
    },
    /// The device exists but does not work.
    #[error("device `{name}` ({description}) does not work: {reason}")]
    Unusable {
        /// The requested device.
        name: DeviceName,
        /// The adapter's name.
        description: String,
        /// The driver's message.
        reason: String,
    },
}

/// An open device.
#[derive(Debug, Clone)]
pub struct Compute {
    name: DeviceName,
    description: String,
    device: Device,
}

impl Compute {
    /// Opens the device called `name`; `auto` is resolved first. A GPU must add two numbers, so that a driver that
    /// lists a device but cannot use it fails here and not in the middle of a stage.
    pub fn open(name: &DeviceName) -> Result<Self, DeviceError> {
        let name = name.resolve();
        let (description, device) = match &name {
            DeviceName::Cpu | DeviceName::Auto => (cpu_description(), Device::flex()),
            DeviceName::Stub(index) => (format!("stub {index}: CPU numerics"), Device::flex()),
            DeviceName::Gpu { backend, index } => {
                let adapter = adapters::find(&name, *backend, *index)?;
                (adapter.description.clone(), adapter.open()?)
            }
        };
        Ok(Self { name, description, device })
    }

    /// Returns the CPU, which always exists.
    pub fn cpu() -> Self {
        Self { name: DeviceName::Cpu, description: cpu_description(), device: Device::flex() }
    }

    /// Returns the device for evaluation: tensors on it carry no graph.
    pub fn plain(&self) -> Device {
        self.device.clone()
    }

    /// Returns the device for training: operations on it are recorded for the backward pass.
    pub fn training(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Returns the name as on the command line, never `auto`.
    pub fn name(&self) -> &DeviceName {
        &self.name
    }

    /// Returns the numeric class of the device.
    pub fn class(&self) -> NumericClass {
        self.name.class()
    }

    /// Returns whether a value is available as soon as it is computed, so that reading it costs nothing.
    pub fn reads_are_free(&self) -> bool {
        self.class() == NumericClass::Cpu
    }

    /// Returns the facts that the worker announces for this device with `slots` slots.
    pub fn describe(&self, slots: u32) -> DeviceFacts {
        DeviceFacts { name: self.name.to_string(), description: self.description.clone(), class: self.class(), slots }
    }
}

/// Returns the CPU's feature level. Results are bit-exact only between CPUs of one feature level, so it is part of the
/// description.
fn cpu_description() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU, {}, {threads} threads", cpu_level())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for name in ["auto", "cpu", "vulkan:0", "vulkan:3", "cuda:1", "rocm:0", "metal:0", "stub:2"] {
            assert_eq!(name.parse::<DeviceName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        assert_eq!("vulkan".parse(), Ok(DeviceName::Gpu { backend: Backend::Vulkan, index: 0 }));
        for bad in ["", "gpu", "cpu:0", "vulkan:", "vulkan:x", "vulkan:-1", "cuda:1:2", "auto:1"] {
            let error = bad.parse::<DeviceName>().expect_err(bad).to_string();
            assert!(error.contains("vulkan[:N]"), "{error}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_in_words() {
        let missing = Compute::open(&DeviceName::Gpu { backend: Backend::Vulkan, index: 999 });
        let error = missing.expect_err("no machine has a thousand adapters").to_string();
        assert!(error.contains("vulkan:999") && error.contains("worker devices"), "{error}");
        if !Backend::Rocm.is_compiled() {
            let error = Compute::open(&DeviceName::Gpu { backend: Backend::Rocm, index: 0 });
            let error = error.expect_err("not compiled").to_string();
            assert!(error.contains("--features rocm"), "{error}");
        }
    }

    #[test]
    fn stubs_have_cpu_numerics() {
        let stub = Compute::open(&DeviceName::Stub(1)).expect("stubs are always there");
        assert_eq!((stub.describe(2).name.as_str(), stub.class()), ("stub:1", NumericClass::Cpu));
        assert!(stub.training().is_autodiff() && !stub.plain().is_autodiff());
    }

    #[test]
    fn auto_never_takes_software() {
        let chosen = DeviceName::Auto.resolve();
        match &chosen {
            DeviceName::Gpu { .. } => {
                let adapter = list().into_iter().find(|adapter| adapter.name == chosen);
                assert!(adapter.is_some_and(|adapter| adapter.kind != AdapterKind::Software));
            }
            other => assert_eq!(other, &DeviceName::Cpu),
        }
    }
}
