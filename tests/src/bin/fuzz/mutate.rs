//! Changes valid inputs at random.

use pretext_shared::draw::{Draw, Place, Purpose};

/// Longest input.
const LONGEST: usize = 1 << 20;
/// One input in this many is all noise.
const NOISE: usize = 32;

/// See the module.
pub(crate) struct Mutator {
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(corpus: Vec<Vec<u8>>, words: Vec<Vec<u8>>) -> Self {
        Self { corpus, words }
    }

    /// Returns input `number` of `seed`.
    pub(crate) fn input(&self, seed: u64, number: u64) -> Vec<u8> {
        let mut draw = Draw::new(Place { seed, purpose: Purpose::Order, epoch: 0, sample: number, view: 0 }, 0);
        if self.corpus.is_empty() || draw.below(NOISE) == 0 {
            return (0..draw.below(256)).map(|_| draw.bits() as u8).collect();
        }
        let mut input = self.corpus[draw.below(self.corpus.len())].clone();
        for _ in 0..1 + draw.below(4) * draw.below(4) {
            self.change(&mut input, &mut draw);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&self, input: &mut Vec<u8>, draw: &mut Draw) {
        let at = draw.below(input.len() + 1);
        // Most changes replace a few bytes; some replace many.
        let length = if draw.below(8) == 0 { draw.below(input.len() + 1) } else { draw.below(9) };
        let end = (at + length).min(input.len());
        match draw.below(9) {
            0 if at < input.len() => input[at] ^= 1 << draw.below(8),
            1 if at < input.len() => input[at] = draw.bits() as u8,
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                let times = 1 + draw.below(3) * draw.below(20);
                let many: Vec<u8> = copy.repeat(times.min(1 + LONGEST / copy.len().max(1)));
                input.splice(at..at, many);
            }
            4 => {
                let noise: Vec<u8> = (0..length).map(|_| draw.bits() as u8).collect();
                input.splice(at..end, noise);
            }
            5 => {
                let number = number(draw);
                let end = (at + number.len()).min(input.len());
                input.splice(at..end, number);
            }
            6 if !self.words.is_empty() => {
                let word = self.words[draw.below(self.words.len())].clone();
                let end = if draw.below(2) == 0 { at } else { end };
                input.splice(at..end, word);
            }
            7 => {
                let other = &self.corpus[draw.below(self.corpus.len())];
                let from = draw.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
}

/// Returns a number near a limit, in one of the forms of numbers in files and messages.
fn number(draw: &mut Draw) -> Vec<u8> {
    const EDGES: [u64; 12] =
        [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 53, (1 << 63) - 1, 1 << 63, u64::MAX];
    let value = EDGES[draw.below(EDGES.len())].wrapping_add(draw.below(3) as u64).wrapping_sub(1);
    match draw.below(6) {
        0 => (value as u16).to_be_bytes().to_vec(),
        1 => (value as u32).to_be_bytes().to_vec(),
        2 => (value as u32).to_le_bytes().to_vec(),
        3 => value.to_le_bytes().to_vec(),
        4 => value.to_string().into_bytes(),
        _ => varint(value),
    }
}

/// Encodes a number as protobuf does.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
