//! Many comparisons at once.

/// Returns the p-values `p` after Holm's step-down adjustment (Holm 1979), in the same order. Below α, the chance that
/// any comparison shows a difference that does not exist is at most α, for any dependence among the comparisons.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}
