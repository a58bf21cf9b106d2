//! Image folders of artificial pictures.

use std::fs;
use std::path::Path;

/// Writes `root/PART/CLASS/N.png` with `count` small pictures a class. Each is a bright disc whose place depends on the
/// class, on a gradient that shows which side is up. A pixel in the corner makes every picture different.
pub fn image_folder(root: &Path, part: &str, classes: &[&str], count: usize) {
    for (label, class) in classes.iter().enumerate() {
        let folder = root.join(part).join(class);
        fs::create_dir_all(&folder).expect("a writable folder");
        for n in 0..count {
            let picture = image::RgbImage::from_fn(20, 20, |x, y| {
                if (x, y) == (0, 0) {
                    return image::Rgb([n as u8, label as u8, part.len() as u8]);
                }
                let (cx, cy) = (5 + 9 * (label as i64 % 2), 5 + (n as i64 % 3));
                let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
                let disc = if dx * dx + dy * dy < 16 { 120 } else { 0 };
                let noise = ((x * 7 + y * 13 + n as u32 * 29) % 23) as u8;
                image::Rgb([disc + noise, (y * 6) as u8 + noise, 60 + noise])
            });
            picture.save(folder.join(format!("{n:03}.png"))).expect("a writable file");
        }
    }
}
