//! Optimizers.
//!
//! Own update rules in burn's optimizer shell, for two reasons. burn's defaults are not PyTorch's (dampening 0.1, epsilon
//! 1e-5); and burn restores optimizer state onto the *default* device, which in a build with Vulkan is a GPU even where
//! the training runs on the CPU, and a panic where there is none. The state here stays on the host until the first step says
//! where it belongs.

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

/// Biases, and scale and shift of normalisation: what weight decay spares unless it is told not to, and LARS always.
const SPARED: &str = r"(^|\.)(bias|gamma|beta)$";

/// The optimizer of `spec`, without state; `decay` says what its weight decay acts on.
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

/// `rule` for weights, `spared` for the rest.
fn groups<O: Optimizer>(rule: O, spared: O) -> ModuleOptimizer {
    let group = ParamGroup::from_regex(SPARED).expect("the pattern is a constant that compiles");
    ModuleOptimizer::from(rule).with_group(group, spared, None)
}

/// The state of `optimizer` as bytes; the keys are parameter ids, which the model's record restores.
pub fn save(optimizer: &ModuleOptimizer) -> Result<Vec<u8>, RecordError> {
    Ok(optimizer.into_bytes()?.to_vec())
}

/// The optimizer of `spec` and `decay` with the state that [`save`] wrote. Load the model's record as well, for the ids.
pub fn restore(spec: &OptimizerSpec, decay: DecayOn, bytes: Vec<u8>) -> Result<ModuleOptimizer, RecordError> {
    let record = burn::optim::OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes))?;
    let tensors = record.len();
    let optimizer = optimizer(spec, decay).load_record(record);
    // burn leaves out, silently, what it cannot rebuild.
    let restored = optimizer.to_record().len();
    if restored != tensors {
        return Err(RecordError::Validation(format!("{restored} of {tensors} tensors of optimizer state fit")));
    }
    Ok(optimizer)
}
