//! The proofs of grants, which are outside the store, and the fences of liars. The coordinator proves every grant to its
//! machine, and honest machines present their proofs. A liar presents a fence that no store ever gave.

use std::collections::BTreeSet;

use fastrand::Rng;
use pretext_engine::Evidence;
use pretext_shared::ids::{AttemptId, Fence};

use super::event::{Answer, Life, Origin};

/// See the module.
pub(super) struct Claims {
    /// Grants that were proven to a machine. A rollback of the store takes none of them back.
    proven: BTreeSet<(AttemptId, usize)>,
    /// The liars' own randomness: a seed is the same world with and without lies.
    pub(super) liars: Rng,
}

impl Claims {
    pub(super) fn new(seed: u64) -> Self {
        Self { proven: BTreeSet::new(), liars: Rng::with_seed(!seed) }
    }

    /// Notes an answer that leaves the coordinator: a grant comes with its proof.
    pub(super) fn note(&mut self, origin: Origin, answer: &Answer) {
        if let (Origin::Worker(life), Answer::Granted(Some(grant))) = (origin, answer) {
            self.proven.insert((grant.attempt, life.machine));
        }
    }

    /// Returns the evidence of a machine for an attempt.
    pub(super) fn evidence(&self, attempt: AttemptId, life: Life) -> Evidence {
        if self.proven.contains(&(attempt, life.machine)) { Evidence::Proof } else { Evidence::Missing }
    }

    /// Returns a fence that differs from the one that the store knows.
    pub(super) fn forged(&mut self, known: Fence) -> Fence {
        match self.liars.u32(0..5) {
            0 => Fence(known.0 + 1),
            1 => known.above(),
            2 => known.next("a request that nobody made"),
            // The same count with another mark.
            3 => Fence(known.0 ^ 1),
            _ => Fence(u64::MAX),
        }
    }
}
