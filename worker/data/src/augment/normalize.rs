//! Converts bytes to network inputs.

/// Converts bytes to [0, 1].
pub fn to_unit(image: &[u8], out: &mut [f32]) {
    for (value, byte) in out.iter_mut().zip(image) {
        *value = f32::from(*byte) / 255.0;
    }
}

/// Replaces each value by `(v - mean) / std` of its channel, for planes `[3, height, width]`.
pub fn normalize(image: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    let pixels = image.len() / 3;
    for ((plane, mean), std) in image.chunks_exact_mut(pixels.max(1)).zip(mean).zip(std) {
        plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_numbers() {
        let mut image = [0.0; 6];
        to_unit(&[0, 255, 51, 102, 153, 204], &mut image);
        assert_eq!(image, [0.0, 1.0, 0.2, 0.4, 0.6, 0.8]);
        normalize(&mut image, [0.5, 0.2, 0.6], [0.5, 0.1, 1.0]);
        assert_eq!(image, [-1.0, 1.0, 0.0, 2.0, 0.0, 0.8 - 0.6]);
    }
}
