//! The markers of JPEG (ITU-T T.81, annex B), which say more than the decoder does.

/// Returns whether the markers of a JPEG lead to its end-of-image marker.
pub(super) fn reaches_end(bytes: &[u8]) -> bool {
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

/// Returns the largest width and height that a frame header before the coded data states.
pub(super) fn largest_frame(bytes: &[u8]) -> Option<(u16, u16)> {
    let (mut at, mut found) = (2, None);
    while let Some([0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 | 0xda => break,
            _ => {
                let segment = bytes.get(at + 2..at + 4)?;
                // Frame headers are C0 to CF, without tables (C4), extensions (C8) and conditioning (CC).
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    let size = bytes.get(at + 5..at + 9)?;
                    let (height, width) =
                        (u16::from_be_bytes([size[0], size[1]]), u16::from_be_bytes([size[2], size[3]]));
                    let (w, h) = found.unwrap_or_default();
                    found = Some((width.max(w), height.max(h)));
                }
                at += 2 + usize::from(u16::from_be_bytes([segment[0], segment[1]]));
            }
        }
    }
    found
}
