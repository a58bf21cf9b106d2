//! Packs weights in the order in which the tiles read them.

use pulp::Arch;
use rayon::prelude::*;

use super::geometry::{Correlation, Geometry};

/// Bytes of weights that one pass over the sites uses. Together with the values that it reads of the maps, they stay in
/// the first-level cache.
const PASS: usize = 16 * 1024;

/// Number of summed channels that are packed together.
const BLOCK: usize = 16;

/// The division of output channels: the instruction set and the vectors of a panel.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The instruction set.
    pub(super) arch: Arch,
    /// Vectors of a panel: 1, 2 or 3.
    pub(super) vectors: usize,
    /// Channels of a panel.
    pub(super) width: usize,
}

impl Shape {
    /// Returns the division for `channels` channels on this machine.
    pub(super) fn of(channels: usize) -> Self {
        let arch = Arch::new();
        match arch {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V4(_) if channels <= 8 => match pulp::x86::V3::try_new() {
                // Half of a wide vector would be wasted.
                Some(narrow) => Self { arch: Arch::V3(narrow), vectors: 1, width: 8 },
                None => Self::wide(arch, channels, 16),
            },
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V4(_) => Self::wide(arch, channels, 16),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V3(_) => Self::wide(arch, channels, 8),
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => Self::wide(arch, channels, 4),
            _ => Self::wide(arch, channels, 1),
        }
    }

    /// Returns two vectors, or the number that wastes fewer lanes.
    fn wide(arch: Arch, channels: usize, lanes: usize) -> Self {
        let padded = |vectors: usize| channels.next_multiple_of(vectors * lanes);
        let vectors = [2, 3, 1].into_iter().min_by_key(|vectors| padded(*vectors)).unwrap_or(1);
        Self { arch, vectors, width: vectors * lanes }
    }

    /// Returns the number of panels for `channels` channels.
    pub(super) fn panels(&self, channels: usize) -> usize {
        channels.div_ceil(self.width)
    }
}

/// The part of a panel that one pass over the sites uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// First row of the window.
    pub(super) row: usize,
    /// Rows of the window.
    pub(super) rows: usize,
    /// First value of each row.
    pub(super) from: usize,
    /// Values of each row.
    pub(super) length: usize,
}

/// Divides windows of `count` rows of `length` values: into whole rows if they fit, else into parts of one row.
pub(super) fn passes(count: usize, length: usize, width: usize) -> Vec<Pass> {
    let fitting = (PASS / (4 * width)).max(8);
    if length <= fitting {
        let rows = (fitting / length).min(count);
        let starts = (0..count).step_by(rows);
        return starts.map(|row| Pass { row, rows: rows.min(count - row), from: 0, length }).collect();
    }
    let step = length.div_ceil(length.div_ceil(fitting));
    let parts = || (0..length).step_by(step).map(|from| (from, step.min(length - from)));
    (0..count).flat_map(|row| parts().map(move |(from, length)| Pass { row, rows: 1, from, length })).collect()
}

/// The side of the weight that is summed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Inputs are summed over: the forward pass.
    Forward,
    /// Outputs are summed over: the gradient of the input.
    Backward,
}

/// Returns `w[cout, cin, k, k]` as `[panel][row][column][summed channel][width]`, with zeros beyond the last channel.
pub(super) fn pack(g: &Geometry, w: &[f32], correlation: &Correlation, direction: Direction, width: usize) -> Vec<f32> {
    let kk = g.k * g.k;
    let (summed, kept) = match direction {
        Direction::Forward => (g.cin, g.cout),
        Direction::Backward => (g.cout, g.cin),
    };
    let taps: Vec<usize> =
        correlation.rows.iter().flat_map(|y| correlation.columns.iter().map(move |x| y * g.k + x)).collect();
    let mut packed = vec![0f32; kept.next_multiple_of(width) * taps.len() * summed];
    packed.par_chunks_exact_mut(taps.len() * summed * width).enumerate().for_each(|(panel, out)| {
        let (first, channels) = (panel * width, (kept - panel * width).min(width));
        // In the source the taps of a weight are neighbours; in the target the channels of a panel are. Small blocks
        // keep both in the first-level cache.
        match direction {
            Direction::Forward => {
                for block in (0..summed).step_by(BLOCK) {
                    let count = BLOCK.min(summed - block);
                    for c in 0..channels {
                        let weights = &w[((first + c) * g.cin + block) * kk..][..count * kk];
                        for (i, tap) in taps.iter().enumerate() {
                            let out = out[(i * summed + block) * width + c..].iter_mut().step_by(width);
                            out.zip(weights[*tap..].iter().step_by(kk)).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            }
            Direction::Backward => {
                for s in 0..summed {
                    let weights = &w[(s * g.cin + first) * kk..][..channels * kk];
                    for (i, tap) in taps.iter().enumerate() {
                        let out = &mut out[(i * summed + s) * width..][..channels];
                        out.iter_mut().zip(weights[*tap..].iter().step_by(kk)).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    });
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_cover_the_window_once_and_fit() {
        for (count, length, width) in [(3, 48, 16), (3, 192, 32), (3, 9, 32), (7, 21, 32), (3, 1536, 32), (1, 512, 48)]
        {
            let passes = passes(count, length, width);
            let mut seen = vec![0; count * length];
            for pass in &passes {
                assert!(pass.rows * pass.length * width * 4 <= PASS && (pass.rows == 1 || pass.length == length));
                for row in pass.row..pass.row + pass.rows {
                    seen[row * length + pass.from..][..pass.length].iter_mut().for_each(|times| *times += 1);
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{count} x {length}: {passes:?}");
        }
    }
}
