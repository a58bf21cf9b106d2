//! Domain types of Pretext: what a sweep asks for, the cells and stages that it becomes, the states
//! that they pass through, and the numbers that come back.
//!
//! This crate is pure: no IO, no clock, no async, no threads. Everything here is a function of its
//! arguments, so the coordinator, the worker and the tests compute the same plan and the same splits.

pub mod artifact;
pub mod checkpoint;
pub mod claim;
pub mod dataset;
pub mod device;
pub mod draw;
pub mod findings;
pub mod ids;
pub mod inventory;
pub mod methods;
pub mod outcome;
pub mod packing;
pub mod plan;
pub mod point;
pub mod quantity;
pub mod spec;
pub mod split;
pub mod stage;
pub mod survey;
pub mod sweep;
pub mod text;
pub mod trainer;
pub mod verification;
