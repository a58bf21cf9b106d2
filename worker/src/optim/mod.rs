//! Optimizers.
//!
//! Own update rules in burn's optimizer shell, for two reasons. burn's defaults are not PyTorch's (dampening 0.1, epsilon
//! 1e-5); and burn restores optimizer state onto the *default* device, which in a build with Vulkan is a GPU even where
//! the training runs on the CPU, and a panic where there is none. The state here stays on the host until the first step says
//! where it belongs.

mod adam;
mod sgd;
mod slot;

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use burn::store::RecordError;
use burn::tensor::Bytes;
use pretext_shared::stage::OptimizerSpec;

pub use adam::{Adam, AdamState};
pub use sgd::{Sgd, SgdState};
pub use slot::Slot;

/// Parameters without weight decay: biases, and scale and shift of normalisation.
const NO_DECAY: &str = r"(^|\.)(bias|gamma|beta)$";

/// The optimizer of `spec`, without state.
pub fn optimizer(spec: &OptimizerSpec) -> ModuleOptimizer {
    let no_decay = ParamGroup::from_regex(NO_DECAY).expect("the pattern is a constant that compiles");
    match *spec {
        OptimizerSpec::Sgd { momentum, weight_decay } => {
            let rule = Sgd { momentum, weight_decay };
            ModuleOptimizer::from(rule.clone()).with_group(no_decay, Sgd { weight_decay: 0.0, ..rule }, None)
        }
        OptimizerSpec::Adam { weight_decay } => {
            let rule = Adam { weight_decay };
            ModuleOptimizer::from(rule).with_group(no_decay, Adam { weight_decay: 0.0 }, None)
        }
    }
}

/// The state of `optimizer` as bytes; the keys are parameter ids, which the model's record restores.
pub fn save(optimizer: &ModuleOptimizer) -> Result<Vec<u8>, RecordError> {
    Ok(optimizer.into_bytes()?.to_vec())
}

/// The optimizer of `spec` with the state that [`save`] wrote. Load the model's record as well, for the ids.
pub fn restore(spec: &OptimizerSpec, bytes: Vec<u8>) -> Result<ModuleOptimizer, RecordError> {
    let record = burn::optim::OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes))?;
    let tensors = record.len();
    let optimizer = optimizer(spec).load_record(record);
    // burn leaves out, silently, what it cannot rebuild.
    let restored = optimizer.to_record().len();
    if restored != tensors {
        return Err(RecordError::Validation(format!("{restored} of {tensors} tensors of optimizer state fit")));
    }
    Ok(optimizer)
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::store::ModuleRecord;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct Toy {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    fn toy() -> Toy {
        let device = Device::flex().autodiff();
        Toy {
            weight: Param::from_tensor(Tensor::from_floats([[0.5, -1.5], [2.0, 0.25]], &device)),
            bias: Param::from_tensor(Tensor::from_floats([0.75, -0.5], &device)),
        }
    }

    /// Gradients that any reference can rebuild.
    fn gradient(step: usize, i: usize) -> f64 {
        ((step * 7 + i * 3) as f64 * 0.61).sin()
    }

    fn gradients(toy: &Toy, step: usize) -> GradientsParams {
        let g = |i: usize| gradient(step, i) as f32;
        let mut grads = GradientsParams::new();
        let device = Device::flex();
        grads.register(toy.weight.id, Tensor::<2>::from_floats([[g(0), g(1)], [g(2), g(3)]], &device));
        grads.register(toy.bias.id, Tensor::<1>::from_floats([g(4), g(5)], &device));
        grads
    }

    fn values(toy: &Toy) -> Vec<f32> {
        let mut all: Vec<f32> = toy.weight.val().try_into_vec_as().expect("f32");
        all.extend(toy.bias.val().try_into_vec_as::<f32>().expect("f32"));
        all
    }

    const STEPS: usize = 6;

    fn rate(step: usize) -> f64 {
        0.1 / (1 + step) as f64
    }

    /// The rules as PyTorch documents them, in f64 on numbers; weight decay on the first four values only.
    fn reference(spec: &OptimizerSpec) -> Vec<f64> {
        let mut w: Vec<f64> = values(&toy()).into_iter().map(f64::from).collect();
        let (mut m, mut v) = ([0.0; 6], [0.0; 6]);
        for step in 0..STEPS {
            for i in 0..6 {
                let decay = |weight_decay: f64| if i < 4 { weight_decay } else { 0.0 };
                match *spec {
                    OptimizerSpec::Sgd { momentum, weight_decay } => {
                        m[i] = momentum * m[i] + gradient(step, i) + decay(weight_decay) * w[i];
                        w[i] -= rate(step) * m[i];
                    }
                    OptimizerSpec::Adam { weight_decay } => {
                        let g = gradient(step, i) + decay(weight_decay) * w[i];
                        m[i] = 0.9 * m[i] + 0.1 * g;
                        v[i] = 0.999 * v[i] + 0.001 * g * g;
                        let t = step as i32 + 1;
                        let (m, v) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                        w[i] -= rate(step) * m / (v.sqrt() + 1e-8);
                    }
                }
            }
        }
        w
    }

    const SPECS: [OptimizerSpec; 3] = [
        OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.1 },
        OptimizerSpec::Sgd { momentum: 0.0, weight_decay: 0.0 },
        OptimizerSpec::Adam { weight_decay: 0.1 },
    ];

    #[test]
    fn steps_are_pytorchs() {
        for spec in SPECS {
            let (mut toy, mut optimizer) = (toy(), optimizer(&spec));
            for step in 0..STEPS {
                let grads = gradients(&toy, step);
                toy = optimizer.step(rate(step), toy, grads);
            }
            for (own, expected) in values(&toy).iter().zip(reference(&spec)) {
                assert!((f64::from(*own) - expected).abs() < 1e-6, "{spec:?}: {own} and not {expected}");
            }
        }
    }

    #[test]
    fn restored_state_goes_on_bit_for_bit() {
        for spec in SPECS {
            let (mut whole, mut optimizer) = (toy(), optimizer(&spec));
            let mut saved = None;
            for step in 0..STEPS {
                if step == 2 {
                    let model = whole.valid().into_record().into_bytes().expect("a record");
                    saved = Some((model, save(&optimizer).expect("state")));
                }
                let grads = gradients(&whole, step);
                whole = optimizer.step(rate(step), whole, grads);
            }
            let (model, state) = saved.expect("saved in mid-run");
            let mut parted = toy().load_record(ModuleRecord::from_bytes(model).expect("a record"));
            let mut optimizer = restore(&spec, state).expect("its own state");
            for step in 2..STEPS {
                let grads = gradients(&parted, step);
                parted = optimizer.step(rate(step), parted, grads);
            }
            assert_eq!(values(&parted), values(&whole), "{spec:?}");
        }
    }
}
