//! Optimizers with the update rules of PyTorch.
//!
//! The update rules are our own, inside burn's optimizer type, for two reasons. burn's defaults differ from PyTorch's
//! (dampening 0.1, epsilon 1e-5). burn also restores optimizer state onto the *default* device. In a build with Vulkan
//! that is a GPU, even if the training runs on the CPU, and a panic if there is no GPU. The state here stays on the
//! host until the first step moves it to the device of its parameter.

mod adam;
mod adamw;
mod lars;
mod nesterov;
mod sgd;
mod slot;
#[cfg(test)]
mod tests;
mod velocity;

use burn::module::ParamGroup;
use burn::optim::{ModuleOptimizer, Optimizer};
use burn::store::RecordError;
use burn::tensor::Bytes;
use pretext_shared::stage::{DecayOn, OptimizerSpec};

pub use adam::{Adam, AdamState};
pub use adamw::AdamW;
pub use lars::{Adaptation, Lars};
pub use nesterov::Nesterov;
pub use sgd::{Sgd, SgdState};
pub use slot::Slot;
pub use velocity::Velocity;

/// Biases, and scale and shift of normalisation. LARS always excludes them; weight decay excludes them unless it is
/// told to include them.
const SPARED: &str = r"(^|\.)(bias|gamma|beta)$";

/// Returns the optimizer of `spec`, without state; `decay` names the parameters of its weight decay.
pub fn optimizer(spec: &OptimizerSpec, decay: DecayOn) -> ModuleOptimizer {
    // The decay of spared parameters.
    let spared = |weight_decay: f64| match decay {
        DecayOn::Weights => 0.0,
        DecayOn::All => weight_decay,
    };
    match *spec {
        OptimizerSpec::Sgd { momentum, weight_decay } => {
            let rule = |weight_decay| Sgd { momentum, weight_decay };
            groups(rule(weight_decay), rule(spared(weight_decay)))
        }
        OptimizerSpec::Nesterov { momentum, weight_decay } => {
            let rule = |weight_decay| Nesterov { momentum, weight_decay };
            groups(rule(weight_decay), rule(spared(weight_decay)))
        }
        OptimizerSpec::Adam { weight_decay } => {
            groups(Adam { weight_decay }, Adam { weight_decay: spared(weight_decay) })
        }
        OptimizerSpec::AdamW { weight_decay } => {
            groups(AdamW { weight_decay }, AdamW { weight_decay: spared(weight_decay) })
        }
        OptimizerSpec::Lars { momentum, weight_decay, trust } => {
            let adapted = Adaptation::Trust { coefficient: trust, weight_decay };
            groups(Lars { momentum, adaptation: adapted }, Lars { momentum, adaptation: Adaptation::Excluded })
        }
    }
}

/// Returns an optimizer with `rule` for weights and `spared` for the rest.
fn groups<O: Optimizer>(rule: O, spared: O) -> ModuleOptimizer {
    let group = ParamGroup::from_regex(SPARED).expect("the pattern is a constant that compiles");
    ModuleOptimizer::from(rule).with_group(group, spared, None)
}

/// Returns the state of `optimizer` as bytes. The keys are parameter ids, which the model's record restores.
pub fn save(optimizer: &ModuleOptimizer) -> Result<Vec<u8>, RecordError> {
    Ok(optimizer.into_bytes()?.to_vec())
}

/// Returns the optimizer of `spec` and `decay` with the state that [`save`] wrote. Load the model's record too, for the
/// ids.
pub fn restore(spec: &OptimizerSpec, decay: DecayOn, bytes: Vec<u8>) -> Result<ModuleOptimizer, RecordError> {
    let record = burn::optim::OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes))?;
    let tensors = record.len();
    let optimizer = optimizer(spec, decay).load_record(record);
    // burn silently skips state that it cannot rebuild.
    let restored = optimizer.to_record().len();
    if restored != tensors {
        return Err(RecordError::Validation(format!("{restored} of {tensors} tensors of optimizer state fit")));
    }
    Ok(optimizer)
}
