//! SimCLR's random view of an image (Chen et al. 2020, appendix A; without blur, as for small images).

use pretext_shared::draw::Place;

use super::crop::random_resized;
use super::{ColorJitter, Mirror, Operation, Resizer, grayscale};

/// Probability of the colour jitter.
const JITTER: f32 = 0.8;
/// Probability that a view is grey.
const GRAYSCALE: f32 = 0.2;

/// Draws views: random resized crop, mirror (p = 0.5), colour jitter (p = 0.8), grayscale (p = 0.2).
#[derive(Debug, Clone)]
pub struct SimclrView {
    resizer: Resizer,
    jitter: ColorJitter,
    min_crop: f32,
    flip: bool,
}

impl SimclrView {
    /// Views of `size` × `size` images. `strength` is that of the colour jitter, `min_crop` the
    /// smallest area of a crop as a share of the image, `flip` whether views are mirrored at random.
    pub fn new(size: usize, strength: f32, min_crop: f32, flip: bool) -> Self {
        Self { resizer: Resizer::new(size), jitter: ColorJitter { strength }, min_crop, flip }
    }

    /// The view of `image` (`[3, size, size]`) at `place`, to planes in [0, 1] of the same shape.
    pub fn draw(&self, image: &[u8], place: Place, out: &mut [f32]) {
        let crop = random_resized(self.resizer.size(), self.min_crop, place);
        self.resizer.resized_crop(image, crop, Mirror::draw(self.flip, place), out);
        if Operation::JitterChance.draws(place).chance(JITTER) {
            self.jitter.apply(place, out);
        }
        if Operation::Grayscale.draws(place).chance(GRAYSCALE) {
            grayscale(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pretext_shared::draw::Purpose;
    use rayon::prelude::*;

    use super::*;

    const SIZE: usize = 16;

    fn image() -> Vec<u8> {
        (0..3 * SIZE * SIZE).map(|i| (i * 89 % 251) as u8).collect()
    }

    fn place(sample: u64) -> Place {
        Place { seed: 5, purpose: Purpose::Augment, epoch: 1, sample, view: 0 }
    }

    /// The view's bits: equal only if every value is.
    fn bits(views: &SimclrView, place: Place) -> Vec<u32> {
        let mut out = vec![0.0; 3 * SIZE * SIZE];
        views.draw(&image(), place, &mut out);
        out.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_sample_view_epoch_and_seed_draws_its_own() {
        let views = SimclrView::new(SIZE, 0.5, 0.08, true);
        let n = 64;
        // B identical images become B distinct inputs: no draw is shared by a batch.
        assert_eq!((0..n).map(|sample| bits(&views, place(sample))).collect::<BTreeSet<_>>().len(), n as usize);
        let here = place(7);
        let others = [Place { view: 1, ..here }, Place { epoch: 2, ..here }, Place { seed: 6, ..here }];
        assert!(others.into_iter().all(|other| bits(&views, other) != bits(&views, here)));
    }

    #[test]
    fn threads_and_order_do_not_matter() {
        let views = SimclrView::new(SIZE, 0.5, 0.08, true);
        let alone: Vec<_> = (0..64).map(|sample| bits(&views, place(sample))).collect();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
            let samples: Vec<u64> = (0..64).rev().collect();
            let mut many: Vec<_> =
                pool.install(|| samples.par_iter().map(|sample| bits(&views, place(*sample))).collect());
            many.reverse();
            assert!(many == alone, "{threads} threads");
        }
    }

    #[test]
    fn jitter_and_grayscale_come_as_often_as_they_should() {
        let chance = |operation: Operation, p| (0..10_000).filter(|s| operation.draws(place(*s)).chance(p)).count();
        // 99.9 % bounds of 10,000 trials.
        assert!((7868..=8132).contains(&chance(Operation::JitterChance, JITTER)));
        // Whether a view is grey is seen in the view itself: three equal planes.
        let views = SimclrView::new(SIZE, 0.5, 0.5, false);
        let image: Vec<u8> = [200, 100, 30].into_iter().flat_map(|value| [value; SIZE * SIZE]).collect();
        let mut out = vec![0.0; 3 * SIZE * SIZE];
        let (mut grey, mut plain) = (0, 0);
        for sample in 0..10_000 {
            views.draw(&image, place(sample), &mut out);
            let (red, green) = (out[0], out[SIZE * SIZE]);
            grey += usize::from(red == green);
            plain += usize::from((red - 200.0 / 255.0).abs() < 1e-6 && (green - 100.0 / 255.0).abs() < 1e-6);
        }
        assert!((1868..=2132).contains(&grey), "{grey}");
        // Neither jitter nor grayscale: .2 × .8.
        assert!((1479..=1721).contains(&plain), "{plain}");
    }

    #[test]
    fn values_stay_in_the_unit_interval() {
        let views = SimclrView::new(SIZE, 1.0, 0.08, true);
        let mut out = vec![f32::NAN; 3 * SIZE * SIZE];
        for sample in 0..200 {
            views.draw(&image(), place(sample), &mut out);
            assert!(out.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)));
        }
    }
}
