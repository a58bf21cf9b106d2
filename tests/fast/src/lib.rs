//! The simulation: the engine in a whole world that one seed decides, without a process, a clock or IO.

pub mod simulation;
