//! Proofs of grants: a message authentication code over stage, fence and worker name. The key comes from the authority's
//! private key and is not in the store, so proofs stay valid when the store goes back to an older state. Coordinators
//! that share an identity folder accept each other's proofs.

use std::fmt;

use pretext_shared::claim::{Claim, Proof};
use pretext_shared::ids::AttemptId;

/// Separates this key from every other use of the authority's key. Another text makes all proofs invalid.
const CONTEXT: &str = "pretext 2026 proof that an attempt was granted to a worker";
/// Length of a proof, in bytes: 128 bits.
const LENGTH: usize = 16;

/// The key that makes and checks proofs.
#[derive(Clone)]
pub struct GrantKey([u8; blake3::KEY_LEN]);

impl GrantKey {
    /// Returns the key that belongs to the authority's private key.
    pub(super) fn derive(private_key: &[u8]) -> Self {
        Self(blake3::derive_key(CONTEXT, private_key))
    }

    /// Returns the proof that `attempt` was granted to the worker called `name`.
    pub fn prove(&self, attempt: AttemptId, name: &str) -> Proof {
        Proof(self.code(attempt, name).as_bytes()[..LENGTH].to_vec())
    }

    /// Returns whether `claim` has the proof of its attempt for the worker called `name`. Takes the same time for every
    /// wrong proof of the right length.
    pub fn confirms(&self, claim: &Claim, name: &str) -> bool {
        let Ok(proof) = <[u8; LENGTH]>::try_from(claim.proof.0.as_slice()) else { return false };
        let expected = self.code(claim.attempt, name);
        let mut found = *expected.as_bytes();
        found[..LENGTH].copy_from_slice(&proof);
        // Hashes are compared in constant time.
        expected == blake3::Hash::from_bytes(found)
    }

    /// Returns the code over stage and fence, whose lengths are fixed, and the name.
    fn code(&self, attempt: AttemptId, name: &str) -> blake3::Hash {
        let mut text = Vec::with_capacity(40 + name.len());
        text.extend_from_slice(attempt.stage.0.as_bytes());
        text.extend_from_slice(&attempt.fence.0.to_be_bytes());
        text.extend_from_slice(name.as_bytes());
        blake3::keyed_hash(&self.0, &text)
    }
}

impl fmt::Debug for GrantKey {
    /// Shows nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey")
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::{ContentHash, Fence, StageId};

    use super::*;

    fn attempt(stage: &[u8], fence: u64) -> AttemptId {
        AttemptId { stage: StageId(ContentHash::of(stage)), fence: Fence(fence) }
    }

    #[test]
    fn a_proof_is_for_one_stage_fence_name_and_key() {
        let key = GrantKey::derive(b"the authority's key");
        let granted = attempt(b"stage", 7);
        let proof = key.prove(granted, "own");
        let claim = |attempt, proof: &Proof| Claim { attempt, proof: proof.clone() };
        assert!(key.confirms(&claim(granted, &proof), "own"));
        assert_eq!(proof.0.len(), 16);

        assert!(!key.confirms(&claim(attempt(b"another stage", 7), &proof), "own"));
        assert!(!key.confirms(&claim(attempt(b"stage", 8), &proof), "own"));
        for name in ["other", "own2", "ow", ""] {
            assert!(!key.confirms(&claim(granted, &proof), name), "{name}");
        }
        assert!(!GrantKey::derive(b"another key").confirms(&claim(granted, &proof), "own"));
    }

    #[test]
    fn every_bit_of_a_proof_counts() {
        let key = GrantKey::derive(b"the authority's key");
        let granted = attempt(b"stage", 7);
        let whole = key.prove(granted, "own").0;
        let accepts = |proof: &[u8]| key.confirms(&Claim { attempt: granted, proof: Proof(proof.to_vec()) }, "own");
        for bit in 0..128 {
            let mut wrong = whole.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepts(&wrong), "bit {bit}");
        }
        // A part of it, nothing, and more than it.
        let longer = [whole.as_slice(), &[0]].concat();
        let whole_code = key.code(granted, "own");
        for wrong in [&whole[..15], &[], &longer, whole_code.as_bytes().as_slice()] {
            assert!(!accepts(wrong), "{} bytes", wrong.len());
        }
    }

    /// Proofs outlive the program that made them: another value would make all proofs of workers invalid.
    #[test]
    fn a_proof_stays_the_same_from_version_to_version() {
        let proof = GrantKey::derive(b"the authority's key").prove(attempt(b"stage", 7), "own");
        assert_eq!(proof.0, GOLDEN);
    }

    /// Computed outside this program, with the Python package `blake3`.
    const GOLDEN: [u8; 16] =
        [0x59, 0xe9, 0xb6, 0x71, 0xa0, 0x4d, 0x67, 0xdf, 0xa2, 0xc2, 0x7a, 0x78, 0x56, 0xa2, 0x9e, 0xc0];

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", GrantKey::derive(b"secret")), "GrantKey");
    }
}
