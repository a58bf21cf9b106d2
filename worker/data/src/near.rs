//! Pictures that look almost the same: a perceptual hash of each, and all pairs of hashes that differ in few bits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::decode::Picture;

/// Bits of 128 by which two hashes may differ. Chosen by eye on 12,000 pictures; `docs/data.md` has the figures.
pub const MOST_BITS: u32 = 23;
/// The share of the bits set in either hash by which they may differ. A picture with a plain background has few bits
/// set, so that the pictures of two different things in front of it differ in few bits too.
const MOST_SHARE: f64 = 0.36;
/// Levels by which the 48 average colours may differ on average.
const MOST_LEVELS: u32 = 20;
/// Levels between the darkest and the brightest part below which a picture has no hash: all plain areas look the same.
const LEAST_CONTRAST: u16 = 24;
/// Most pairs that are returned.
pub const MOST_PAIRS: usize = 10_000;

/// Bands of a hash. Two hashes with at most [`MOST_BITS`] different bits differ in at most [`MOST_OF_BAND`] bits of some
/// band.
const BANDS: u32 = 128 / BAND_BITS;
const BAND_BITS: u32 = 16;
const MOST_OF_BAND: u32 = 2;
const _: () = assert!(MOST_BITS < (MOST_OF_BAND + 1) * BANDS);

/// A perceptual hash: which of two neighbouring areas is brighter, along rows and along columns, and coarse colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    rows: u64,
    columns: u64,
    /// `[4, 4]` areas with their three channels, four bits each.
    colors: [u64; 3],
}

/// Two pictures, by position, that look almost the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The smaller position.
    pub first: usize,
    /// The greater position.
    pub second: usize,
    /// Bits by which the two hashes differ, of 128.
    pub distance: u32,
}

impl Print {
    /// Returns the hash of `picture`; `None` if it has too little contrast to be recognised.
    pub fn of(picture: &Picture) -> Option<Self> {
        let Picture { data, height, width } = picture;
        if *height == 0 || *width == 0 {
            return None;
        }
        let plane = width * height;
        let mean = |channel: usize, (x, y): (usize, usize), (columns, rows): (usize, usize)| {
            // A picture with fewer pixels than areas repeats them.
            let span = |i: usize, areas: usize, length: usize| {
                let begin = i * length / areas;
                begin..((i + 1) * length / areas).max(begin + 1)
            };
            let (across, down) = (span(x, columns, *width), span(y, rows, *height));
            let count = across.len() as u64 * down.len() as u64;
            let rows = down.map(|y| &data[channel * plane + y * width..][across.clone()]);
            let sum: u64 = rows.map(|row| row.iter().map(|byte| u64::from(*byte)).sum::<u64>()).sum();
            // In 256ths of a level, so that gentle slopes have a direction.
            (256 * sum / count) as u32
        };
        let grey = |place, grid| {
            let [red, green, blue] = [0, 1, 2].map(|channel| mean(channel, place, grid));
            (299 * red + 587 * green + 114 * blue) / 1000
        };
        let bits = |brighter: &dyn Fn(usize, usize) -> bool| {
            (0..64).fold(0u64, |bits, i| bits << 1 | u64::from(brighter(i % 8, i / 8)))
        };
        let across: Vec<u32> = (0..72).map(|i| grey((i % 9, i / 9), (9, 8))).collect();
        let down: Vec<u32> = (0..72).map(|i| grey((i % 8, i / 8), (8, 9))).collect();
        let (least, most) = (across.iter().min()?, across.iter().max()?);
        if (most - least) / 256 < u32::from(LEAST_CONTRAST) {
            return None;
        }
        let colors = [0, 1, 2].map(|channel| {
            (0..16).fold(0u64, |colors, i| colors << 4 | u64::from(mean(channel, (i % 4, i / 4), (4, 4)) >> 12))
        });
        Some(Self {
            rows: bits(&|x, y| across[9 * y + x] < across[9 * y + x + 1]),
            columns: bits(&|x, y| down[8 * y + x] < down[8 * (y + 1) + x]),
            colors,
        })
    }

    /// Returns the bits by which two hashes differ, if the pictures look almost the same.
    fn distance(&self, other: &Self) -> Option<u32> {
        let distance = (self.rows ^ other.rows).count_ones() + (self.columns ^ other.columns).count_ones();
        if distance > MOST_BITS {
            return None;
        }
        let set = (self.rows | other.rows).count_ones() + (self.columns | other.columns).count_ones();
        let near = f64::from(distance) <= MOST_SHARE * f64::from(set) && self.has_colors_of(other);
        near.then_some(distance)
    }

    fn has_colors_of(&self, other: &Self) -> bool {
        let difference = |(one, two): (&u64, &u64)| {
            let sixteenth = |colors: u64, i: u32| (colors >> (4 * i) & 0xf) as u32;
            (0..16).map(|i| sixteenth(*one, i).abs_diff(sixteenth(*two, i))).sum::<u32>()
        };
        16 * self.colors.iter().zip(&other.colors).map(difference).sum::<u32>() <= 48 * MOST_LEVELS
    }

    /// Returns 16 bits of the hash: every second one along both axes. Neighbouring bits would be alike in a plain area,
    /// and many pictures have one, such as a sky.
    fn part(&self, band: u32) -> u16 {
        let bits = if band < BANDS / 2 { self.rows } else { self.columns };
        let (down, across) = (band / 2 % 2, band % 2);
        let every_second = bits >> (8 * down + across) & 0x0055_0055_0055_0055;
        let pairs = (every_second | every_second >> 1) & 0x0033_0033_0033_0033;
        let fours = (pairs | pairs >> 2) & 0x000f_000f_000f_000f;
        (fours | fours >> 12 | fours >> 24 | fours >> 36) as u16
    }
}

/// The hashes by the value of one band.
struct Band {
    /// For each value, where its hashes begin in `prints`; the next value's beginning is their end.
    begins: Vec<u32>,
    /// Each hash with its index, in the order of the indices for each value. A copy, so that those of one value are read
    /// one after the other.
    prints: Vec<(u32, Print)>,
}

impl Band {
    fn of(distinct: &[(usize, Print)], band: u32) -> Self {
        let mut begins = vec![0u32; (1 << BAND_BITS) + 1];
        distinct.iter().for_each(|(_, print)| begins[usize::from(print.part(band)) + 1] += 1);
        (1..begins.len()).for_each(|value| begins[value] += begins[value - 1]);
        let mut prints: Vec<(u32, Print)> = (0..).zip(distinct.iter().map(|(_, print)| *print)).collect();
        prints.sort_by_key(|(index, print)| (print.part(band), *index));
        Self { begins, prints }
    }

    fn with(&self, value: u16) -> &[(u32, Print)] {
        let value = usize::from(value);
        &self.prints[self.begins[value] as usize..self.begins[value + 1] as usize]
    }
}

/// Returns the pairs of `prints` that look almost the same, in ascending order, at most [`MOST_PAIRS`], and whether
/// there are more. Of pictures with the same hash, each is paired with the first one only.
pub fn near(prints: &[Option<Print>]) -> (Vec<Pair>, More) {
    // Each different hash once: thousands of equal ones would be millions of pairs.
    let mut first_of: HashMap<(u64, u64, [u64; 3]), usize> = HashMap::new();
    let (mut distinct, mut pairs) = (Vec::new(), Vec::new());
    for (position, print) in prints.iter().enumerate() {
        let Some(print) = print else { continue };
        match first_of.entry((print.rows, print.columns, print.colors)) {
            Entry::Occupied(first) => pairs.push(Pair { first: *first.get(), second: position, distance: 0 }),
            Entry::Vacant(place) => {
                place.insert(position);
                distinct.push((position, *print));
            }
        }
    }
    let bands: Vec<Band> = (0..BANDS).into_par_iter().map(|band| Band::of(&distinct, band)).collect();
    let flips: Vec<u16> = (0..=u16::MAX).filter(|bits| bits.count_ones() <= MOST_OF_BAND).collect();
    let others: Vec<Vec<Pair>> = (0..distinct.len())
        .into_par_iter()
        .map(|index| {
            let (position, print) = &distinct[index];
            let mut found = Vec::new();
            for (band, hashes) in (0..BANDS).zip(&bands) {
                let own = print.part(band);
                for (other, candidate) in flips.iter().flat_map(|flip| hashes.with(own ^ flip)) {
                    if *other as usize > index
                        && let Some(distance) = print.distance(candidate)
                    {
                        found.push(Pair { first: *position, second: distinct[*other as usize].0, distance });
                    }
                }
            }
            found.sort_unstable();
            found.dedup();
            found.truncate(MOST_PAIRS + 1);
            found
        })
        .collect();
    pairs.extend(others.into_iter().flatten());
    pairs.sort_unstable();
    let more = if pairs.len() > MOST_PAIRS { More::Yes } else { More::No };
    pairs.truncate(MOST_PAIRS);
    (pairs, more)
}

/// Whether there are more pairs than were returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There are.
    Yes,
    /// All were returned.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of waves that depend on `seed`, with `change` added to every channel.
    fn picture(seed: u64, size: usize, change: i32) -> Picture {
        let random = blake3::hash(&seed.to_le_bytes());
        let number = |i: usize| f64::from(random.as_bytes()[i]) / 40.0;
        let wave = |x: usize, y: usize, channel: usize| {
            let (x, y) = (x as f64 / size as f64, y as f64 / size as f64);
            let one = |i: usize| ((number(i) - 3.0) * 6.0 * x + (number(i + 1) - 3.0) * 6.0 * y + number(i + 2)).sin();
            let value = one(0) + one(3) + one(6) + one(9);
            (128.0 + 30.0 * value + 10.0 * channel as f64 + f64::from(change)).clamp(0.0, 255.0) as u8
        };
        let mut data = Vec::new();
        for channel in 0..3 {
            (0..size).for_each(|y| data.extend((0..size).map(|x| wave(x, y, channel))));
        }
        Picture { data, height: size, width: size }
    }

    #[test]
    fn a_brighter_smaller_copy_is_found_and_others_are_not() {
        let mut prints: Vec<Option<Print>> = (0..40).map(|seed| Print::of(&picture(seed, 64, 0))).collect();
        prints.push(Print::of(&picture(7, 48, 4)));
        let (pairs, more) = near(&prints);
        assert_eq!((pairs.len(), more), (1, More::No), "{pairs:?}");
        assert_eq!((pairs[0].first, pairs[0].second), (7, 40));
        // A plain picture looks like every other plain one, and is like none.
        let plain = Picture { data: vec![90; 3 * 100], height: 10, width: 10 };
        assert_eq!(Print::of(&plain), None);
        assert!(Print::of(&picture(3, 4, 0)).is_some(), "smaller than its areas");
    }

    #[test]
    fn the_index_finds_what_a_comparison_of_all_finds() {
        // Hashes in clusters, so that many are near each other.
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let centres: Vec<(u64, u64)> = (0..20).map(|_| (next(), next())).collect();
        let mut prints = Vec::new();
        for i in 0..600 {
            let (rows, columns) = centres[i % centres.len()];
            let few = |bits: u64| (0..bits % 9).fold(0u64, |mask, k| mask | 1 << ((bits >> (6 * k + 4)) % 64));
            let (a, b) = (few(next()), few(next()));
            prints.push(Some(Print { rows: rows ^ a, columns: columns ^ b, colors: [0; 3] }));
        }
        let (found, _) = near(&prints);
        let mut all = Vec::new();
        for first in 0..prints.len() {
            for second in first + 1..prints.len() {
                let pair = prints[first].zip(prints[second]).and_then(|(a, b)| a.distance(&b));
                all.extend(pair.map(|distance| Pair { first, second, distance }));
            }
        }
        assert!(all.len() > 500, "{}", all.len());
        // Equal hashes are paired with their first only; every other pair is there, between the first of each hash.
        let is_first = |i: usize| prints[..i].iter().all(|other| *other != prints[i]);
        let expected: Vec<Pair> = all
            .into_iter()
            .filter(|pair| is_first(pair.first) && (is_first(pair.second) || pair.distance == 0))
            .collect();
        assert_eq!(found, expected);
    }
}
