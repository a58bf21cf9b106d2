//! Counter-based randomness: every draw is a function of (seed, purpose, epoch, sample, view, operation).
//!
//! There is no generator state to save. So a resumed run, a run on ten workers and a run in another order see the same
//! draws. All methods and learning-rate policies of one seed see the same draws too.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The purpose of a draw: a fixed name, never a stage hash, so that two stages of one seed share their draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The permutation of each class that decides label fractions and validation images.
    Split,
    /// Setting test images apart if the data set has no test folder.
    TestSplit,
    /// Initial weights.
    Init,
    /// Images of a pretext control: noise, turns before the turns.
    Control,
    /// The order of samples in an epoch.
    Order,
    /// Random crop and flip of a sample's view.
    Augment,
    /// Pictures of the procedural data set.
    Picture,
    /// Resamples of the report's bootstrap.
    Bootstrap,
}

impl Purpose {
    /// Returns the number of the purpose. It must never change, because it is part of every result.
    fn tag(self) -> u64 {
        match self {
            Purpose::Split => 0x53_504c_4954,
            Purpose::TestSplit => 0x5445_5354,
            Purpose::Init => 0x494e_4954,
            Purpose::Control => 0x4354_524c,
            Purpose::Order => 0x4f_5244_4552,
            Purpose::Augment => 0x4155_474d,
            Purpose::Picture => 0x5049_4354,
            Purpose::Bootstrap => 0x42_4f4f_5453,
        }
    }
}

/// The place of a stream of draws: the whole place goes into the generator's key.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The cell's seed (or the split seed).
    pub seed: u64,
    /// The purpose of the draws.
    pub purpose: Purpose,
    /// Training epoch, or 0.
    pub epoch: u32,
    /// Sample id, class index or any other index, or 0.
    pub sample: u64,
    /// View of the sample (SimCLR draws two), or 0.
    pub view: u32,
}

/// A stream of draws at one place, for one operation.
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// Returns the stream of `operation` at `place`: a ChaCha8 generator with the place as its key and the operation as
    /// its stream number. Streams are independent, so a new operation changes no other draw.
    pub fn new(place: Place, operation: u64) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&place.seed.to_le_bytes());
        key[8..16].copy_from_slice(&place.purpose.tag().to_le_bytes());
        key[16..24].copy_from_slice(&place.sample.to_le_bytes());
        key[24..28].copy_from_slice(&place.epoch.to_le_bytes());
        key[28..].copy_from_slice(&place.view.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(operation);
        Self(generator)
    }

    /// Returns 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a uniform number in [0, 1), with 24 bits.
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Returns a uniform number in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Returns a uniform number in 0..n, by multiplication (bias below n / 2^64); 0 for n = 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Returns true with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Returns a standard normal number, by Box and Muller.
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (1.0 - f64::from(self.unit()), f64::from(self.unit()));
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    /// Shuffles `items` in place, by Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(place: Place, operation: u64) -> u64 {
        Draw::new(place, operation).bits()
    }

    #[test]
    fn each_part_of_the_place_moves_the_stream() {
        let place = Place { seed: 1, purpose: Purpose::Augment, epoch: 2, sample: 3, view: 0 };
        let all = [
            first(place, 0),
            first(place, 1),
            first(Place { seed: 2, ..place }, 0),
            first(Place { purpose: Purpose::Order, ..place }, 0),
            first(Place { epoch: 3, ..place }, 0),
            first(Place { sample: 4, ..place }, 0),
            first(Place { view: 1, ..place }, 0),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(first(place, 0), all[0]);
    }

    #[test]
    fn draws_are_frozen() {
        // These numbers are part of every published result; if they change, raise the algorithm versions.
        let place = Place { seed: 7, purpose: Purpose::Split, epoch: 0, sample: 1, view: 0 };
        let mut items: Vec<u32> = (0..8).collect();
        Draw::new(place, 0).shuffle(&mut items);
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..8).collect::<Vec<_>>());
        assert_eq!(items, FROZEN);
    }
    const FROZEN: [u32; 8] = [4, 5, 6, 1, 0, 3, 7, 2];
}
