//! Colour jitter: four colour operations with random factors in random order.

use pretext_shared::draw::Place;

use super::Operation;
use super::color::{brightness, contrast, hue, saturation};

/// Colour jitter of strength s (Chen et al. 2020, appendix A), in random order: brightness, contrast and saturation by
/// a factor within 0.8 s of 1, and hue by up to 0.2 s of a turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorJitter {
    /// SimCLR's s: 1 for large photographs, 0.5 for small images.
    pub strength: f32,
}

/// The draws of one jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Factors {
    pub(super) brightness: f32,
    pub(super) contrast: f32,
    pub(super) saturation: f32,
    pub(super) hue: f32,
    /// The operations by number, in the order of their execution.
    order: [u8; 4],
}

impl ColorJitter {
    /// Jitters a whole image (planes in [0, 1]) in place, with the draws at `place`.
    pub fn apply(&self, place: Place, image: &mut [f32]) {
        let factors = self.draw(place);
        for operation in factors.order {
            match operation {
                0 => brightness(image, factors.brightness),
                1 => contrast(image, factors.contrast),
                2 => saturation(image, factors.saturation),
                _ => hue(image, factors.hue),
            }
        }
    }

    pub(super) fn draw(&self, place: Place) -> Factors {
        let mut draws = Operation::Jitter.draws(place);
        // A factor below 0 would invert the image.
        let (low, high) = ((1.0 - 0.8 * self.strength).max(0.0), 1.0 + 0.8 * self.strength);
        let turn = (0.2 * self.strength).min(0.5);
        let mut order = [0, 1, 2, 3];
        Operation::JitterOrder.draws(place).shuffle(&mut order);
        Factors {
            brightness: draws.range(low, high),
            contrast: draws.range(low, high),
            saturation: draws.range(low, high),
            hue: draws.range(-turn, turn),
            order,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretext_shared::draw::Purpose;

    use super::*;

    fn place(sample: u64) -> Place {
        Place { seed: 1, purpose: Purpose::Augment, epoch: 4, sample, view: 2 }
    }

    #[test]
    fn all_24_orders_come_equally_often() {
        let mut seen = BTreeMap::new();
        for sample in 0..24_000 {
            *seen.entry(ColorJitter { strength: 0.5 }.draw(place(sample)).order).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 24);
        // Four standard deviations of a count of expectation 1000.
        assert!(seen.values().all(|count| (875..=1125).contains(count)), "{seen:?}");
    }

    #[test]
    fn factors_fill_their_ranges() {
        let jitter = ColorJitter { strength: 0.5 };
        let draws: Vec<Factors> = (0..5000).map(|sample| jitter.draw(place(sample))).collect();
        for (factor, low, high) in
            [(|f: &Factors| f.brightness) as fn(&Factors) -> f32, |f: &Factors| f.contrast, |f: &Factors| f.saturation]
                .map(|factor| (factor, 0.6, 1.4))
                .into_iter()
                .chain([((|f: &Factors| f.hue) as fn(&Factors) -> f32, -0.1, 0.1)])
        {
            let (min, max) = draws.iter().map(factor).fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(v), b.max(v)));
            let margin = (high - low) * 0.01;
            assert!(min >= low && min < low + margin && max <= high && max > high - margin, "{min} {max}");
        }
        assert!(draws.iter().all(|f| f.brightness != f.contrast && f.contrast != f.saturation));
    }

    #[test]
    fn strength_zero_changes_nothing_but_rounding() {
        let image: Vec<f32> = (0..48).map(|i| i as f32 / 48.0).collect();
        let mut out = image.clone();
        ColorJitter { strength: 0.0 }.apply(place(0), &mut out);
        assert!(out.iter().zip(&image).all(|(a, b)| (a - b).abs() < 1e-6));
        ColorJitter { strength: 0.5 }.apply(place(0), &mut out);
        assert!(out.iter().zip(&image).any(|(a, b)| (a - b).abs() > 0.01));
    }
}
