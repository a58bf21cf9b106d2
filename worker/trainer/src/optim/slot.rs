//! A tensor of optimizer state that may not be on its device yet.

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of state. Restored state is on the host until the first step moves it to the device of its parameter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // After the first step it is always the large one.
pub enum Slot<const D: usize> {
    /// As it was read from a record.
    Host(TensorData),
    /// In use.
    Device(Tensor<D>),
}

impl<const D: usize> Slot<D> {
    /// Returns the tensor on `device`.
    pub fn onto(self, device: &Device) -> Tensor<D> {
        match self {
            Slot::Host(data) => Tensor::from_data(data, device),
            Slot::Device(tensor) => tensor.to_device(device),
        }
    }

    /// Returns the values, for a record.
    pub fn data(&self) -> TensorData {
        match self {
            Slot::Host(data) => data.clone(),
            Slot::Device(tensor) => tensor.to_data(),
        }
    }
}
