//! Runs the simulation seeds of every change. A failing seed can be replayed with the printed command.

use pretext_fast::simulation::{Trace, Workload, run};

#[test]
fn ten_thousand_seeds_keep_every_promise() {
    let workload = Workload::new();
    for seed in 0..10_000 {
        if let Err(broken) = run(seed, &workload, Trace::Off) {
            let violation = broken.violation;
            panic!(
                "seed {seed}: {} violated: {}\nreplay: cargo run --release -p pretext-fast --bin simulate -- --seed {seed}",
                violation.invariant, violation.seen
            );
        }
    }
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    let workload = Workload::new();
    for seed in 0..50 {
        let first = run(seed, &workload, Trace::Off).map_err(|broken| broken.violation);
        assert_eq!(first, run(seed, &workload, Trace::On).map_err(|broken| broken.violation));
    }
}
