//! Decodes JPEG and PNG files to planes of bytes.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Largest width and height, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The largest file, in bytes.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// Memory limit of decoding one picture, in bytes. A picture whose header asks for more is refused.
pub const MOST_MEMORY: u64 = 512 << 20;

/// A decoded picture.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    /// `[3, height, width]`.
    pub data: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Decodes a JPEG or PNG file (recognised by content, not by name) to RGB as a viewer shows it: turned by its EXIF
/// orientation, with transparent areas on white, 16 bits rounded to 8, and grey in all three channels.
///
/// # Errors
/// Why the file cannot be decoded, without its path.
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    // A panic of the decoder on a damaged file must not hide the file's name.
    catch_unwind(AssertUnwindSafe(|| decode_guarded(bytes))).unwrap_or_else(|_| Err("the decoder failed on it".into()))
}

fn decode_guarded(bytes: &[u8]) -> Result<Picture, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        // The decoder fills the missing part of a truncated file with grey.
        Some(ImageFormat::Jpeg) if reaches_end_of_jpeg(bytes) => {}
        Some(ImageFormat::Jpeg) => return Err("the JPEG ends before the picture does".into()),
        Some(other) => return Err(format!("it is a {other:?} file, expected JPEG or PNG")),
        None => return Err("it is neither JPEG nor PNG".into()),
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let format = reader.format();
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let orientation = decoder.orientation().map_err(|error| error.to_string())?;
    if memory(&decoder, format, orientation) > MOST_MEMORY {
        let (width, height) = decoder.dimensions();
        return Err(format!("its {width} × {height} pixels need more than {} MiB", MOST_MEMORY >> 20));
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    Ok(planes(picture))
}

/// Returns the largest number of bytes that decoding takes at a time: the decoded pixels, and the memory of the largest
/// step.
fn memory(decoder: &impl ImageDecoder, format: Option<ImageFormat>, orientation: Orientation) -> u64 {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoded = decoder.total_bytes();
    // A progressive JPEG keeps all coefficients of three channels, two bytes each, until the last scan.
    let coefficients = if format == Some(ImageFormat::Jpeg) { 6 * pixels } else { 0 };
    let turned = if orientation == Orientation::NoTransforms { 0 } else { decoded };
    let color = decoder.color_type();
    let converted = match color {
        ColorType::Rgb8 => 0,
        _ if color.has_alpha() => 4 * pixels,
        _ => 3 * pixels,
    };
    decoded + coefficients.max(turned).max(converted + 3 * pixels)
}

fn planes(picture: DynamicImage) -> Picture {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut data = vec![0; 3 * width * height];
    let (red, rest) = data.split_at_mut(width * height);
    let (green, blue) = rest.split_at_mut(width * height);
    let targets = red.iter_mut().zip(green).zip(blue);
    if picture.color().has_alpha() {
        let on_white = |value: u8, alpha: u8| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        for (((red, green), blue), pixel) in targets.zip(picture.into_rgba8().pixels()) {
            let [r, g, b, alpha] = pixel.0;
            (*red, *green, *blue) = (on_white(r, alpha), on_white(g, alpha), on_white(b, alpha));
        }
    } else {
        for (((red, green), blue), pixel) in targets.zip(picture.into_rgb8().pixels()) {
            [*red, *green, *blue] = pixel.0;
        }
    }
    Picture { data, height, width }
}

/// Returns whether the markers of a JPEG lead to its end-of-image marker (ITU-T T.81, annex B).
fn reaches_end_of_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            (0xff, 0xd9) => return true,
            // Padding before a marker.
            (0xff, 0xff) => at += 1,
            // In coded data: a stuffed byte, a restart marker, and markers without a segment.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some([high, low]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => return false,
            },
            // Coded data.
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).expect("a picture that can be written");
        bytes.into_inner()
    }

    #[test]
    fn every_kind_of_pixel_becomes_rgb_planes() {
        let rgb = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 200]));
        let want = Picture {
            data: vec![0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 200, 200, 200, 200, 200, 200],
            height: 2,
            width: 3,
        };
        assert_eq!(decode(&encoded(rgb, ImageFormat::Png)).as_ref(), Ok(&want));
        let one = |picture: DynamicImage| decode(&encoded(picture, ImageFormat::Png)).expect("a picture").data;
        assert_eq!(one(RgbaImage::from_pixel(1, 1, Rgba([100, 0, 255, 0])).into()), [255, 255, 255]);
        assert_eq!(one(RgbaImage::from_pixel(1, 1, Rgba([100, 0, 255, 128])).into()), [177, 127, 255]);
        assert_eq!(one(GrayImage::from_pixel(1, 1, Luma([9])).into()), [9, 9, 9]);
        assert_eq!(one(ImageBuffer::from_pixel(1, 1, Rgb([257u16, 65535, 0])).into()), [1, 255, 0]);
    }

    #[test]
    fn jpeg_decodes_closely_and_truncation_is_seen() {
        let whole =
            encoded(RgbImage::from_fn(40, 24, |x, y| Rgb([(6 * x) as u8, (10 * y) as u8, 90])), ImageFormat::Jpeg);
        let picture = decode(&whole).expect("a picture");
        assert_eq!((picture.height, picture.width), (24, 40));
        assert!(picture.data[40 * 12 + 20].abs_diff(120) < 12, "{}", picture.data[40 * 12 + 20]);
        for length in [whole.len() - 2, whole.len() / 2, 30, 2] {
            assert!(decode(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(decode(b"").is_err());
        assert!(decode(b"GIF89a some bytes").expect_err("a GIF").contains("Gif"));
        let mut png = encoded(RgbImage::new(8, 8), ImageFormat::Png);
        // Changes the width in the header; its checksum is then wrong too.
        png[16] = 0x7f;
        assert!(decode(&png).is_err());
        let wide = encoded(GrayImage::new(MAX_SIDE + 1, 1), ImageFormat::Png);
        assert!(decode(&wide).is_err());
    }
}
