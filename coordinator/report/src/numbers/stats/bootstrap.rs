//! The stratified bootstrap across cells (Agarwal et al. 2021, "rliable").

use pretext_shared::draw::{Draw, Place, Purpose};
use serde::Serialize;

use super::summary::ALPHA;

/// Resamples: the Monte Carlo error of a 2.5 % limit is then about a two-hundredth of the interval.
const RESAMPLES: usize = 20_000;

/// The smallest number of values in a stratum. With fewer, the percentiles of a bootstrap are much too narrow: of three
/// values, a ninth of all resamples has no spread at all.
pub const LEAST: usize = 5;

/// A mean over strata and its 95 % percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Strata (label fractions).
    pub strata: usize,
    /// The smallest number of values in a stratum.
    pub n: usize,
    /// Mean over the strata of the means in them.
    pub mean: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

/// Returns the mean over `strata` of the means in them; each stratum is resampled separately, with replacement.
/// `None` without strata, and if a stratum has fewer than [`LEAST`] values. Every draw is a function of the
/// resample and the stratum, so the interval is the same on every machine.
pub fn stratified(strata: &[Vec<f64>]) -> Option<Interval> {
    let n = strata.iter().map(Vec::len).min().filter(|n| *n >= LEAST)?;
    let mean = |means: &mut dyn Iterator<Item = f64>| means.sum::<f64>() / strata.len() as f64;
    let mut totals: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            let place = Place { seed: 0, purpose: Purpose::Bootstrap, epoch: 0, sample: resample as u64, view: 0 };
            mean(&mut strata.iter().enumerate().map(|(stratum, values)| {
                let mut draw = Draw::new(place, stratum as u64);
                values.iter().map(|_| values[draw.below(values.len())]).sum::<f64>() / values.len() as f64
            }))
        })
        .collect();
    totals.sort_by(f64::total_cmp);
    Some(Interval {
        strata: strata.len(),
        n,
        mean: mean(&mut strata.iter().map(|values| values.iter().sum::<f64>() / values.len() as f64)),
        low: percentile(&totals, ALPHA / 2.0),
        high: percentile(&totals, 1.0 - ALPHA / 2.0),
    })
}

/// Returns the linear interpolation between the two nearest of the ascending `values` (numpy's default).
fn percentile(values: &[f64], share: f64) -> f64 {
    let rank = share * (values.len() - 1) as f64;
    let (low, rest) = (rank.floor() as usize, rank.fract());
    let high = (low + 1).min(values.len() - 1);
    values[low] + rest * (values[high] - values[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_get_no_interval_and_the_same_values_the_same_one() {
        let five = vec![0.1, 0.2, 0.3, 0.4, 0.5];
        assert_eq!(stratified(&[]), None);
        assert_eq!(stratified(&[five.clone(), five[..4].to_vec()]), None);
        let interval = stratified(&[five.clone(), five.clone()]).expect("five in each");
        assert_eq!(stratified(&[five.clone(), five]), Some(interval));
        assert!(interval.low < 0.3 && 0.3 < interval.high);
    }
}
