//! Explores the small model exhaustively.

use pretext_fast::simulation::Workload;
use pretext_fast::simulation::model::{Bounds, explore};

#[test]
fn every_reachable_state_keeps_every_promise() {
    match explore(&Workload::new(), &Bounds::default()) {
        Ok(explored) => {
            println!("{} states, {} transitions", explored.states, explored.transitions);
            assert!(explored.states > 100_000, "the model is too small to say anything: {explored:?}");
        }
        Err(violation) => panic!("{} violated: {}", violation.invariant, violation.seen),
    }
}
