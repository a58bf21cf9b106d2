//! NT-Xent, the normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, equation 1).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor};

use super::Scores;

/// Returns the loss of `projections` (`[2N, length]`). The rows scaled to length one are z_i, s_ij = z_i · z_j /
/// `temperature`, and p(i) is the row of i's other view (`partners`, `[2N]`):
///
/// L = 1/(2N) Σ_i ( -s_i,p(i) + log Σ_{k≠i} exp s_ik )
///
/// The sum runs over every other row, including the partner. (The authors' code returns twice this value: one mean for
/// each view.) A row is correct if its most similar other row is its partner. A single pair has loss 0.
pub fn nt_xent(projections: Tensor<2>, partners: Tensor<1, Int>, temperature: f32) -> Scores {
    let [rows, _] = projections.dims();
    // The clamp keeps a zero vector finite. It comes before the root, whose derivative at zero is infinite.
    let norm = projections.clone().square().sum_dim(1).clamp_min(1e-16).sqrt();
    let z = projections / norm;
    let similarity = z.clone().matmul(z.transpose()).div_scalar(temperature);
    // A row is never its own negative: exp(-∞) = 0, and no gradient passes through a masked entry.
    let oneself: Tensor<2, Bool> = Tensor::<2>::eye(rows, &similarity.device()).greater_elem(0.5);
    let similarity = similarity.mask_fill(oneself, f32::NEG_INFINITY);
    let nearest = similarity.clone().inner().argmax(1).reshape([rows]);
    let correct = nearest.equal(partners.clone().inner()).int().sum();
    // log_softmax subtracts each row's maximum, so small temperatures do not overflow.
    let loss = log_softmax(similarity, 1).gather(1, partners.reshape([rows, 1])).mean().neg();
    Scores { loss, correct, seen: rows as u64 }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use pretext_shared::draw::{Draw, Place, Purpose};

    use super::*;

    /// Returns loss, number of correct rows, and gradient with respect to the rows.
    fn run(values: &[f32], rows: usize, temperature: f32) -> (f64, i64, Vec<f32>) {
        let device = Device::flex().autodiff();
        let data = TensorData::new(values.to_vec(), [rows, values.len() / rows]);
        let z = Tensor::<2>::from_data(data, &device).require_grad();
        let partners: Vec<i64> = (0..rows).map(|row| ((row + rows / 2) % rows) as i64).collect();
        let partners = Tensor::<1, Int>::from_data(TensorData::new(partners, [rows]), &device);
        let scores = nt_xent(z.clone(), partners, temperature);
        let gradient = z.grad(&scores.loss.backward()).expect("tracked").try_into_vec_as().expect("f32");
        assert_eq!(scores.seen, rows as u64);
        (f64::from(scores.loss.into_scalar::<f32>()), scores.correct.into_scalar::<i64>(), gradient)
    }

    fn random(count: usize) -> Vec<f32> {
        let mut draw = Draw::new(Place { seed: 4, purpose: Purpose::Init, epoch: 0, sample: 0, view: 0 }, 0);
        (0..count).map(|_| draw.range(-1.0, 1.0)).collect()
    }

    /// Algorithm 1 of the paper as written, in f64.
    fn reference(z: &[f64], rows: usize, temperature: f64) -> f64 {
        let length = z.len() / rows;
        let row = |i: usize| &z[i * length..][..length];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let s =
            |i: usize, j: usize| dot(row(i), row(j)) / (dot(row(i), row(i)) * dot(row(j), row(j))).sqrt() / temperature;
        let term = |i: usize| {
            let others: f64 = (0..rows).filter(|k| *k != i).map(|k| s(i, k).exp()).sum();
            others.ln() - s(i, (i + rows / 2) % rows)
        };
        (0..rows).map(term).sum::<f64>() / rows as f64
    }

    #[test]
    fn closed_forms() {
        for (n, temperature) in [(1, 0.5), (2, 0.5), (8, 0.05), (64, 5.0)] {
            // All views are equal: every other row is equally likely.
            let (loss, ..) = run(&vec![0.3; 2 * n * 16], 2 * n, temperature);
            assert!((loss - ((2 * n - 1) as f64).ln()).abs() < 2e-5, "{loss}");
            // The two rows of a pair are equal; different pairs are orthogonal.
            let mut pairs = vec![0f32; 2 * n * n];
            (0..2 * n).for_each(|i| pairs[i * n + i % n] = 2.0);
            let (loss, correct, _) = run(&pairs, 2 * n, temperature);
            let expected = (1.0 + (2 * n - 2) as f64 * (-1.0 / f64::from(temperature)).exp()).ln();
            assert!((loss - expected).abs() < 1e-5, "{loss}, expected {expected}");
            assert_eq!(correct, 2 * n as i64);
        }
    }

    #[test]
    fn golden_values() {
        let rows = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 1.0];
        for (temperature, expected) in [(0.5, 0.5359693518), (0.1, 0.3472107196), (1.0, 0.7326023903)] {
            let (loss, ..) = run(&rows, 4, temperature);
            assert!((loss - expected).abs() < 1e-6, "{loss}, expected {expected}");
        }
        let expected = [0.0, -0.098357, 0.740762, 0.0, -0.370381, 0.370381, -0.049178, -0.049178];
        let (.., gradient) = run(&rows, 4, 0.5);
        assert!(gradient.iter().zip(expected).all(|(own, expected)| (own - expected).abs() < 2e-6), "{gradient:?}");
    }

    #[test]
    fn equals_the_paper_and_its_finite_differences() {
        for (rows, length, temperature) in [(4, 2, 0.1), (4, 16, 10.0), (8, 64, 1.0), (12, 8, 0.2)] {
            let values = random(rows * length);
            let exact: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            let (loss, _, gradient) = run(&values, rows, temperature);
            let temperature = f64::from(temperature);
            assert!((loss - reference(&exact, rows, temperature)).abs() < 1e-5);
            for (k, own) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut moved = exact.clone();
                    moved[k] += by;
                    reference(&moved, rows, temperature)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((difference - f64::from(*own)).abs() < 5e-6, "{difference}, expected {own}");
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        // Similarities of up to 1000, and a zero row.
        let mut rows = random(8 * 4);
        rows[..4].fill(0.0);
        let (loss, _, gradient) = run(&rows, 8, 1e-3);
        assert!(loss.is_finite() && gradient.iter().all(|g| g.is_finite()));
    }

    #[test]
    fn length_and_order_of_rows_do_not_matter() {
        let values = random(12 * 8);
        let (loss, ..) = run(&values, 12, 0.5);
        let scaled: Vec<f32> = values.iter().enumerate().map(|(i, v)| v * (1 + i / 8) as f32).collect();
        let swapped = [&values[48..], &values[..48]].concat();
        for other in [scaled, swapped] {
            assert!((run(&other, 12, 0.5).0 - loss).abs() < 1e-6);
        }
    }
}
