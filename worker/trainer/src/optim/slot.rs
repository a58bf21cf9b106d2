//! A tensor of optimizer state that may still be on its way to a device.

use burn::tensor::{Device, Tensor, TensorData};

/// Restored state is on the host until the first step brings it to the device of its parameter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // After the first step it is always the large one.
pub enum Slot<const D: usize> {
    /// As it was read from a record.
    Host(TensorData),
    /// In use.
    Device(Tensor<D>),
}

impl<const D: usize> Slot<D> {
    /// The tensor, on `device`.
    pub fn onto(self, device: &Device) -> Tensor<D> {
        match self {
            Slot::Host(data) => Tensor::from_data(data, device),
            Slot::Device(tensor) => tensor.to_device(device),
        }
    }

    /// The values, to be written into a record.
    pub fn data(&self) -> TensorData {
        match self {
            Slot::Host(data) => data.clone(),
            Slot::Device(tensor) => tensor.to_data(),
        }
    }
}
