//! Picture files of every format as a target.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use pretext_data::decode;

use super::target::{Fate, Target};

/// See the module.
pub(crate) struct Pictures;

/// Returns a picture as a file.
pub(crate) fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).expect("a picture that can be written");
    bytes.into_inner()
}

impl Target for Pictures {
    fn name(&self) -> &'static str {
        "pictures"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let rgb = RgbImage::from_fn(19, 13, |x, y| Rgb([x as u8 * 9, y as u8 * 7, 90]));
        let grey = GrayImage::from_fn(9, 17, |x, y| Luma([(x * y) as u8]));
        let alpha = RgbaImage::from_fn(8, 8, |x, y| Rgba([x as u8, y as u8, 7, (x * 30) as u8]));
        // TIFFs of every kind, which `image` does not write here.
        let golden: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../../golden/pictures.json")).expect("the script wrote it");
        let text = |case: &serde_json::Value, key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let tiffs = golden.iter().filter(|case| text(case, "name").starts_with("tiff")).map(|case| {
            let hex = text(case, "file");
            let digit = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).expect("two digits");
            (0..hex.len()).step_by(2).map(digit).collect()
        });
        let wide = ImageBuffer::from_fn(5, 5, |x, y| Rgb([x as u16 * 999, y as u16 * 777, 60_000]));
        let mut corpus = vec![
            encoded(rgb.clone(), ImageFormat::WebP),
            encoded(alpha.clone(), ImageFormat::WebP),
            encoded(rgb.clone(), ImageFormat::Bmp),
            encoded(alpha.clone(), ImageFormat::Bmp),
            encoded(alpha.clone(), ImageFormat::Gif),
            encoded(rgb.clone(), ImageFormat::Pnm),
            encoded(rgb.clone(), ImageFormat::Jpeg),
            encoded(grey.clone(), ImageFormat::Jpeg),
            encoded(rgb, ImageFormat::Png),
            encoded(grey, ImageFormat::Png),
            encoded(alpha, ImageFormat::Png),
            encoded(DynamicImage::from(wide), ImageFormat::Png),
        ];
        corpus.extend(tiffs);
        corpus
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let words: [&[u8]; 24] = [
            b"IHDR",
            b"IDAT",
            b"IEND",
            b"PLTE",
            b"tRNS",
            b"iCCP",
            b"zTXt",
            b"eXIf",
            b"acTL",
            b"\xff\xd8",
            b"\xff\xd9",
            b"\xff\xda",
            b"\xff\xc2",
            b"\xff\xe1",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"RIFF",
            b"WEBP",
            b"VP8X",
            b"VP8L",
            b"ANMF",
            b"GIF89a",
            b"BM",
        ];
        words.iter().map(|word| word.to_vec()).collect()
    }

    fn bound(&self) -> usize {
        decode::MOST_MEMORY as usize
    }

    fn catches_panics(&self) -> bool {
        true
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        match decode::decode(input) {
            Ok(picture) if picture.data.len() == 3 * picture.width * picture.height => Ok(Fate::Taken),
            Ok(_) => Err("planes of another size than the picture".to_owned()),
            Err(reason) if reason.is_empty() => Err("refused without a reason".to_owned()),
            Err(_) => Ok(Fate::Refused),
        }
    }
}
