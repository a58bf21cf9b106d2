//! The training of a stage: budget, batches, optimizer and learning rate.

use serde::{Deserialize, Serialize};

/// The rule by which gradients change weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerSpec {
    /// Stochastic gradient descent with momentum, dampening 0 as in PyTorch.
    Sgd {
        /// Momentum; 0 for none.
        momentum: f64,
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
    /// The same with Nesterov's momentum, as in PyTorch (RotNet, SimCLR's evaluation).
    Nesterov {
        /// Momentum, above 0.
        momentum: f64,
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015), betas 0.9 and 0.999, epsilon 1e-8.
    Adam {
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW {
        /// Share of each weight, times the learning rate, that each step subtracts.
        weight_decay: f64,
    },
    /// LARS as in SimCLR (You et al. 2017; Chen et al. 2020, `lars_optimizer.py`). Biases and normalisation parameters
    /// have no weight decay and no adaptive rate.
    Lars {
        /// Momentum; 0 for none.
        momentum: f64,
        /// L2 penalty added to the gradient, before the trust ratio.
        weight_decay: f64,
        /// The trust coefficient (`eeta`, 0.001 in SimCLR).
        trust: f64,
    },
}

/// The parameters that weight decay acts on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayOn {
    /// Weights of convolutions and linear layers, without biases and without scale and shift of normalisation.
    #[default]
    Weights,
    /// Every parameter, as in code that gives all of them to one PyTorch group (RotNet).
    All,
}

impl DecayOn {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The learning rate as a function of the step. In each variant `base` is the peak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LrSpec {
    /// The same rate at every step.
    Constant {
        /// The rate.
        base: f64,
    },
    /// Linear warm-up from 0, then half a cosine to 0 (SimCLR's form).
    Cosine {
        /// The peak rate.
        base: f64,
        /// Length of the warm-up in epochs.
        warmup_epochs: f64,
    },
    /// Multiplied by `gamma` at each milestone (RotNet; PyTorch's `MultiStepLR`).
    Step {
        /// The rate before the first milestone.
        base: f64,
        /// The factor.
        gamma: f64,
        /// Epochs after which the rate drops, ascending.
        milestones: Vec<u32>,
    },
    /// One rise and one fall, both half cosines (Smith and Topin 2018; PyTorch's `OneCycleLR` with two phases).
    /// Momentum stays constant.
    OneCycle {
        /// The peak rate.
        base: f64,
        /// Share of the steps in which the rate rises.
        pct_start: f64,
        /// The first rate is `base / div_factor`.
        div_factor: f64,
        /// The last rate is the first one divided by this.
        final_div_factor: f64,
    },
    /// Up and down between two rates (Smith 2017; PyTorch's `CyclicLR`).
    Cyclical {
        /// The upper rate.
        base: f64,
        /// The lower rate, as a share of the upper one.
        low: f64,
        /// Length of the rise and of the fall, in epochs each.
        half_cycle_epochs: f64,
        /// How later cycles become smaller.
        shape: CycleShape,
    },
}

/// How the height of a cycle changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CycleShape {
    /// It stays the same.
    Triangular,
    /// It halves with each cycle.
    Triangular2,
    /// It is multiplied by `gamma` with each step.
    ExpRange {
        /// The factor of a step.
        gamma: f64,
    },
}

impl LrSpec {
    /// Returns the peak rate.
    pub fn base(&self) -> f64 {
        match self {
            LrSpec::Constant { base }
            | LrSpec::Cosine { base, .. }
            | LrSpec::Step { base, .. }
            | LrSpec::OneCycle { base, .. }
            | LrSpec::Cyclical { base, .. } => *base,
        }
    }

    /// Returns the same shape with another peak.
    pub fn with_base(mut self, peak: f64) -> Self {
        match &mut self {
            LrSpec::Constant { base }
            | LrSpec::Cosine { base, .. }
            | LrSpec::Step { base, .. }
            | LrSpec::OneCycle { base, .. }
            | LrSpec::Cyclical { base, .. } => *base = peak,
        }
        self
    }
}

/// The length of the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Passes over the stage's training images: smaller fractions take fewer steps.
    Epochs(u32),
    /// Optimizer steps: the same for every fraction.
    Steps(u64),
}

/// Training hyper-parameters that pretext and downstream stages share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// Length of the training.
    pub budget: Budget,
    /// Images per step (before a method makes several views of each).
    pub batch: u32,
    /// Optimizer.
    pub optimizer: OptimizerSpec,
    /// The parameters that its weight decay acts on.
    #[serde(default, skip_serializing_if = "DecayOn::is_default")]
    pub decay: DecayOn,
    /// Learning rate.
    pub lr: LrSpec,
}
