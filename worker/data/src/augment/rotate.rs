//! Exact rotations by quarter turns: index permutations without interpolation (Gidaris et al. 2018).

/// Side of the square blocks of a transposition, so that source and target stay in cache.
const TILE: usize = 16;

/// Turns each plane of a square image counter-clockwise by `turns` quarter turns (the label of the rotation task), from
/// `image` to `out`, both `[planes, size, size]`.
pub fn quarter_turns<T: Copy>(image: &[T], size: usize, turns: usize, out: &mut [T]) {
    let last = size - 1;
    for (plane, target) in image.chunks_exact(size * size).zip(out.chunks_exact_mut(size * size)) {
        match turns % 4 {
            0 => target.copy_from_slice(plane),
            1 => permute(size, target, |y, x| plane[x * size + last - y]),
            2 => target.iter_mut().zip(plane.iter().rev()).for_each(|(to, from)| *to = *from),
            _ => permute(size, target, |y, x| plane[(last - x) * size + y]),
        }
    }
}

/// Fills `[size, size]` from a function of (row, column), block by block.
fn permute<T: Copy>(size: usize, target: &mut [T], source: impl Fn(usize, usize) -> T) {
    for top in (0..size).step_by(TILE) {
        for left in (0..size).step_by(TILE) {
            let columns = left..(left + TILE).min(size);
            for y in top..(top + TILE).min(size) {
                for (x, value) in columns.clone().zip(&mut target[y * size..][columns.clone()]) {
                    *value = source(y, x);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_two_by_two_turns_counter_clockwise() {
        // 1 2 / 3 4; the second plane is 10 higher.
        let image = [1, 2, 3, 4, 11, 12, 13, 14];
        let turned = |turns| {
            let mut out = [0; 8];
            quarter_turns(&image, 2, turns, &mut out);
            out
        };
        assert_eq!(turned(0), image);
        assert_eq!(turned(1), [2, 4, 1, 3, 12, 14, 11, 13]);
        assert_eq!(turned(2), [4, 3, 2, 1, 14, 13, 12, 11]);
        assert_eq!(turned(3), [3, 1, 4, 2, 13, 11, 14, 12]);
    }

    #[test]
    fn turns_add_up() {
        for size in [1, 5, 16, 37] {
            let image: Vec<u32> = (0..3 * size * size).map(|i| i as u32).collect();
            let turn = |image: &[u32], turns| {
                let mut out = vec![0; image.len()];
                quarter_turns(image, size, turns, &mut out);
                out
            };
            let mut now = image.clone();
            for turns in 1..=4 {
                now = turn(&now, 1);
                assert_eq!(now, turn(&image, turns), "{turns} turns at {size} pixels");
            }
            assert_eq!(now, image);
        }
    }
}
