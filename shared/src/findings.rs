//! Says what a look at every picture of a data set found, in lines for a terminal.

use crate::survey::{Duplicates, NearPair, Sizes, Survey, SurveyPart};
use crate::text::{self, agreeing, counted, grouped};

/// Returns one line for each finding, and below it the files that it is about, indented. At most `most` files are named
/// below a finding.
pub fn lines(survey: &Survey, most: usize) -> Vec<String> {
    let mut out = Vec::new();
    if survey.pictures() > 0 {
        out.push(format!("pictures: {}", sizes(&survey.sizes, survey.pictures())));
        out.push(format!("colour: {}", colours(survey.grey, survey.colour)));
    }
    if !survey.formats.is_empty() {
        let formats: Vec<String> =
            survey.formats.iter().map(|(name, count)| format!("{} {}", grouped(*count), text::line(name))).collect();
        out.push(format!("formats: {}", formats.join(", ")));
    }
    if survey.several_pages > 0 {
        let (files, have) = (counted(survey.several_pages, "file"), agreeing(survey.several_pages, "has", "have"));
        out.push(format!("pages: {files} {have} several pages or frames: only the first is read"));
    }
    unreadable(survey, most, &mut out);
    ignored(survey, most, &mut out);
    duplicates(&survey.duplicates, survey, most, &mut out);
    near(&survey.near, most, &mut out);
    out
}

fn sizes(sizes: &Sizes, pictures: u64) -> String {
    let pixels = |(width, height): (u32, u32)| format!("{width}×{height}");
    let oblong = match sizes.oblong {
        0 => String::new(),
        n => format!("; {} of them with one side more than 1.25 times the other", grouped(n)),
    };
    if sizes.distinct <= 1 {
        return format!("all have {} pixels{oblong}", pixels(sizes.usual));
    }
    format!(
        "{} different sizes, from {} to {} pixels, most often {} ({} of {}){oblong}",
        grouped(sizes.distinct),
        pixels(sizes.smallest),
        pixels(sizes.largest),
        pixels(sizes.usual),
        grouped(sizes.usual_count),
        grouped(pictures),
    )
}

fn colours(grey: u64, colour: u64) -> String {
    match (grey, colour) {
        (_, 0) => "all pictures are grey".to_owned(),
        (0, _) => "all pictures are in colour".to_owned(),
        _ => {
            let are = agreeing(grey, "is", "are");
            format!("{} {are} grey, {} in colour", counted(grey, "picture"), grouped(colour))
        }
    }
}

fn unreadable(survey: &Survey, most: usize, out: &mut Vec<String>) {
    if survey.unreadable.is_empty() {
        return;
    }
    let by_class = survey.classes.iter().zip(survey.unreadable_by_class());
    let counts: Vec<String> = by_class
        .filter(|(_, (train, test))| train + test > 0)
        .map(|(class, (train, test))| format!("{} {} training and {} test", text::line(class), train, test))
        .collect();
    let pictures = counted(survey.unreadable.len(), "picture");
    out.push(format!("unreadable: {pictures} cannot be decoded ({})", counts.join("; ")));
    let files = survey.unreadable.iter().map(|file| format!("{}: {}", file.path, file.reason));
    named(files, survey.unreadable.len() as u64, most, out);
}

fn ignored(survey: &Survey, most: usize, out: &mut Vec<String>) {
    if survey.ignored_total == 0 {
        return;
    }
    let (files, are) = (counted(survey.ignored_total, "file"), agreeing(survey.ignored_total, "is", "are"));
    out.push(format!("ignored: {files} {are} no part of the data set"));
    let files = survey.ignored.iter().map(|file| format!("{}: {}", file.path, file.reason));
    named(files, survey.ignored_total, most, out);
}

fn duplicates(found: &Duplicates, survey: &Survey, most: usize, out: &mut Vec<String>) {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    if found.leaked > 0 {
        let (pictures, share) = (counted(found.leaked, "test picture"), percent(found.leaked_share));
        let are = agreeing(found.leaked, "is a training picture", "are training pictures");
        out.push(format!("leaks: {pictures} ({share}) {are} too"));
        let pairs = found.leaks.iter().map(|(test, train)| format!("{} is {}", test.path, train.path));
        named(pairs, found.leaked, most, out);
    }
    if found.two_labels > 0 {
        let (pictures, share) = (counted(found.two_labels, "picture"), percent(found.two_labels_share));
        let exist = agreeing(found.two_labels, "exists", "exist");
        out.push(format!("labels: {pictures} ({share}) {exist} under more than one class"));
        let class = |label: u32| survey.classes.get(label as usize).map_or("?", String::as_str);
        let pairs = found
            .contradictions
            .iter()
            .map(|(one, two)| format!("{} ({}) is {} ({})", one.path, class(one.label), two.path, class(two.label)));
        named(pairs, found.two_labels, most, out);
    }
    if found.copies > 0 {
        let (pictures, repeat) =
            (counted(found.copies, "training picture"), agreeing(found.copies, "repeats", "repeat"));
        out.push(format!("copies: {pictures} {repeat} another one of the same class"));
    }
}

fn near(pairs: &[NearPair], most: usize, out: &mut Vec<String>) {
    if pairs.is_empty() {
        return;
    }
    let across =
        pairs.iter().filter(|pair| (pair.first.part == SurveyPart::Test) != (pair.second.part == SurveyPart::Test));
    let (all, across) = (counted(pairs.len(), "pair"), grouped(across.count() as u64));
    let look = agreeing(pairs.len(), "looks", "look");
    out.push(format!("similar: {all} of pictures {look} almost the same, {across} of them between training and test"));
    let shown = pairs.iter().map(|pair| format!("{} and {}", pair.first.path, pair.second.path));
    named(shown, pairs.len() as u64, most, out);
}

/// Adds the first `most` of `all` files.
fn named(files: impl Iterator<Item = String>, all: u64, most: usize, out: &mut Vec<String>) {
    let before = out.len();
    out.extend(files.take(most).map(|file| format!("  {}", text::line(&file))));
    let left = all.saturating_sub((out.len() - before) as u64);
    if left > 0 {
        out.push(format!("  and {} more", grouped(left)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{IgnoredFile, PictureName, UnreadableFile};

    #[test]
    fn findings_are_said_with_their_files() {
        let name = |part, path: &str, label| PictureName { part, path: path.to_owned(), label };
        let bad = |part, path: &str, label| UnreadableFile {
            part,
            path: path.to_owned(),
            label,
            reason: "the file ends too early".to_owned(),
        };
        let survey = Survey {
            classes: vec!["cat".to_owned(), "dog".to_owned()],
            unreadable: vec![
                bad(SurveyPart::Train, "train/cat/1.jpg", 0),
                bad(SurveyPart::Train, "train/cat/2.jpg", 0),
                bad(SurveyPart::Test, "test/dog/1\u{1b}.jpg", 1),
            ],
            ignored: vec![IgnoredFile { path: "train/cat/Thumbs.db".to_owned(), reason: "not a picture".to_owned() }],
            ignored_total: 1,
            sizes: Sizes {
                smallest: (20, 30),
                largest: (640, 480),
                usual: (64, 64),
                usual_count: 31,
                distinct: 12,
                oblong: 3,
            },
            formats: vec![("JPEG".to_owned(), 1200), ("PNG".to_owned(), 16)],
            grey: 16,
            colour: 1200,
            several_pages: 0,
            duplicates: Duplicates {
                leaked: 1,
                leaked_share: 0.125,
                leaks: vec![(
                    name(SurveyPart::Test, "test/cat/0.jpg", 0),
                    name(SurveyPart::Train, "train/cat/0.jpg", 0),
                )],
                copies: 2,
                ..Duplicates::default()
            },
            ..Survey::default()
        };
        let expected = "\
pictures: 12 different sizes, from 20×30 to 640×480 pixels, most often 64×64 (31 of 1,216); 3 of them with one side more than 1.25 times the other
colour: 16 pictures are grey, 1,200 in colour
formats: 1,200 JPEG, 16 PNG
unreadable: 3 pictures cannot be decoded (cat 2 training and 0 test; dog 0 training and 1 test)
  train/cat/1.jpg: the file ends too early
  train/cat/2.jpg: the file ends too early
  and 1 more
ignored: 1 file is no part of the data set
  train/cat/Thumbs.db: not a picture
leaks: 1 test picture (12.5 %) is a training picture too
  test/cat/0.jpg is train/cat/0.jpg
copies: 2 training pictures repeat another one of the same class";
        assert_eq!(lines(&survey, 2).join("\n"), expected);
        let all = lines(&survey, usize::MAX).join("\n");
        assert!(all.contains("test/dog/1") && !all.contains('\u{1b}') && !all.contains("more\n"), "{all}");
        assert!(lines(&Survey::default(), 9).is_empty());
    }
}
