//! The images of the pretext controls, from which nothing about rotation can be learned.

use pretext_data::ImageSet;
use pretext_data::augment::quarter_turns;
use pretext_shared::draw::{Draw, Place, Purpose};
use pretext_shared::stage::PretextImages;

/// The purpose of a draw. The numbers are part of every published result.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Noise = 0,
    Turns = 1,
}

/// Returns the images that pretext training sees in place of `set`, or `None` if it sees `set` itself. The draws are a
/// function of `seed` and the sample only: an image is the same in every epoch.
pub fn control_images(set: &ImageSet, images: PretextImages, seed: u64) -> Option<ImageSet> {
    let draw = |sample: u32, operation: Operation| {
        let place = Place { seed, purpose: Purpose::Control, epoch: 0, sample: u64::from(sample), view: 0 };
        Draw::new(place, operation as u64)
    };
    match images {
        PretextImages::Given => None,
        PretextImages::Noise => Some(set.map(|sample, _, out| {
            let mut draws = draw(sample, Operation::Noise);
            for bytes in out.chunks_mut(8) {
                bytes.copy_from_slice(&draws.bits().to_le_bytes()[..bytes.len()]);
            }
        })),
        PretextImages::PreRotated => Some(set.map(|sample, image, out| {
            quarter_turns(image, set.size(), draw(sample, Operation::Turns).below(4), out);
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::train::small;

    #[test]
    fn noise_is_uniform_and_each_image_has_its_own() {
        let set = small::images();
        let noise = control_images(&set, PretextImages::Noise, 3).expect("other images");
        assert_eq!((noise.ids(), noise.members()), (set.ids(), set.members()));
        let all: BTreeSet<&[u8]> = set.ids().iter().map(|id| noise.image(*id)).collect();
        assert_eq!(all.len(), set.len());
        let bytes: Vec<f64> = all.into_iter().flatten().map(|byte| f64::from(*byte)).collect();
        let mean = bytes.iter().sum::<f64>() / bytes.len() as f64;
        let variance = bytes.iter().map(|byte| (byte - mean).powi(2)).sum::<f64>() / bytes.len() as f64;
        // Uniform on 0..=255: mean 127.5, variance 5461.25.
        assert!((mean - 127.5).abs() < 5.0 * 73.9 / (bytes.len() as f64).sqrt(), "{mean}");
        assert!((variance / 5461.25 - 1.0).abs() < 0.03, "{variance}");
        let again = control_images(&set, PretextImages::Noise, 3).expect("other images");
        let other = control_images(&set, PretextImages::Noise, 4).expect("other images");
        let id = set.ids()[5];
        assert!(again.image(id) == noise.image(id) && other.image(id) != noise.image(id));
    }

    #[test]
    fn every_image_is_turned_by_one_of_four() {
        let set = small::images();
        let turned = control_images(&set, PretextImages::PreRotated, 3).expect("other images");
        let mut counts = [0usize; 4];
        for id in set.ids() {
            let is = |turns: &usize| {
                let mut out = vec![0; set.image(*id).len()];
                quarter_turns(set.image(*id), set.size(), *turns, &mut out);
                out == turned.image(*id)
            };
            counts[(0..4).find(is).expect("a rotation of the image")] += 1;
        }
        // 42 images.
        assert!(counts.iter().all(|count| (3..=20).contains(count)), "{counts:?}");
        assert!(control_images(&set, PretextImages::Given, 3).is_none());
    }
}
