//! SimCLR's random view of an image (Chen et al. 2020, appendix A).

use pretext_shared::draw::Place;
use pretext_shared::stage::Chances;

use super::crop::random_resized;
use super::{ColorJitter, Mirror, Operation, Resizer, SIGMAS, blur, grayscale};

/// Draws views: random resized crop, mirror (p = 0.5), then colour jitter, grayscale and blur, each with its own
/// probability.
#[derive(Debug, Clone)]
pub struct SimclrView {
    resizer: Resizer,
    jitter: ColorJitter,
    min_crop: f32,
    flip: bool,
    chances: Chances,
}

impl SimclrView {
    /// Returns the drawer of views of `size` × `size` images. `strength` is the strength of the colour jitter,
    /// `min_crop` the smallest area of a crop as a share of the image, and `flip` whether views are mirrored at random.
    pub fn new(size: usize, strength: f32, min_crop: f32, flip: bool, chances: Chances) -> Self {
        Self { resizer: Resizer::new(size), jitter: ColorJitter { strength }, min_crop, flip, chances }
    }

    /// Draws the view of `image` (`[3, size, size]`) at `place`, to planes in [0, 1] of the same shape.
    pub fn draw(&self, image: &[u8], place: Place, out: &mut [f32]) {
        let crop = random_resized(self.resizer.size(), self.min_crop, place);
        self.resizer.resized_crop(image, crop, Mirror::draw(self.flip, place), out);
        if Operation::JitterChance.draws(place).chance(self.chances.jitter) {
            self.jitter.apply(place, out);
        }
        if Operation::Grayscale.draws(place).chance(self.chances.grayscale) {
            grayscale(out);
        }
        if Operation::BlurChance.draws(place).chance(self.chances.blur) {
            blur(out, self.resizer.size(), Operation::Blur.draws(place).range(SIGMAS.0, SIGMAS.1));
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

    /// Returns the view's bits, which are equal only if every value is equal.
    fn bits(views: &SimclrView, place: Place) -> Vec<u32> {
        let mut out = vec![0.0; 3 * SIZE * SIZE];
        views.draw(&image(), place, &mut out);
        out.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_sample_view_epoch_and_seed_draws_its_own() {
        let views = SimclrView::new(SIZE, 0.5, 0.08, true, Chances::default());
        let n = 64;
        // B identical images become B distinct inputs: the images of a batch share no draw.
        assert_eq!((0..n).map(|sample| bits(&views, place(sample))).collect::<BTreeSet<_>>().len(), n as usize);
        let here = place(7);
        let others = [Place { view: 1, ..here }, Place { epoch: 2, ..here }, Place { seed: 6, ..here }];
        assert!(others.into_iter().all(|other| bits(&views, other) != bits(&views, here)));
    }

    #[test]
    fn threads_and_order_do_not_matter() {
        let views = SimclrView::new(SIZE, 0.5, 0.08, true, Chances::default());
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
        // A grey view has three equal planes. Bounds: 99.9 % of 10,000 trials.
        let views = SimclrView::new(SIZE, 0.5, 0.5, false, Chances::default());
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
    fn blur_comes_as_often_as_it_should_and_moves_no_other_draw() {
        const SIZE: usize = 20;
        let image: Vec<u8> = (0..3 * SIZE * SIZE).map(|i| (i * 89 % 251) as u8).collect();
        let views = |blur| {
            let chances = Chances { blur, ..Chances::default() };
            let views = SimclrView::new(SIZE, 0.5, 0.2, true, chances);
            let view = |sample| {
                let mut out = vec![0.0; 3 * SIZE * SIZE];
                views.draw(&image, place(sample), &mut out);
                out
            };
            (0..4000).map(view).collect::<Vec<_>>()
        };
        let (sharp, half, all) = (views(0.0), views(0.5), views(1.0));
        let blurred = half.iter().zip(&sharp).filter(|(half, sharp)| half != sharp).count();
        // A blur of σ = 0.1 on three taps changes no bit, so a few blurred views look sharp: σ below .19 of .1 to 2.
        assert!((1798..=2050).contains(&blurred), "{blurred}");
        assert!(half.iter().zip(sharp.iter().zip(&all)).all(|(half, (sharp, all))| half == sharp || half == all));
    }

    #[test]
    fn values_stay_in_the_unit_interval() {
        let views = SimclrView::new(SIZE, 1.0, 0.08, true, Chances { blur: 0.5, ..Chances::default() });
        let mut out = vec![f32::NAN; 3 * SIZE * SIZE];
        for sample in 0..200 {
            views.draw(&image(), place(sample), &mut out);
            assert!(out.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)));
        }
    }
}
