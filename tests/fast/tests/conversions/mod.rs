//! Every message of the wire and its domain types, on both sides: one program reads what the other one writes as the
//! same value, over bytes. Arbitrary bytes become a value or a refusal with a reason. (The text that people see of
//! answers is tested in `coordinator/src/answers.rs`.)

mod catalogue;
mod domain;
mod foreign;
mod round;
mod schema;
