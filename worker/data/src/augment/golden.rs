//! Compares the augmentation with torchvision's transforms, recorded by `tests/golden/augment.py`.

use std::collections::BTreeMap;

use pretext_shared::draw::{Place, Purpose};
use pretext_shared::stage::{LabelledView, ResizedFlip};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    operations: BTreeMap<String, Vec<f32>>,
    crops: Vec<Crops>,
    jitter: Vec<Jitter>,
}

/// Deciles of 100,000 draws of `RandomResizedCrop`.
#[derive(Deserialize)]
struct Crops {
    size: usize,
    min_area: f32,
    area: Vec<f64>,
    mean_area: f64,
    log_aspect: Vec<f64>,
    /// Top edge of the crop, as a share of the rows that it can start at.
    place: Vec<f64>,
}

/// Deciles of 100,000 draws of `ColorJitter(0.8 s, 0.8 s, 0.8 s, 0.2 s)`.
#[derive(Deserialize)]
struct Jitter {
    strength: f32,
    brightness: Vec<f64>,
    contrast: Vec<f64>,
    saturation: Vec<f64>,
    hue: Vec<f64>,
}

const SIZE: usize = 40;
const DRAWS: u64 = 40_000;
/// Five standard deviations of the share of draws below a decile, over both samples: 5 √(¼ (1/40,000 + 1/100,000)).
const SHARE: f64 = 0.0148;

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../tests/golden/augment.json")).expect("the script wrote it")
}

fn places() -> impl Iterator<Item = Place> {
    (0..DRAWS).map(|sample| Place { seed: 11, purpose: Purpose::Augment, epoch: 3, sample, view: 1 })
}

/// Checks that each of torchvision's deciles has its tenths of `draws` below it. Values come in steps (pixels), so many
/// draws may equal a decile.
#[track_caller]
fn has_deciles(what: &str, draws: &[f64], deciles: &[f64]) {
    assert_eq!(deciles.len(), 9);
    for (tenths, decile) in (1..).zip(deciles) {
        let share =
            |below: &dyn Fn(f64) -> bool| draws.iter().filter(|x| below(**x)).count() as f64 / draws.len() as f64;
        // The script rounds to five places.
        let (less, at_most) = (share(&|x| x < decile - 2e-5), share(&|x| x <= decile + 2e-5));
        let expected = f64::from(tenths) / 10.0;
        assert!(
            less <= expected + SHARE && at_most >= expected - SHARE,
            "{what}: {less} to {at_most} of the draws are below {decile}, expected {expected}"
        );
    }
}

#[test]
fn single_operations_are_torchvisions() {
    let bytes: Vec<u8> = (0..3 * SIZE * SIZE).map(|i| (i * 89 % 251) as u8).collect();
    let mut image = vec![0f32; bytes.len()];
    to_unit(&bytes, &mut image);
    type Operation = fn(&mut [f32]);
    let operations: [(&str, Operation); 9] = [
        ("brightness 1.4", |x| brightness(x, 1.4)),
        ("contrast 0.6", |x| contrast(x, 0.6)),
        ("saturation 1.7", |x| saturation(x, 1.7)),
        ("hue 0.1", |x| hue(x, 0.1)),
        ("hue -0.3", |x| hue(x, -0.3)),
        ("grayscale", grayscale),
        ("blur 0.1", |x| blur(x, SIZE, 0.1)),
        ("blur 0.8", |x| blur(x, SIZE, 0.8)),
        ("blur 2", |x| blur(x, SIZE, 2.0)),
    ];
    let golden = golden().operations;
    assert_eq!(golden.len(), operations.len());
    for (name, operation) in operations {
        let mut own = image.clone();
        operation(&mut own);
        for (i, expected) in golden[name].iter().enumerate() {
            let own = own[i * 97];
            assert!((own - expected).abs() < 3e-6, "{name}: {own} at {i}, but torchvision has {expected}");
        }
    }
}

/// Checks that the crops have the distribution of torchvision's.
#[track_caller]
fn are_torchvisions(crops: &[Crop], Crops { size, area, mean_area, log_aspect, place, .. }: &Crops) {
    let size = *size;
    let share = |crop: &Crop| (crop.height * crop.width) as f64 / (size * size) as f64;
    let areas: Vec<f64> = crops.iter().map(share).collect();
    has_deciles("area", &areas, area);
    let mean = areas.iter().sum::<f64>() / areas.len() as f64;
    assert!((mean - mean_area).abs() < 0.007, "{mean}, expected {mean_area}");
    let aspects: Vec<f64> = crops.iter().map(|crop| (crop.width as f64 / crop.height as f64).ln()).collect();
    has_deciles("aspect", &aspects, log_aspect);
    let room = |crop: &&Crop| crop.height < size;
    let tops: Vec<f64> = crops.iter().filter(room).map(|crop| crop.top as f64 / (size - crop.height) as f64).collect();
    has_deciles("place", &tops, place);
}

#[test]
fn crops_are_distributed_as_torchvisions() {
    for golden in golden().crops {
        let crops: Vec<Crop> = places().map(|place| random_resized(golden.size, golden.min_area, place)).collect();
        are_torchvisions(&crops, &golden);
    }
}

/// Checks the crops in the views themselves: the image's red grows with the column and its green with the row.
#[test]
fn labelled_images_are_cropped_as_torchvisions() {
    const SIZE: usize = 32;
    let golden = golden().crops.into_iter().find(|crops| crops.size == SIZE).expect("the script draws this size");
    let spec = ResizedFlip { min_crop: golden.min_area, flip: true };
    let view = Labelled::new(SIZE, LabelledView::Resized(spec));
    let plane = SIZE * SIZE;
    let position = |i: usize| if i < plane { i % SIZE } else { i / SIZE % SIZE };
    let image: Vec<u8> = (0..3 * plane).map(|i| 8 * position(i) as u8).collect();
    let (mut mirrored, mut out) = (0, vec![0.0; image.len()]);
    let crops = places().map(|place| {
        view.draw(&image, place, &mut out);
        // Between two pixels well inside, the colour changes by their distance times crop over image. The first pixel
        // is half a pixel of the image from its edge.
        let (near, far) = (8, 23);
        let edges = |at: &dyn Fn(usize) -> f32| {
            let [first, last] = [near, far].map(|i| at(i) * 255.0 / 8.0);
            let scale = (last - first) / (far - near) as f32;
            let edge = first + 0.5 - (near as f32 + 0.5) * scale;
            ((scale * SIZE as f32).round() as i32, edge.round() as i32)
        };
        let (width, left) = edges(&|x| out[16 * SIZE + x]);
        let (height, top) = edges(&|y| out[plane + y * SIZE + 16]);
        mirrored += usize::from(width < 0);
        let left = if width < 0 { left + width } else { left };
        Crop { top: top as usize, left: left as usize, height: height as usize, width: width.unsigned_abs() as usize }
    });
    let crops: Vec<Crop> = crops.collect();
    are_torchvisions(&crops, &golden);
    // The crops equal those of a contrastive view at the same place.
    assert!(places().zip(&crops).all(|(place, crop)| random_resized(SIZE, golden.min_area, place) == *crop));
    assert!((mirrored as f64 / DRAWS as f64 - 0.5).abs() < SHARE, "{mirrored}");
}

#[test]
fn jitter_is_distributed_as_torchvisions() {
    for Jitter { strength, brightness, contrast, saturation, hue } in golden().jitter {
        let draws: Vec<_> = places().map(|place| ColorJitter { strength }.draw(place)).collect();
        let of = |factor: &dyn Fn(&super::jitter::Factors) -> f32| -> Vec<f64> {
            draws.iter().map(|draw| f64::from(factor(draw))).collect()
        };
        has_deciles("brightness", &of(&|draw| draw.brightness), &brightness);
        has_deciles("contrast", &of(&|draw| draw.contrast), &contrast);
        has_deciles("saturation", &of(&|draw| draw.saturation), &saturation);
        has_deciles("hue", &of(&|draw| draw.hue), &hue);
    }
}

#[test]
fn blur_is_uniform_between_its_limits() {
    let draws: Vec<f64> =
        places().map(|place| f64::from(Operation::Blur.draws(place).range(SIGMAS.0, SIGMAS.1))).collect();
    let deciles: Vec<f64> = (1..10).map(|tenths| 0.1 + 1.9 * f64::from(tenths) / 10.0).collect();
    has_deciles("sigma", &draws, &deciles);
}
