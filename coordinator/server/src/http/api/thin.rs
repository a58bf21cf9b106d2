//! Curves with fewer points. The highest and the lowest value of every stretch stay, so that a spike is never lost.

/// Returns at most `most` (at least 4) of `points` in their order. The first and the last stay. Equally long stretches
/// between them keep their lowest and their highest value. Points are (x, y), with a finite y.
pub(super) fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let stretches = most.saturating_sub(2) / 2;
    let ([first, inner @ .., last], true) = (points, points.len() > most && stretches > 0) else {
        return points.to_vec();
    };
    let mut kept = Vec::with_capacity(most);
    kept.push(*first);
    for stretch in 0..stretches {
        let at = |place: usize| place * inner.len() / stretches;
        let part = inner.get(at(stretch)..at(stretch + 1)).unwrap_or_default();
        let by_value = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
        let low = part.iter().enumerate().min_by(by_value);
        let high = part.iter().enumerate().max_by(by_value);
        let (Some(low), Some(high)) = (low, high) else { continue };
        let (one, other) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.push(*one.1);
        if one.0 != other.0 {
            kept.push(*other.1);
        }
    }
    kept.push(*last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_ends_stay_and_the_order_holds() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|x| (f64::from(x), f64::from(x % 7))).collect();
        points[4_321].1 = 99.0;
        points[8_765].1 = -99.0;
        for most in [4, 5, 50, 501, 5_000] {
            let kept = thin(&points, most);
            assert!(kept.len() <= most && kept.len() * 4 >= most, "{most}: {}", kept.len());
            assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0), "{most}");
            assert_eq!((kept.first(), kept.last()), (points.first(), points.last()), "{most}");
            for extreme in [points[4_321], points[8_765]] {
                assert!(kept.contains(&extreme), "{most}");
            }
        }
        for few in [0, 1, 3] {
            assert_eq!(thin(&points[..few], 4), points[..few]);
        }
    }
}
