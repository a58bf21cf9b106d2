//! The tier of tests that need no program: the simulation, its exhaustive model, the messages of the wire, and the walls
//! between crates and modules.

mod conversions;
mod model;
mod simulation;
mod tidy;
