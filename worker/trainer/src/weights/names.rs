//! Maps parameter paths to PyTorch's tensor names. The paths are the same with two exceptions. `gamma` and `beta` of a
//! normalisation are `weight` and `bias` in PyTorch. `downsample.conv` and `.bn` of a ResNet's shortcut are
//! `downsample.0` and `.1`. Convolutions are `[out, in, height, width]` in both.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData, TensorReadError};

use super::error::Misfit;
use super::file::{HostTensor, Tensors};
use crate::models::Encoder;

/// torchvision's classifier, which is not part of an encoder.
const CLASSIFIER: &str = "fc.";

/// The path of a parameter during a walk through a module; `None` for the variant of an enum, which is not part of the
/// path.
#[derive(Default)]
struct Path(Vec<Option<String>>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    /// Returns PyTorch's name of the parameter.
    fn name(&self) -> String {
        let parts: Vec<&str> = self.0.iter().flatten().map(String::as_str).collect();
        let renamed = parts.iter().enumerate().map(|(i, part)| {
            let below = i.checked_sub(1).map(|above| parts[above]);
            match (below, *part) {
                (Some("downsample"), "conv") => "0",
                (Some("downsample"), "bn") => "1",
                (_, "gamma") => "weight",
                (_, "beta") => "bias",
                (_, same) => same,
            }
        });
        renamed.collect::<Vec<_>>().join(".")
    }
}

/// Returns `encoder` with the values of `tensors`, which must be exactly its tensors, except for a classifier.
pub(super) fn assign(encoder: Encoder, tensors: Tensors) -> Result<Encoder, Misfit> {
    let mut assign = Assign { path: Path::default(), tensors, misfit: Misfit::default() };
    let encoder = encoder.map(&mut assign);
    let Assign { tensors, mut misfit, .. } = assign;
    misfit.unexpected = tensors.into_keys().filter(|name| !name.starts_with(CLASSIFIER)).collect();
    if misfit.is_empty() { Ok(encoder) } else { Err(misfit) }
}

struct Assign {
    path: Path,
    /// The tensors that are not assigned yet.
    tensors: Tensors,
    misfit: Misfit,
}

impl ModuleMapper for Assign {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, shape) = (self.path.name(), param.lazy_shape().to_vec());
        let values = match self.tensors.remove(&name) {
            Some(tensor) if tensor.shape == shape => tensor.values,
            Some(tensor) => {
                self.misfit.shapes.push((name, tensor.shape, shape));
                return param;
            }
            None => {
                self.misfit.missing.push(name);
                return param;
            }
        };
        let device = param.lazy_device();
        let (id, _, mapper) = param.consume();
        // A new tensor does not inherit the setting of the parameter that it becomes.
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device).set_require_grad(device.is_autodiff());
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Returns the tensors of `encoder`, which must be in evaluation mode: in training mode running statistics lag one step
/// behind.
pub(super) fn collect(encoder: &Encoder) -> Result<Tensors, TensorReadError> {
    let mut collect = Collect { path: Path::default(), tensors: Tensors::new(), error: None };
    encoder.visit(&mut collect);
    match collect.error {
        None => Ok(collect.tensors),
        Some(error) => Err(error),
    }
}

struct Collect {
    path: Path,
    tensors: Tensors,
    error: Option<TensorReadError>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        match tensor.try_into_vec_as() {
            Ok(values) => drop(self.tensors.insert(self.path.name(), HostTensor { shape, values })),
            Err(error) => self.error = Some(error),
        }
    }
}
