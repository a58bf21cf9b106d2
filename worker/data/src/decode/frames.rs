//! Whether a file has more than one picture, of which only the first is read.

/// Returns whether a GIF has more than one frame. A damaged file has as many as can be found.
pub(super) fn gif_has_several(bytes: &[u8]) -> bool {
    let byte = |at: usize| bytes.get(at).copied();
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let Some(flags) = byte(10) else { return false };
    let (mut at, mut frames) = (13 + table(flags), 0);
    loop {
        match byte(at) {
            // An image: its descriptor, its colours, the size of its codes, its data.
            Some(0x2c) => {
                frames += 1;
                let Some(flags) = byte(at + 9) else { break };
                at += 11 + table(flags);
            }
            // An extension: its label, its data.
            Some(0x21) => at += 2,
            _ => break,
        }
        // Data are blocks, each with its length, up to an empty one.
        loop {
            match byte(at) {
                Some(0) => break at += 1,
                Some(length) => at += 1 + usize::from(length),
                None => return frames > 1,
            }
        }
    }
    frames > 1
}

/// Returns whether a WebP file is an animation.
pub(super) fn webp_has_several(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::{Frame, RgbaImage};

    use super::*;

    #[test]
    fn frames_of_a_gif_are_counted() {
        for frames in 1..4usize {
            let mut bytes = Vec::new();
            let mut encoder = GifEncoder::new(&mut bytes);
            let frame = |i: usize| Frame::new(RgbaImage::from_pixel(5, 4, image::Rgba([40 * i as u8, 9, 9, 255])));
            encoder.encode_frames((0..frames).map(frame)).expect("a GIF");
            drop(encoder);
            assert_eq!(gif_has_several(&bytes), frames > 1);
            (0..bytes.len()).for_each(|length| _ = gif_has_several(&bytes[..length]));
        }
    }
}
