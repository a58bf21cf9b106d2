//! Compares decoding with Pillow, tifffile and numpy, recorded by `tests/golden/pictures.py`.

use serde::Deserialize;

use super::{decode, read};

#[derive(Deserialize)]
struct Case {
    name: String,
    file: String,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    pixels: String,
    #[serde(default)]
    tolerance: u8,
    refused: Option<String>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../../tests/golden/pictures.json")).expect("the script wrote it")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Returns what is wrong with a case, if anything is.
fn complaint(case: &Case) -> Option<String> {
    let decoded = decode(&bytes(&case.file));
    let told = match (&case.refused, decoded) {
        (Some(part), Err(reason)) => (!reason.contains(part)).then(|| format!("`{reason}`, expected `{part}`")),
        (Some(part), Ok(_)) => Some(format!("it is read, expected `{part}`")),
        (None, Err(reason)) => Some(reason),
        (None, Ok(picture)) if (picture.height, picture.width) != (case.height, case.width) => {
            Some(format!("{} × {}, expected {} × {}", picture.width, picture.height, case.width, case.height))
        }
        (None, Ok(picture)) => {
            let expected = bytes(&case.pixels);
            let worst = picture.data.iter().zip(&expected).map(|(got, want)| got.abs_diff(*want)).max().unwrap_or(0);
            (worst > case.tolerance).then(|| format!("{worst} levels apart, at most {}", case.tolerance))
        }
    };
    told.map(|told| format!("{}: {told}", case.name))
}

#[test]
fn every_format_colour_depth_and_orientation_is_read_as_a_viewer_shows_it() {
    let cases = cases();
    assert!(cases.len() > 130, "{}", cases.len());
    let complaints: Vec<String> = cases.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
}

#[test]
fn a_file_that_ends_early_is_never_half_a_picture() {
    let readable = cases().into_iter().filter(|case| case.refused.is_none());
    let mut taken = Vec::new();
    for case in readable {
        let whole = bytes(&case.file);
        // Formats may end in bytes that no pixel needs; a third of the file is missing here.
        for length in [whole.len() * 2 / 3, whole.len() / 2, 20, 3] {
            if let Ok(picture) = decode(&whole[..length]) {
                let expected = bytes(&case.pixels);
                let worst = picture.data.iter().zip(&expected).map(|(got, want)| got.abs_diff(*want)).max();
                if worst.is_none_or(|worst| worst > case.tolerance) {
                    taken.push(format!("{} with {length} of {} bytes", case.name, whole.len()));
                }
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn further_pages_and_frames_are_seen() {
    for case in cases().iter().filter(|case| case.refused.is_none()) {
        let expected = case.name.contains("animated") || case.name.contains("pages");
        let decoded = read(&bytes(&case.file)).unwrap_or_else(|reason| panic!("{}: {reason}", case.name));
        assert_eq!(decoded.several, expected, "{}", case.name);
        assert!(case.name.to_lowercase().contains(&decoded.format.to_lowercase()), "{}: {}", case.name, decoded.format);
    }
}
