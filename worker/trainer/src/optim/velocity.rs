//! The state of update rules with one velocity per parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::Slot;

/// The velocity of a parameter.
#[derive(Clone, Debug)]
pub struct Velocity<const D: usize>(Slot<D>);

impl<const D: usize> Velocity<D> {
    /// Returns `momentum · before + push`; `push` alone at the first step, as in PyTorch with dampening 0.
    pub(super) fn after(before: Option<Self>, momentum: f64, push: Tensor<D>) -> Tensor<D> {
        match before {
            Some(Self(slot)) => slot.onto(&push.device()).mul_scalar(momentum) + push,
            None => push,
        }
    }

    pub(super) fn keep(velocity: Tensor<D>) -> Self {
        Self(Slot::Device(velocity))
    }

    pub(super) fn onto(self, device: &Device) -> Self {
        Self(Slot::Device(self.0.onto(device)))
    }
}

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.0.data());
    }

    // burn passes the default device, which may not be the device that trains.
    fn state_unflatten(prefix: &str, source: &mut StateSource, _: &Device) -> Option<Self> {
        Some(Self(Slot::Host(source.take_tensor(prefix, "velocity")?)))
    }
}
