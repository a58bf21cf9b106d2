//! Decodes picture files to planes of bytes. Their content decides the format, never their names.

mod foreign;
mod frames;
#[cfg(test)]
mod golden;
mod jpeg;
mod picture;
mod tiff;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

pub(crate) use picture::MAX_BYTES;
use picture::{MAX_SIDE, on_white, too_large};
pub use picture::{MOST_MEMORY, Picture};

/// Raised by hand whenever a file may decode to other pixels, or to none: what was learnt before is then learnt again.
pub(crate) const VERSION: u32 = 1;

/// The formats that are read, for messages.
pub const FORMATS: &str = "JPEG, PNG, TIFF, WebP, BMP, GIF and PNM";

/// A picture with what its file says about it.
#[derive(Debug)]
pub struct Decoded {
    /// The picture; the first one, if the file has several.
    pub picture: Picture,
    /// The name of its format.
    pub format: &'static str,
    /// Whether the file has further pages or frames, which are not read.
    pub several: bool,
}

/// Decodes a file of one of [`FORMATS`] (recognised by content, not by name) to RGB as a viewer shows it: turned by its
/// EXIF orientation, with transparent areas on white, 16 bits rounded to 8, floats from 0 to 1, and grey in all three
/// channels. Of several pages or frames, the first is read.
///
/// # Errors
/// Why the file cannot be decoded, without its path.
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    read(bytes).map(|decoded| decoded.picture)
}

/// Decodes like [`decode`], and returns what the file says beside the picture.
///
/// # Errors
/// Why the file cannot be decoded, without its path.
pub fn read(bytes: &[u8]) -> Result<Decoded, String> {
    // A panic of the decoder on a damaged file must not hide the file's name.
    catch_unwind(AssertUnwindSafe(|| read_guarded(bytes))).unwrap_or_else(|_| Err("the decoder failed on it".into()))
}

/// Returns whether `head`, the beginning of a file, is that of a picture, readable here or not. Formats with a mark of
/// two characters do not count: a text may begin with them.
pub(crate) fn is_picture(head: &[u8]) -> bool {
    let short = [ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Ico];
    let own = image::guess_format(head).is_ok_and(|format| !short.contains(&format));
    own || tiff::is_tiff(head) || foreign::is_picture(head)
}

/// Bytes of a file that [`is_picture`] needs.
pub(crate) const HEAD: u64 = 132;

fn read_guarded(bytes: &[u8]) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    if let Some(sentence) = foreign::advice(bytes) {
        return Err(sentence);
    }
    if tiff::is_tiff(bytes) {
        let page = tiff::first_page(bytes)?;
        let mut pixels = DynamicImage::from(page.pixels);
        pixels.apply_orientation(page.orientation);
        return Ok(Decoded { picture: planes(pixels), format: "TIFF", several: page.several });
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let (name, several) = match reader.format() {
        Some(ImageFormat::Png) => ("PNG", false),
        // The decoder fills the missing part of a truncated file with grey.
        Some(ImageFormat::Jpeg) if jpeg::reaches_end(bytes) => ("JPEG", false),
        Some(ImageFormat::Jpeg) => return Err("the JPEG ends before the picture does".into()),
        Some(ImageFormat::WebP) => ("WebP", frames::webp_has_several(bytes)),
        Some(ImageFormat::Gif) => ("GIF", frames::gif_has_several(bytes)),
        Some(ImageFormat::Bmp) => ("BMP", false),
        Some(ImageFormat::Pnm) => ("PNM", false),
        Some(other) => return Err(format!("it is a {other:?} file, expected one of {FORMATS}")),
        None => return Err(format!("its content is none of {FORMATS}")),
    };
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let format = reader.format();
    reader.limits(limits);
    let failed = |error: ImageError| why(name, &error);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?;
    if memory(&decoder, format, orientation) > MOST_MEMORY {
        let (width, height) = decoder.dimensions();
        return Err(too_large(width, height));
    }
    let mut pixels = DynamicImage::from_decoder(decoder).map_err(failed)?;
    pixels.apply_orientation(orientation);
    Ok(Decoded { picture: planes(pixels), format: name, several })
}

/// Returns why a file of the format `name` cannot be decoded. The decoders' own words are for programmers, and come last.
fn why(name: &str, error: &ImageError) -> String {
    match error {
        ImageError::Decoding(error) => {
            let said = error.to_string();
            let said = said.split_once(": ").map_or(said.as_str(), |(_, said)| said);
            format!("the {name} is damaged or ends too early ({said})")
        }
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!("the {name} ends before the picture does")
        }
        other => other.to_string(),
    }
}

/// Returns the largest number of bytes that decoding takes at a time: the decoded pixels, and the memory of the largest
/// step.
fn memory(decoder: &impl ImageDecoder, format: Option<ImageFormat>, orientation: Orientation) -> u64 {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoded = decoder.total_bytes();
    let own = match format {
        // A progressive JPEG keeps all coefficients of three channels, two bytes each, until the last scan.
        Some(ImageFormat::Jpeg) => 6 * pixels,
        // The frame before it is laid on the canvas, and the planes or the transforms of WebP.
        Some(ImageFormat::Gif | ImageFormat::Pnm) => decoded,
        Some(ImageFormat::WebP) => 8 * pixels,
        _ => 0,
    };
    let turned = if orientation == Orientation::NoTransforms { 0 } else { decoded };
    let color = decoder.color_type();
    let converted = match color {
        ColorType::Rgb8 => 0,
        _ if color.has_alpha() => 4 * pixels,
        _ => 3 * pixels,
    };
    decoded + own.max(turned).max(converted + 3 * pixels)
}

fn planes(pixels: DynamicImage) -> Picture {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    if pixels.color().has_alpha() {
        let pixels = pixels.into_rgba8();
        Picture::of(
            width,
            height,
            pixels.pixels().map(|pixel| on_white([pixel.0[0], pixel.0[1], pixel.0[2]], pixel.0[3])),
        )
    } else {
        let pixels = pixels.into_rgb8();
        Picture::of(width, height, pixels.pixels().map(|pixel| pixel.0))
    }
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
        assert!(decode(b"GIF89a some bytes").is_err());
        assert!(decode(b"what is this").expect_err("a text").contains("JPEG, PNG, TIFF"));
        let mut png = encoded(RgbImage::new(8, 8), ImageFormat::Png);
        // Changes the width in the header; its checksum is then wrong too.
        png[16] = 0x7f;
        let damaged = decode(&png).expect_err("a wrong checksum");
        assert!(damaged.starts_with("the PNG is damaged") && !damaged.contains("Format error"), "{damaged}");
        let wide = encoded(GrayImage::new(MAX_SIDE + 1, 1), ImageFormat::Png);
        assert!(decode(&wide).is_err());
    }
}
