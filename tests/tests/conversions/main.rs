//! Every message of the wire and the domain types that are made of it, both programs' sides: what one writes the other
//! reads as the same, over bytes; and whatever comes is a value or a refusal with a reason. (What people are shown of
//! answers is tested beside it, in `coordinator/src/answers.rs`.)

mod catalogue;
mod domain;
mod foreign;
mod round;
mod schema;
