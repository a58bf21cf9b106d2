//! Tests of the content of batches, for the known bugs of reimplementations of these methods.

use std::collections::BTreeSet;

use pretext_data::ImageSet;
use pretext_data::augment::{ColorJitter, Labelled, SimclrView, quarter_turns};
use pretext_shared::stage::{Chances, CropFlip};

use super::*;
use crate::train::small;

fn samples(images: &ImageSet) -> Samples<'_> {
    Samples { images, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4], seed: 9 }
}

/// Returns the same picture under every id.
fn identical() -> ImageSet {
    let set = small::images();
    let first = set.image(set.ids()[0]).to_vec();
    set.map(|_, _, out| out.copy_from_slice(&first))
}

/// Returns the inputs of a batch, one by one.
fn inputs(batch: &Batch) -> Vec<Vec<u32>> {
    let length = batch.shape[1..].iter().product();
    batch.inputs.chunks_exact(length).map(|input| input.iter().map(|value| value.to_bits()).collect()).collect()
}

fn distinct(batch: &Batch) -> usize {
    inputs(batch).into_iter().collect::<BTreeSet<_>>().len()
}

fn view(min_crop: f32, flip: bool, chances: Chances) -> SimclrView {
    SimclrView::new(small::SIZE as usize, 0.5, min_crop, flip, chances)
}

#[test]
fn the_partner_of_a_view_is_the_other_view_of_its_image() {
    let set = small::images();
    // Nothing is random: both views of an image are the image.
    let chances = Chances { jitter: 0.0, grayscale: 0.0, blur: 0.0 };
    let simclr = Simclr { samples: samples(&set), view: view(1.0, false, chances), temperature: 0.5 };
    let ids = &set.ids()[..6];
    for batch in [simclr.training(ids, 1), simclr.validation(ids)] {
        let inputs = inputs(&batch);
        assert_eq!((inputs.len(), distinct(&batch)), (12, 6));
        for (row, partner) in batch.labels.iter().enumerate() {
            assert!(*partner as usize != row && inputs[*partner as usize] == inputs[row]);
        }
    }
}

#[test]
fn no_two_images_share_their_draws_and_no_two_epochs() {
    let set = identical();
    let (samples, ids) = (samples(&set), &set.ids()[..16]);
    let simclr = Simclr { samples, view: view(0.2, true, Chances::default()), temperature: 0.5 };
    assert_eq!(distinct(&simclr.training(ids, 1)), 32);
    let jitter = ColorJitter { strength: 0.5 };
    let augment = CropFlip { padding: 0, flip: false };
    let rotation_jitter = RotationJitter { samples, augment, jitter };
    assert_eq!(distinct(&rotation_jitter.training(ids, 1)), 64);
    // Of 25 windows, mirrored or not, 16 draws hit some twice.
    let supervised = Supervised { samples, augment: Labelled::new(small::SIZE as usize, small::LABELLED) };
    assert!(distinct(&supervised.training(ids, 1)) > 10);
    let objectives: [&dyn Objective; 3] = [&simclr, &rotation_jitter, &supervised];
    for objective in objectives {
        assert_ne!(objective.training(ids, 1), objective.training(ids, 2));
        assert_eq!(objective.training(ids, 1), objective.training(ids, 1));
        // The view of an image does not depend on the rest of the batch.
        let (alone, all) = (inputs(&objective.training(&ids[3..4], 1)), inputs(&objective.training(ids, 1)));
        assert!(!alone.is_empty() && alone.iter().all(|view| all.contains(view)));
        assert_eq!(objective.validation(ids), objective.validation(ids));
    }
}

#[test]
fn the_four_copies_are_turns_of_one_augmented_image() {
    let set = small::images();
    let (samples, ids) = (samples(&set), &set.ids()[..5]);
    let rotation = Rotation { samples, augment: small::AUGMENT };
    for batch in [rotation.training(ids, 3), rotation.validation(ids)] {
        assert_eq!(batch.labels, (0..5).flat_map(|_| 0..4).collect::<Vec<i64>>());
        let inputs = inputs(&batch);
        for (row, label) in batch.labels.iter().enumerate() {
            let mut turned = vec![0; inputs[row].len()];
            quarter_turns(&inputs[row / 4 * 4], small::SIZE as usize, *label as usize, &mut turned);
            assert!(turned == inputs[row], "row {row}");
        }
    }
    // Only training is augmented.
    assert_ne!(rotation.training(ids, 3), rotation.validation(ids));
}
