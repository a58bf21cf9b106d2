//! Weighted k-nearest-neighbour accuracy of features (Wu et al. 2018; lightly's benchmark): measures a representation
//! without training anything.

use rayon::prelude::*;

/// Features of length one and their classes.
#[derive(Debug)]
pub struct Bank<'a> {
    rows: Vec<f32>,
    length: usize,
    labels: &'a [i64],
}

impl<'a> Bank<'a> {
    /// Returns the bank of `labels.len()` features, `[n, length]`, of any length as vectors.
    pub fn new(mut rows: Vec<f32>, length: usize, labels: &'a [i64]) -> Self {
        rows.par_chunks_mut(length.max(1)).for_each(normalize);
        Self { rows, length, labels }
    }

    /// Returns the number of `queries` (`[m, length]`, with classes `labels` below `classes`) that are classified
    /// correctly. Each of the `k` rows of highest cosine similarity s votes for its class with weight exp(s /
    /// `temperature`). Among equally similar rows the earlier one is nearer; among classes with equal votes the lower
    /// one wins.
    pub fn correct(&self, queries: &[f32], labels: &[i64], classes: usize, k: usize, temperature: f32) -> u64 {
        let queries = queries.par_chunks_exact(self.length.max(1)).zip(labels);
        queries.filter(|(query, label)| self.classify(query, classes, k, temperature) == Some(**label)).count() as u64
    }

    fn classify(&self, query: &[f32], classes: usize, k: usize, temperature: f32) -> Option<i64> {
        let mut query = query.to_vec();
        normalize(&mut query);
        let similar = self.rows.chunks_exact(self.length.max(1)).map(|row| dot(row, &query));
        let mut near: Vec<(f32, usize)> = similar.zip(0..self.labels.len()).collect();
        let k = k.min(near.len());
        let last = k.checked_sub(1)?;
        // A total order, so that the same rows are chosen whatever the algorithm does with equal ones.
        let nearer = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        near.select_nth_unstable_by(last, nearer);
        near.truncate(k);
        near.sort_unstable_by(nearer);
        let mut votes = vec![0f64; classes];
        for (similarity, row) in near {
            let weight = f64::from(similarity / temperature).exp();
            if let Some(votes) = usize::try_from(self.labels[row]).ok().and_then(|label| votes.get_mut(label)) {
                *votes += weight;
            }
        }
        let best = votes.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
        i64::try_from(best.0).ok()
    }
}

/// Sixteen partial sums, which vectorise.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0f32; LANES];
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Scales a row to length one; a zero row stays zero.
fn normalize(row: &mut [f32]) {
    let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(bank: &Bank<'_>, query: [f32; 2], k: usize, temperature: f32) -> i64 {
        let of = |label| bank.correct(&query, &[label], 3, k, temperature) == 1;
        (0..3).find(|label| of(*label)).expect("one of the classes")
    }

    #[test]
    fn the_nearest_vote_with_their_similarity() {
        // At 0, 60, 60 and 180 degrees, of any length.
        let root = 3f32.sqrt();
        let rows = vec![2.0, 0.0, 1.0, root, 0.5, 0.5 * root, -7.0, 0.0];
        let bank = Bank::new(rows, 2, &[0, 1, 1, 2]);
        let east = [0.1, 0.0];
        assert_eq!(class_of(&bank, east, 1, 0.1), 0);
        // Three neighbours: one of similarity 1 against two of 1/2. exp(1 / t) against 2 exp(1 / 2t): equal at t = 1 / (2 ln 2).
        assert_eq!(class_of(&bank, east, 3, 0.70), 0);
        assert_eq!(class_of(&bank, east, 3, 0.74), 1);
        // More neighbours than rows.
        assert_eq!(class_of(&bank, east, 200, 10.0), 1);
        assert_eq!(class_of(&bank, [-1.0, 0.0], 1, 0.1), 2);
    }

    #[test]
    fn long_rows_are_multiplied_whole() {
        let row: Vec<f32> = (0..37).map(|i| i as f32).collect();
        // 0² + 1² + … + 36².
        assert_eq!(dot(&row, &row), 16_206.0);
    }

    #[test]
    fn ties_go_to_the_first() {
        let bank = Bank::new(vec![1.0, 0.0, 1.0, 0.0], 2, &[2, 1]);
        assert_eq!(class_of(&bank, [1.0, 0.0], 1, 0.1), 2);
        assert_eq!(class_of(&bank, [1.0, 0.0], 2, 0.1), 1);
        assert_eq!(Bank::new(Vec::new(), 2, &[]).correct(&[1.0, 0.0], &[0], 3, 5, 0.1), 0);
    }
}
