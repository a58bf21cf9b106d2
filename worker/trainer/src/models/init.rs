//! Initial weights, drawn on the host from the seed and the path of each parameter. burn draws weights at first use
//! from one generator per process; such weights would depend on everything that ran before.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use pretext_shared::draw::{Draw, Place, Purpose};
use rayon::prelude::*;

/// Sets the weights of a module whose weights are zero. Convolutions are Kaiming normal by fan-out (He et al. 2015;
/// torchvision's ResNets), weights of linear layers uniform within ±1/√fan-in, and biases zero. Normalisation keeps its
/// values: scale and variance 1, shift and mean 0.
pub fn initialize<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Initialize { seed, path: Vec::new() })
}

struct Initialize {
    seed: u64,
    /// Names of modules; `None` for the variant of an enum, which is not part of a parameter's path.
    path: Vec<Option<String>>,
}

impl Initialize {
    /// Returns the start of the hash of the parameter's path.
    fn key(&self) -> u64 {
        let path = self.path.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".");
        let hash = blake3::hash(path.as_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    /// Returns values of a tensor of `rows` rows. `draw` draws each row from a stream of its own.
    fn values(&self, rows: usize, length: usize, draw: impl Fn(&mut Draw) -> f32 + Sync) -> Vec<f32> {
        let place = Place { seed: self.seed, purpose: Purpose::Init, epoch: 0, sample: self.key(), view: 0 };
        let mut values = vec![0f32; rows * length];
        values.par_chunks_mut(length).enumerate().for_each(|(row, values)| {
            let mut stream = Draw::new(place, row as u64);
            values.iter_mut().for_each(|value| *value = draw(&mut stream));
        });
        values
    }
}

impl ModuleMapper for Initialize {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        let values = match shape.as_slice() {
            [outputs, _, height, width] => {
                let deviation = (2.0 / (outputs * height * width) as f32).sqrt();
                Some(self.values(*outputs, shape[1..].iter().product(), |draw| deviation * draw.normal()))
            }
            [inputs, outputs] => {
                let bound = 1.0 / (*inputs as f32).sqrt();
                Some(self.values(*inputs, *outputs, |draw| draw.range(-bound, bound)))
            }
            // Biases, normalisation and its running statistics.
            _ => None,
        };
        let device = param.lazy_device();
        let (_, zeros, mapper) = param.consume();
        let tensor = match values {
            // A new tensor does not inherit the setting of the parameter that it becomes.
            Some(values) => {
                Tensor::from_data(TensorData::new(values, shape), &device).set_require_grad(device.is_autodiff())
            }
            None => zeros,
        };
        // In burn the id is random. It is written into records, and equal models must be equal files.
        Param::from_mapped_value(ParamId::from(self.key()), tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::module::ModuleVisitor;
    use burn::tensor::{Device, Distribution};
    use pretext_shared::stage::{EncoderSpec, Stem};

    use crate::models::{HeadSpec, Network};

    use super::*;

    struct Collect(Vec<String>, BTreeMap<String, Vec<f32>>);

    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(self.0.join("."), param.val().try_into_vec_as().expect("f32"));
        }
    }

    fn weights(encoder: &EncoderSpec, head: &HeadSpec, seed: u64, device: &Device) -> BTreeMap<String, Vec<f32>> {
        let mut collect = Collect(Vec::new(), BTreeMap::new());
        Network::new(encoder, head, seed, device).visit(&mut collect);
        collect.1
    }

    #[test]
    fn weights_depend_on_seed_and_path_only() {
        let (small, linear) = (EncoderSpec::SmallCnn { width: 8, blocks: 2 }, HeadSpec::Linear { outputs: 3 });
        let reference = weights(&small, &linear, 5, &Device::flex());
        // Other draws, another device, another head or another thread change nothing.
        Tensor::<1>::random([10], Distribution::Default, &Device::flex()).into_data();
        assert_eq!(weights(&small, &linear, 5, &Device::flex().autodiff()), reference);
        let projection = weights(&small, &HeadSpec::Projection { outputs: 6 }, 5, &Device::flex());
        let encoder = |weights: &BTreeMap<String, Vec<f32>>| {
            let part = weights.iter().filter(|(path, _)| path.starts_with("encoder."));
            part.map(|(path, values)| (path.clone(), values.clone())).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(encoder(&projection), encoder(&reference));
        assert_ne!(weights(&small, &linear, 6, &Device::flex()), reference);
        // Every weight has draws of its own.
        let drawn: Vec<_> = reference.iter().filter(|(path, _)| path.ends_with("weight")).collect();
        assert_eq!(drawn.len(), 7, "stem, 2 x (a, b), one shortcut, head");
        for (i, (a, x)) in drawn.iter().enumerate() {
            assert!(drawn[..i].iter().all(|(_, y)| x[..8] != y[..8]), "{a}");
        }
    }

    #[test]
    fn weights_have_the_stated_distribution() {
        let encoder = EncoderSpec::Resnet18 { stem: Stem::Small };
        let all = weights(&encoder, &HeadSpec::Linear { outputs: 10 }, 1, &Device::flex());
        let conv = &all["encoder.Resnet18.layer2.0.conv1.weight"];
        let moment = |f: fn(f64) -> f64| conv.iter().map(|v| f(f64::from(*v))).sum::<f64>() / conv.len() as f64;
        let variance = 2.0 / (128.0 * 9.0);
        assert!(moment(|v| v).abs() < 5.0 * (variance / conv.len() as f64).sqrt());
        assert!((moment(|v| v * v) / variance - 1.0).abs() < 0.02);
        let head = &all["head.Linear.weight"];
        let bound = 1.0 / 512f32.sqrt();
        assert!(head.iter().all(|v| v.abs() <= bound) && head.iter().any(|v| v.abs() > 0.98 * bound));
        assert!(all["head.Linear.bias"].iter().all(|v| *v == 0.0));
        assert!(all["encoder.Resnet18.bn1.gamma"].iter().all(|v| *v == 1.0));
        assert!(all["encoder.Resnet18.bn1.running_mean"].iter().all(|v| *v == 0.0));
    }
}
