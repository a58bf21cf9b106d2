//! Training with burn, from networks and methods to the process that a daemon starts for each slot. It touches no network.
//!
//! [`serve`] is the body of the trainer process. [`train`] is the one training loop over [`models`], [`methods`], [`optim`]
//! and [`schedule`]; [`cpu`] has the kernels for training on a CPU. [`weights`] exchanges encoders with other programs.
//! [`device`] lists and opens devices.

pub mod cpu;
pub mod device;
pub mod methods;
pub mod models;
pub mod optim;
pub mod panics;
pub mod schedule;
pub mod serve;
pub mod train;
pub mod weights;
