//! Colour operations on planes `[3, height, width]` in [0, 1]. Each ends with a clamp to [0, 1], because SimCLR clips
//! after every operation. Formulas are those of torchvision's float tensors.

/// Returns the brightness with torchvision's weights (ITU-R 601).
fn luma(red: f32, green: f32, blue: f32) -> f32 {
    0.2989 * red + 0.587 * green + 0.114 * blue
}

fn planes(image: &mut [f32]) -> (&mut [f32], &mut [f32], &mut [f32]) {
    let pixels = image.len() / 3;
    let (red, rest) = image.split_at_mut(pixels);
    let (green, blue) = rest.split_at_mut(pixels);
    (red, green, blue)
}

/// Multiplies every value by `factor`.
pub fn brightness(image: &mut [f32], factor: f32) {
    image.iter_mut().for_each(|value| *value = (*value * factor).clamp(0.0, 1.0));
}

/// Moves every value away from the mean luma of the image, or towards it: `factor · v + (1 - factor) · mean`.
pub fn contrast(image: &mut [f32], factor: f32) {
    let (red, green, blue) = planes(image);
    // Eight partial sums vectorise, and are more exact than one running f32 sum.
    let mut sums = [0f32; 8];
    for i in 0..red.len() {
        sums[i % 8] += luma(red[i], green[i], blue[i]);
    }
    let mean = sums.iter().sum::<f32>() / red.len() as f32;
    let shift = (1.0 - factor) * mean;
    image.iter_mut().for_each(|value| *value = (*value * factor + shift).clamp(0.0, 1.0));
}

/// Moves every pixel away from its own luma, or towards it.
pub fn saturation(image: &mut [f32], factor: f32) {
    let (red, green, blue) = planes(image);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let shift = (1.0 - factor) * luma(*red, *green, *blue);
        *red = (*red * factor + shift).clamp(0.0, 1.0);
        *green = (*green * factor + shift).clamp(0.0, 1.0);
        *blue = (*blue * factor + shift).clamp(0.0, 1.0);
    }
}

/// Turns the hue by `turns` of the colour circle, in [-0.5, 0.5].
pub fn hue(image: &mut [f32], turns: f32) {
    let (red, green, blue) = planes(image);
    // Without branches on pixel values, so that the loop vectorises.
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let (max, min) = (red.max(*green).max(*blue), red.min(*green).min(*blue));
        let chroma = max - min;
        let inverse = if chroma > 0.0 { 1.0 / chroma } else { 0.0 };
        // In sixths of a turn.
        let hue = if max == *red {
            (*green - *blue) * inverse
        } else if max == *green {
            2.0 + (*blue - *red) * inverse
        } else {
            4.0 + (*red - *green) * inverse
        };
        let hue = hue + 6.0 * turns + 12.0;
        // Converts back from hue, saturation and value without branches: max - chroma · clamp(min(k, 4 - k), 0, 1).
        let channel = |offset: f32| {
            let k = offset + hue;
            // Modulo 6. `k` is in 9..26; comparisons vectorise on every CPU, `floor` does not.
            let k = k - 6.0 * (1.0 + f32::from(k >= 12.0) + f32::from(k >= 18.0) + f32::from(k >= 24.0));
            max - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        (*red, *green, *blue) = (channel(5.0), channel(3.0), channel(1.0));
    }
}

/// Writes the luma to all three channels.
pub fn grayscale(image: &mut [f32]) {
    let (red, green, blue) = planes(image);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let luma = luma(*red, *green, *blue);
        (*red, *green, *blue) = (luma, luma, luma);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of two pixels: (0.8, 0.4, 0.2) and (0.1, 0.5, 0.9), as planes.
    const IMAGE: [f32; 6] = [0.8, 0.1, 0.4, 0.5, 0.2, 0.9];
    /// Lumas .49672 and .42599.
    const LUMAS: [f32; 2] = [0.49672, 0.42599];

    fn after(operation: impl FnOnce(&mut [f32])) -> [f32; 6] {
        let mut image = IMAGE;
        operation(&mut image);
        image
    }

    fn close(got: [f32; 6], want: [f32; 6]) {
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?} is not {want:?}");
    }

    #[test]
    fn values_by_hand() {
        close(after(|image| brightness(image, 1.5)), [1.0, 0.15, 0.6, 0.75, 0.3, 1.0]);
        // Mean luma .461355, half of it is .2306775.
        let m = 0.230_677_5;
        close(after(|image| contrast(image, 0.5)), [0.4 + m, 0.05 + m, 0.2 + m, 0.25 + m, 0.1 + m, 0.45 + m]);
        let [p, q] = LUMAS;
        close(after(|image| saturation(image, 2.0)), [1.0, 0.0, 0.8 - p, 1.0 - q, 0.0, 1.0]);
        close(after(grayscale), [p, q, p, q, p, q]);
    }

    #[test]
    fn a_third_of_a_turn_of_hue_moves_red_to_green_to_blue() {
        close(after(|image| hue(image, 1.0 / 3.0)), [0.2, 0.9, 0.8, 0.1, 0.4, 0.5]);
        // (0.8, 0.4, 0.2) has hue 1/18 of a turn; half a turn on it is 5/9: (0.2, 0.6, 0.8).
        // (0.1, 0.5, 0.9) has hue 7/12; half a turn back it is 1/12: (0.9, 0.5, 0.1).
        close(after(|image| hue(image, 0.5)), [0.2, 0.9, 0.6, 0.5, 0.8, 0.1]);
        close(after(|image| hue(image, -0.5)), [0.2, 0.9, 0.6, 0.5, 0.8, 0.1]);
        close(after(|image| hue(image, 0.0)), IMAGE);
    }

    #[test]
    fn grey_stays_grey_and_bounds_hold() {
        let mut image = [0.3, 1.0, 0.3, 1.0, 0.3, 1.0];
        hue(&mut image, 0.2);
        close(image, [0.3, 1.0, 0.3, 1.0, 0.3, 1.0]);
        saturation(&mut image, 1.7);
        // The weights of the luma add up to .9999.
        let grey = 0.3 + 0.7 * 0.3 * 0.0001;
        close(image, [grey, 1.0, grey, 1.0, grey, 1.0]);
        contrast(&mut image, 100.0);
        close(image, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
