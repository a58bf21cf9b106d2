//! Gaussian blur (Chen et al. 2020, appendix A).

/// Smallest and largest standard deviation that SimCLR draws, in pixels.
pub const SIGMAS: (f32, f32) = (0.1, 2.0);

/// Blurs planes `[3, size, size]` in place. The kernel is a tenth of the image (an odd number of pixels, rounded as in
/// SimCLR) with standard deviation `sigma`. Edges are mirrored as in torchvision's `gaussian_blur`.
pub fn blur(image: &mut [f32], size: usize, sigma: f32) {
    let radius = size / 10 / 2;
    if radius == 0 || image.is_empty() {
        return;
    }
    let weight = |distance: usize| (-0.5 * (distance as f64 / f64::from(sigma)).powi(2)).exp();
    let sum: f64 = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
    let kernel: Vec<f32> = (0..=radius).map(|distance| (weight(distance) / sum) as f32).collect();
    let mut rows = vec![0f32; size * size];
    for plane in image.chunks_exact_mut(size * size) {
        for (row, out) in plane.chunks_exact(size).zip(rows.chunks_exact_mut(size)) {
            for (x, value) in out.iter_mut().enumerate() {
                *value = kernel[0] * row[x];
                for (distance, weight) in kernel.iter().enumerate().skip(1) {
                    *value += weight * (row[before(x, distance)] + row[after(x, distance, size)]);
                }
            }
        }
        // Columns are blurred a whole row at a time, so that the loop vectorises.
        for (y, out) in plane.chunks_exact_mut(size).enumerate() {
            let row = |y: usize| &rows[y * size..][..size];
            out.iter_mut().zip(row(y)).for_each(|(value, centre)| *value = kernel[0] * centre);
            for (distance, weight) in kernel.iter().enumerate().skip(1) {
                let (above, below) = (row(before(y, distance)), row(after(y, distance, size)));
                for ((value, above), below) in out.iter_mut().zip(above).zip(below) {
                    *value += weight * (above + below);
                }
            }
        }
    }
}

/// Returns the position `distance` before `x`, mirrored at 0 without repeating it.
fn before(x: usize, distance: usize) -> usize {
    x.abs_diff(distance)
}

/// Returns the position `distance` after `x`, mirrored at the last one without repeating it.
fn after(x: usize, distance: usize, size: usize) -> usize {
    let last = size - 1;
    last - last.abs_diff(x + distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_image_and_small_images_stay() {
        let mut flat = vec![0.25; 3 * 40 * 40];
        blur(&mut flat, 40, 1.3);
        assert!(flat.iter().all(|value| (value - 0.25).abs() < 1e-6));
        // A tenth of 19 pixels is one: there is nothing to mix.
        let image: Vec<f32> = (0..3 * 19 * 19).map(|i| i as f32).collect();
        let mut same = image.clone();
        blur(&mut same, 19, 2.0);
        assert_eq!(same, image);
    }

    #[test]
    fn a_point_becomes_the_kernel() {
        let mut image = vec![0.0; 3 * 40 * 40];
        image[20 * 40 + 20] = 1.0;
        blur(&mut image, 40, 1.0);
        let sum = 1.0 + 2.0 * ((-0.5f64).exp() + (-2.0f64).exp());
        let weight = |d: i32| (-0.5 * f64::from(d * d)).exp() / sum;
        for (y, x) in (-3i32..=3).flat_map(|y| (-3i32..=3).map(move |x| (y, x))) {
            let expected = if x.abs() < 3 && y.abs() < 3 { weight(x) * weight(y) } else { 0.0 };
            let own = image[(20 + y) as usize * 40 + (20 + x) as usize];
            assert!((f64::from(own) - expected).abs() < 1e-6, "{own} at {x}, {y}");
        }
        assert!(image[1600..].iter().all(|value| *value == 0.0), "planes do not mix");
    }
}
