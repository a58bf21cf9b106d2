//! Formats that are recognised but not read, each with the advice that leads to one that is.

/// Returns the format of `bytes` and what to do, if it is one that cannot be read here.
pub(super) fn advice(bytes: &[u8]) -> Option<String> {
    let known = |name: &str, how: &str| Some(format!("it is {name}, which is not read here: {how}"));
    let at = |offset: usize, mark: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    if at(4, b"ftyp") {
        let brand = bytes.get(8..12).unwrap_or_default();
        return match brand {
            b"avif" | b"avis" => known("an AVIF file", "convert it to PNG, for example with `avifdec IN.avif OUT.png`"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => {
                known("a HEIC file", "convert it to JPEG, for example with `heif-convert IN.heic OUT.jpg`")
            }
            _ => known("a video or another file of the MP4 family", "extract frames with `ffmpeg -i IN OUT-%04d.png`"),
        };
    }
    let image_magick = "convert it to PNG, for example with `magick IN OUT.png`";
    if at(128, b"DICM") {
        return known(
            "a DICOM file",
            "choose the window of values and convert it to PNG, for example with `dcm2img IN OUT.png`",
        );
    }
    if at(0, b"\0\0\0\x0cjP  ") || at(0, b"\xff\x4f\xff\x51") {
        return known("a JPEG 2000 file", "convert it to PNG, for example with `opj_decompress -i IN -o OUT.png`");
    }
    if at(0, b"\xff\x0a") || at(0, b"\0\0\0\x0cJXL ") {
        return known("a JPEG XL file", "convert it to PNG, for example with `djxl IN OUT.png`");
    }
    if at(0, b"%PDF") {
        return known("a PDF file", "convert its pages, for example with `pdftoppm -png IN OUT`");
    }
    if at(0, b"n+1\0") || at(344, b"n+1\0") {
        return known("a NIfTI volume", "write its slices as PNG files");
    }
    let plain: [(&[u8], &str); 7] = [
        (b"8BPS", "a Photoshop file"),
        (b"\x76\x2f\x31\x01", "an OpenEXR file"),
        (b"#?RADIANCE", "a Radiance HDR file"),
        (b"DDS ", "a DDS texture"),
        (b"qoif", "a QOI file"),
        (b"farbfeld", "a farbfeld file"),
        (b"\0\0\x01\0", "an icon"),
    ];
    if let Some((_, name)) = plain.iter().find(|(mark, _)| at(0, mark)) {
        return known(name, image_magick);
    }
    let archives: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"CDF\x01", "a NetCDF file"),
        (b"Rar!", "a RAR archive"),
    ];
    if let Some((_, name)) = archives.iter().find(|(mark, _)| at(0, mark)) {
        return known(name, "put the pictures in it beside it, or move it out of the class folder");
    }
    // What a server sends in place of a picture.
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let begins = |mark: &str| text.get(..mark.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(mark.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return Some("it is an HTML page, not a picture: the download failed, get it again or remove it".to_owned());
    }
    if begins("<svg") || (begins("<?xml") && contains(text, b"<svg")) {
        return known("an SVG drawing", "convert it to PNG, for example with `rsvg-convert IN -o OUT.png`");
    }
    if begins("version https://git-lfs") {
        return Some("it is a pointer of Git LFS, not the picture: run `git lfs pull`".to_owned());
    }
    if bytes.first().is_some_and(|first| bytes.iter().all(|byte| byte == first)) {
        return Some(format!("all its {} bytes are equal: the copy or the disk failed, get it again", bytes.len()));
    }
    None
}

/// Returns whether `head`, the beginning of a file, is that of a picture in a format that is not read here.
pub(super) fn is_picture(head: &[u8]) -> bool {
    let at = |offset: usize, mark: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    let brands: [&[u8]; 9] = [b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"];
    let is_heif = at(4, b"ftyp") && brands.iter().any(|brand| at(8, brand));
    is_heif || at(128, b"DICM") || at(0, b"\0\0\0\x0cjP  ") || at(0, b"\0\0\0\x0cJXL ") || at(0, b"8BPS")
}

/// Returns what a TIFF of a slide scanner is called, if `bytes` is one. Its first page is only an overview.
pub(super) fn slide(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(64 << 10)).unwrap_or_default();
    let tail = bytes.get(bytes.len().saturating_sub(64 << 10)..).unwrap_or_default();
    let marks: [(&[u8], &str); 4] = [
        (b"Aperio ", "an Aperio slide (.svs)"),
        (b"Hamamatsu", "a Hamamatsu slide (.ndpi)"),
        (b"http://www.leica-microsystems.com/scn", "a Leica slide (.scn)"),
        (b"<iScan", "a Ventana slide (.bif)"),
    ];
    let found = marks.iter().find(|(mark, _)| contains(head, mark) || contains(tail, mark));
    found.map(|(_, name)| {
        format!("it is {name}, a picture of many levels: cut it into tiles first, for example with OpenSlide's deepzoom or `vips dzsave`")
    })
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_by_its_name() {
        let padded = |offset: usize, mark: &[u8]| [vec![0; offset], mark.to_vec()].concat();
        let cases: [(Vec<u8>, &str); 8] = [
            (padded(4, b"ftypheic\0\0\0\0"), "heif-convert"),
            (padded(4, b"ftypavif\0\0\0\0"), "AVIF"),
            (padded(4, b"ftypisom\0\0\0\0"), "ffmpeg"),
            (padded(128, b"DICM\x02"), "DICOM"),
            (b"\n <!DOCTYPE HTML><html>".to_vec(), "HTML page"),
            (b"<?xml version='1.0'?><svg/>".to_vec(), "SVG"),
            (b"version https://git-lfs.github.com/spec/v1".to_vec(), "git lfs pull"),
            (vec![0; 100], "all its 100 bytes are equal"),
        ];
        for (bytes, expected) in cases {
            let sentence = advice(&bytes).unwrap_or_default();
            assert!(sentence.contains(expected), "{expected}: {sentence}");
        }
        assert_eq!(advice(b"what is this"), None);
        assert_eq!(advice(b""), None);
        assert!(slide(&padded(300, b"Aperio Image Library v11")).is_some_and(|sentence| sentence.contains(".svs")));
        assert_eq!(slide(b"II*\0"), None);
    }
}
