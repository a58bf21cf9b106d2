//! Reads the first page of a TIFF: grey, palette, RGB, CMYK and YCbCr, in strips, tiles or planes.

use std::borrow::Cow;
use std::io::Cursor;

use image::RgbImage;
use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::{BufferLayoutPreference, ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::{PhotometricInterpretation, Predictor, Tag};

use super::foreign;
use super::jpeg::{largest_frame, reaches_end};
use super::picture::{MAX_SIDE, MOST_MEMORY, on_white, too_large};

/// Most bytes of a row of a strip or tile.
const MAX_ROW: u64 = 64 << 20;
/// Value of the tag `Compression` for JPEG.
const JPEG: u16 = 7;
/// Values of the tag `ExtraSamples`: colours multiplied by alpha, and alpha beside plain colours.
const MULTIPLIED: u16 = 1;
const ALPHA: u16 = 2;

/// The first page of a file.
pub(super) struct Page {
    pub(super) pixels: RgbImage,
    pub(super) orientation: Orientation,
    /// Whether the file has further pages.
    pub(super) several: bool,
}

type Reader<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

/// Decodes the first page of `bytes`.
pub(super) fn first_page(bytes: &[u8]) -> Result<Page, String> {
    if let Some(sentence) = foreign::slide(bytes) {
        return Err(sentence);
    }
    let (content, with_palette) = readable(bytes);
    let plain = |error: tiff::TiffError| error.to_string();
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MOST_MEMORY as usize;
    limits.intermediate_buffer_size = MOST_MEMORY as usize;
    let mut reader = Decoder::new(Cursor::new(content)).map_err(plain)?.with_limits(limits);
    let (width, height) = reader.dimensions().map_err(plain)?;
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!("its {width} × {height} pixels are more than {MAX_SIDE} on a side"));
    }
    let header = Header::read(&mut reader, with_palette)?;
    let layout = reader.image_buffer_layout().map_err(plain)?;
    let pixels = u64::from(width) * u64::from(height);
    let memory = (layout.complete_len as u64 + pixels * header.channels as u64).max(9 * pixels) + 3 * pixels;
    if memory > MOST_MEMORY {
        return Err(too_large(width, height));
    }
    check_chunks(bytes, &mut reader)?;
    let mut result = DecodingResult::U8(Vec::new());
    reader.read_image_to_buffer(&mut result).map_err(plain)?;
    let samples = samples(result, &layout, &header, width as usize)?;
    let colors = header.kind.colors(&mut reader)?;
    let count = pixels as usize;
    let mut pixels = RgbImage::new(width, height);
    let mut pixel = [0; 5];
    for (index, out) in pixels.pixels_mut().enumerate() {
        for (channel, value) in pixel[..header.channels].iter_mut().enumerate() {
            let place = if layout.planes > 1 { channel * count + index } else { index * header.channels + channel };
            *value = samples[place];
        }
        out.0 = colors.of(pixel);
    }
    let orientation = reader.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    Ok(Page { pixels, orientation, several: reader.more_images() })
}

/// Returns whether `bytes` begin as a TIFF or a BigTIFF.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| bytes.starts_with(mark))
}

/// What the channels of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Grey,
    /// Grey and alpha; see [`Alpha`].
    GreyAlpha(Alpha),
    /// Indices with so many bits into the tag `ColorMap`.
    Palette(u8),
    Rgb,
    RgbAlpha(Alpha),
    Cmyk,
    YCbCr,
}

/// Whether the colours are multiplied by alpha.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Alpha {
    Multiplied,
    Plain,
    /// It is no alpha: the sample means something else, and is left out.
    None,
}

struct Header {
    kind: Kind,
    channels: usize,
    bits: u8,
}

impl Header {
    fn read(reader: &mut Reader<'_>, with_palette: bool) -> Result<Self, String> {
        let color = reader.colortype().map_err(|error| error.to_string())?;
        let extra: Vec<u16> = reader.find_tag_unsigned_vec(Tag::ExtraSamples).ok().flatten().unwrap_or_default();
        let stored: u16 = reader.find_tag_unsigned(Tag::SamplesPerPixel).ok().flatten().unwrap_or(1);
        let alpha = match extra.first() {
            Some(&MULTIPLIED) => Alpha::Multiplied,
            Some(&ALPHA) => Alpha::Plain,
            _ => Alpha::None,
        };
        let (kind, channels, bits) = match color {
            ColorType::Gray(bits) if with_palette => (Kind::Palette(bits), 1, bits),
            ColorType::Gray(bits) => (Kind::Grey, 1, bits),
            ColorType::Multiband { bit_depth, num_samples: 2 } if !with_palette => {
                (Kind::GreyAlpha(alpha), 2, bit_depth)
            }
            ColorType::RGB(bits) => (Kind::Rgb, 3, bits),
            ColorType::RGBA(bits) => (Kind::RgbAlpha(alpha), 4, bits),
            ColorType::CMYK(bits) => (Kind::Cmyk, 4, bits),
            ColorType::CMYKA(bits) => (Kind::Cmyk, 5, bits),
            ColorType::YCbCr(bits) => (Kind::YCbCr, 3, bits),
            ColorType::Multiband { num_samples, .. } => {
                return Err(format!(
                    "it has {num_samples} channels, which are neither grey nor RGB: write the channels to use as RGB"
                ));
            }
            other => return Err(format!("its colours are {other:?}: convert it to RGB")),
        };
        let row = u64::from(reader.chunk_dimensions().0) * u64::from(bits) * u64::from(stored) / 8;
        if stored > 64 || row > MAX_ROW {
            return Err(format!("its rows have {row} bytes, more than {} MiB", MAX_ROW >> 20));
        }
        let predictor: Option<u16> = reader.find_tag_unsigned(Tag::Predictor).ok().flatten();
        if predictor.is_some_and(|value| value != Predictor::None as u16) && usize::from(stored) != channels {
            return Err(
                "it has more samples than colours, and differences between them: write it without a predictor".into()
            );
        }
        let in_bytes = kind == Kind::Grey || matches!(kind, Kind::Palette(_));
        match bits {
            8 | 16 | 32 | 64 => {}
            1 | 2 | 4 if in_bytes => {}
            _ => return Err(format!("its samples have {bits} bits: write 8 or 16")),
        }
        if matches!(kind, Kind::Palette(_) | Kind::YCbCr) && bits > 8 {
            return Err(format!(
                "its samples have {bits} bits, which its colours are not read with: convert it to RGB"
            ));
        }
        Ok(Self { kind, channels, bits })
    }
}

/// From the samples of a pixel to its colour.
enum Colors {
    Grey(Alpha),
    Palette(Vec<[u8; 3]>),
    Rgb(Alpha),
    Cmyk,
    YCbCr,
}

impl Kind {
    fn colors(self, reader: &mut Reader<'_>) -> Result<Colors, String> {
        Ok(match self {
            Kind::Grey => Colors::Grey(Alpha::None),
            Kind::GreyAlpha(alpha) => Colors::Grey(alpha),
            Kind::Rgb => Colors::Rgb(Alpha::None),
            Kind::RgbAlpha(alpha) => Colors::Rgb(alpha),
            Kind::Cmyk => Colors::Cmyk,
            Kind::YCbCr => Colors::YCbCr,
            Kind::Palette(bits) => {
                let map = reader.get_tag_u16_vec(Tag::ColorMap).map_err(|error| error.to_string())?;
                let colors = 1usize << bits;
                if map.len() != 3 * colors {
                    return Err(format!("its palette has {} numbers, expected {}", map.len(), 3 * colors));
                }
                // Some writers store bytes where 16 bits belong.
                let narrow = map.iter().all(|value| *value < 256);
                let byte = |value: u16| if narrow { value as u8 } else { (value >> 8) as u8 };
                Colors::Palette((0..colors).map(|i| [0, 1, 2].map(|c| byte(map[c * colors + i]))).collect())
            }
        })
    }
}

impl Colors {
    fn of(&self, pixel: [u8; 5]) -> [u8; 3] {
        let [a, b, c, d, _] = pixel;
        let mixed = |color: [u8; 3], value: u8, alpha: Alpha| match alpha {
            Alpha::None => color,
            Alpha::Plain => on_white(color, value),
            Alpha::Multiplied => color.map(|part| part.saturating_add(255 - value)),
        };
        match self {
            Colors::Grey(alpha) => mixed([a; 3], b, *alpha),
            Colors::Palette(colors) => colors.get(usize::from(a)).copied().unwrap_or_default(),
            Colors::Rgb(alpha) => mixed([a, b, c], d, *alpha),
            Colors::Cmyk => [a, b, c].map(|ink| {
                let light = u32::from(255 - ink) * u32::from(255 - d);
                ((light + 127) / 255) as u8
            }),
            Colors::YCbCr => from_ycbcr([a, b, c]),
        }
    }
}

/// Converts by ITU-R BT.601 with the full range, as JPEG does.
fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

/// Returns the samples as bytes, without padding between rows.
fn samples(
    result: DecodingResult,
    layout: &BufferLayoutPreference,
    header: &Header,
    width: usize,
) -> Result<Vec<u8>, String> {
    let palette = matches!(header.kind, Kind::Palette(_));
    match result {
        DecodingResult::U8(bytes) if header.bits == 8 => Ok(bytes),
        DecodingResult::U8(bytes) => {
            let stride = layout.row_stride.map_or(1, usize::from);
            let (bits, most) = (usize::from(header.bits), (1u32 << header.bits) - 1);
            let sample = |row: &[u8], column: usize| {
                let shift = 8 - bits - column * bits % 8;
                let value = (u32::from(row[column * bits / 8]) >> shift) & most;
                if palette { value as u8 } else { (value * 255 / most) as u8 }
            };
            Ok(bytes.chunks_exact(stride).flat_map(|row| (0..width).map(move |column| sample(row, column))).collect())
        }
        DecodingResult::U16(words) => Ok(words.into_iter().map(|word| ((u32::from(word) + 128) / 257) as u8).collect()),
        DecodingResult::F16(values) => floats(values.iter().map(|value| f64::from(value.to_f32()))),
        DecodingResult::F32(values) => floats(values.iter().map(|value| f64::from(*value))),
        DecodingResult::F64(values) => floats(values.iter().copied()),
        DecodingResult::U32(_) | DecodingResult::U64(_) => {
            Err(format!("its samples are integers of {} bits, whose white is unknown: write 8 or 16 bits", header.bits))
        }
        DecodingResult::I8(_) | DecodingResult::I16(_) | DecodingResult::I32(_) | DecodingResult::I64(_) => {
            Err("its samples are signed integers, whose black and white are unknown: write 8 or 16 bits without sign"
                .into())
        }
    }
}

/// Returns floats from 0 (black) to 1 (white) as bytes. Other ranges have no agreed meaning.
fn floats(values: impl Iterator<Item = f64> + Clone) -> Result<Vec<u8>, String> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.clone() {
        if !value.is_finite() {
            return Err("it has floats that are infinite or not a number: write values from 0 to 1".into());
        }
        (least, most) = (least.min(value), most.max(value));
    }
    if least < 0.0 || most > 1.0 {
        return Err(format!(
            "its floats reach from {least} to {most}: scale them to values from 0 (black) to 1 (white), or write 8 or 16 bits"
        ));
    }
    Ok(values.map(|value| (value * 255.0).round() as u8).collect())
}

/// Checks JPEG strips and tiles: the decoder trusts their headers, and fills what is missing with grey.
fn check_chunks(bytes: &[u8], reader: &mut Reader<'_>) -> Result<(), String> {
    let compression: Option<u16> = reader.find_tag_unsigned(Tag::Compression).ok().flatten();
    if compression != Some(JPEG) {
        return Ok(());
    }
    let (offsets, lengths) = match reader.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let mut numbers = |tag| reader.get_tag_u64_vec(tag).map_err(|error| error.to_string());
    let (offsets, lengths) = (numbers(offsets)?, numbers(lengths)?);
    let tables = reader.find_tag(Tag::JPEGTables).ok().flatten().and_then(|value| value.into_u8_vec().ok());
    let (width, height) = reader.chunk_dimensions();
    let height = height.min(MAX_SIDE);
    let too_large =
        |jpeg: &[u8]| largest_frame(jpeg).is_some_and(|(w, h)| u32::from(w) > width + 15 || u32::from(h) > height + 15);
    if tables.is_some_and(|tables| too_large(&tables)) {
        return Err("the JPEG in it is larger than its header says".into());
    }
    for (offset, length) in offsets.into_iter().zip(lengths) {
        let end = offset.saturating_add(length);
        let chunk =
            usize::try_from(offset).ok().zip(usize::try_from(end).ok()).and_then(|(from, to)| bytes.get(from..to));
        match chunk {
            Some(jpeg) if too_large(jpeg) => return Err("the JPEG in it is larger than its header says".into()),
            Some(jpeg) if reaches_end(jpeg) => {}
            _ => return Err("the TIFF ends before the picture does".into()),
        }
    }
    Ok(())
}

/// Returns the file as the decoder reads it, and whether its pixels are indices. The decoder has no palettes: such a
/// file is read as grey with the same bits.
fn readable(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    match palette_tag(bytes) {
        Some(place) => {
            let mut content = bytes.to_vec();
            content[place.value..place.value + 2].copy_from_slice(&place.grey);
            (Cow::Owned(content), true)
        }
        None => (Cow::Borrowed(bytes), false),
    }
}

/// The value of a tag in a file, and the bytes that say grey there.
struct Place {
    value: usize,
    grey: [u8; 2],
}

/// Returns where the first page says that its pixels are indices.
fn palette_tag(bytes: &[u8]) -> Option<Place> {
    let small = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| -> Option<u64> {
        let part = bytes.get(at..at.checked_add(length)?)?;
        let next = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if small { part.iter().rev().fold(0, next) } else { part.iter().fold(0, next) })
    };
    let big = number(2, 2)? == 43;
    let (directory, counted, entry, value) = if big { (number(8, 8)?, 8, 20, 12) } else { (number(4, 4)?, 2, 12, 8) };
    let directory = usize::try_from(directory).ok()?;
    let entries = number(directory, counted)?.min(4096) as usize;
    let begin = directory.checked_add(counted)?;
    for at in (0..entries).map(|i| begin.checked_add(entry * i)) {
        let at = at?;
        if number(at, 2)? == u64::from(Tag::PhotometricInterpretation.to_u16()) {
            let place = at.checked_add(value)?;
            let palette = PhotometricInterpretation::RGBPalette as u64;
            let grey = PhotometricInterpretation::BlackIsZero as u16;
            let grey = if small { grey.to_le_bytes() } else { grey.to_be_bytes() };
            return (number(place, 2)? == palette).then_some(Place { value: place, grey });
        }
    }
    None
}
