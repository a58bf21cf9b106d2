//! Lists the GPUs of this machine, for the backends that this program was built with.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};

use super::{Backend, DeviceError, DeviceName};

/// The hardware of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A card of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A share of a card, passed through by a hypervisor.
    Virtual,
    /// A rasterizer on the CPU (llvmpipe, lavapipe, WARP): works, slowly.
    Software,
}

impl AdapterKind {
    /// Returns the kind as `worker devices` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Software => "software",
        }
    }
}

/// A GPU, or software in place of one.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The name on the command line.
    pub name: DeviceName,
    /// The driver's name for it.
    pub description: String,
    /// The hardware.
    pub kind: AdapterKind,
    device: Device,
}

impl Adapter {
    /// Opens the burn device and computes something on it.
    pub(super) fn open(&self) -> Result<Device, DeviceError> {
        let device = self.device.clone();
        // A driver that cannot start the device panics inside the backend; the panic's message is the reason.
        let trial = catch_unwind(AssertUnwindSafe(|| {
            let sum = Tensor::<1>::from_floats([1.0, 2.0], &device).sum();
            sum.try_into_scalar::<f32>().map_err(|error| format!("{error:?}"))
        }));
        let reason = match trial {
            Ok(Ok(3.0)) => return Ok(device),
            Ok(Ok(sum)) => format!("it computed 1 + 2 = {sum}"),
            Ok(Err(error)) => error,
            Err(panic) => crate::panics::panic_message(panic.as_ref()),
        };
        Err(DeviceError::Unusable { name: self.name.clone(), description: self.description.clone(), reason })
    }
}

/// Returns every adapter that this program can reach on this machine, best backend first. Software comes last in its
/// backend.
pub fn list() -> Vec<Adapter> {
    Backend::ALL.into_iter().flat_map(list_backend).collect()
}

/// Returns the adapter that `name` means.
pub(super) fn find(name: &DeviceName, backend: Backend, index: usize) -> Result<Adapter, DeviceError> {
    if !backend.is_compiled() {
        let compiled = Backend::ALL.into_iter().filter(|backend| backend.is_compiled());
        let compiled: Vec<_> = std::iter::once("cpu").chain(compiled.map(Backend::as_str)).collect();
        return Err(DeviceError::NotCompiled {
            name: name.clone(),
            backend: backend.as_str(),
            compiled: compiled.join(" and "),
        });
    }
    let mut adapters = list_backend(backend);
    if index < adapters.len() {
        return Ok(adapters.swap_remove(index));
    }
    let found = match adapters.len() {
        0 => "none".to_owned(),
        1 => format!("only {}:0", backend.as_str()),
        n => format!("{}:0 to {}:{}", backend.as_str(), backend.as_str(), n - 1),
    };
    Err(DeviceError::NotFound { name: name.clone(), found })
}

fn list_backend(backend: Backend) -> Vec<Adapter> {
    match backend {
        #[cfg(feature = "cuda")]
        Backend::Cuda => numbered(backend, burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        Backend::Rocm => numbered(backend, burn::tensor::DeviceType::Rocm),
        #[cfg(feature = "metal")]
        Backend::Metal => wgpu_adapters::list(backend),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => wgpu_adapters::list(backend),
        #[allow(unreachable_patterns)]
        _ => Vec::new(),
    }
}

/// Returns the adapters of runtimes that number their cards and list only cards.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn numbered(backend: Backend, kind: burn::tensor::DeviceType) -> Vec<Adapter> {
    // Without a driver the runtime panics when it is asked for its devices: then there are none.
    let devices = catch_unwind(AssertUnwindSafe(|| Device::enumerate(kind).into_vec())).unwrap_or_default();
    let described = devices.into_iter().enumerate().map(|(index, device)| Adapter {
        name: DeviceName::Gpu { backend, index },
        description: format!("{} device {index}", backend.as_str()),
        kind: AdapterKind::Discrete,
        device,
    });
    described.collect()
}

#[cfg(any(feature = "vulkan", feature = "metal"))]
mod wgpu_adapters {
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use burn::tensor::{Device, DeviceKind};
    use burn_wgpu::wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

    use super::{Adapter, AdapterKind};
    use crate::device::{Backend, DeviceName};

    /// A lock, because the Vulkan loader crashes when several threads create and drop instances at once.
    static ONE_INSTANCE: Mutex<()> = Mutex::new(());

    /// Returns the adapters of `backend`. burn selects an adapter by kind and position within its kind; users count
    /// through all of them.
    pub(super) fn list(backend: Backend) -> Vec<Adapter> {
        let _guard = ONE_INSTANCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let api = if backend == Backend::Metal { Backends::METAL } else { Backends::VULKAN };
        let instance =
            Instance::new(InstanceDescriptor { backends: api, ..InstanceDescriptor::new_without_display_handle() });
        let mut found: Vec<(AdapterKind, usize, String)> = Vec::new();
        for adapter in wait(instance.enumerate_adapters(api)) {
            let info = adapter.get_info();
            let kind = match info.device_type {
                DeviceType::DiscreteGpu => AdapterKind::Discrete,
                DeviceType::IntegratedGpu => AdapterKind::Integrated,
                DeviceType::VirtualGpu => AdapterKind::Virtual,
                DeviceType::Cpu => AdapterKind::Software,
                // A layered or unclassified implementation, which burn cannot select.
                DeviceType::Other => continue,
            };
            let position = found.iter().filter(|(other, ..)| *other == kind).count();
            // burn reaches only the first software adapter.
            if kind == AdapterKind::Software && position > 0 {
                continue;
            }
            let driver = if info.driver.is_empty() { String::new() } else { format!(" ({})", info.driver) };
            found.push((kind, position, format!("{}{driver}", info.name)));
        }
        found.sort_by_key(|(kind, position, _)| (*kind, *position));
        let named = found.into_iter().enumerate().map(|(index, (kind, position, description))| Adapter {
            name: DeviceName::Gpu { backend, index },
            description,
            kind,
            device: select(backend, kind, position),
        });
        named.collect()
    }

    fn select(backend: Backend, kind: AdapterKind, position: usize) -> Device {
        let kind = match kind {
            AdapterKind::Discrete => DeviceKind::DiscreteGpu(position),
            AdapterKind::Integrated => DeviceKind::IntegratedGpu(position),
            AdapterKind::Virtual => DeviceKind::VirtualGpu(position),
            AdapterKind::Software => DeviceKind::Cpu,
        };
        match backend {
            #[cfg(feature = "metal")]
            Backend::Metal => Device::metal(kind),
            // wgpu reaches the same adapters through Vulkan; the features only change the kernels' language.
            #[cfg(feature = "spirv")]
            _ => Device::vulkan(kind),
            #[cfg(not(feature = "spirv"))]
            _ => Device::wgpu(kind),
        }
    }

    /// Waits for `future`. Native adapters are listed without waiting; the function is async for browsers.
    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::yield_now(),
            }
        }
    }
}
