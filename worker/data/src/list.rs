//! Image files that a list names: a CSV or TSV file with the columns `path`, `label` and, if needed, `split` and `group`.

use std::collections::HashMap;
use std::path::Path;

use pretext_shared::dataset::Note;

use super::class_names::other_form;
use super::error::DataError;
use super::labels::{Labels, Sample, part_of};
use super::listing::{ListedFile, Listing, Location, Part};
use crate::root::{Folder, Kind};

/// The names of a list in a folder, without an own choice.
pub(super) const NAMES: [&str; 4] = ["labels.csv", "labels.tsv", "list.csv", "list.tsv"];
/// Limit of the list's length, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// The number of lines that a message names.
const NAMED: usize = 10;

/// Returns the name of the only list in `folder`, if there is one.
pub(super) fn name_in(folder: &Folder) -> Result<Option<&'static str>, DataError> {
    let there: Vec<&str> = NAMES.into_iter().filter(|name| folder.has_file(name)).collect();
    match there.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(DataError::List {
            path: folder.shown(""),
            reason: format!("it has several lists ({}): write the path of one of them", several.join(", ")),
        }),
    }
}

/// Where the columns are.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    group: Option<usize>,
    unread: Vec<String>,
}

/// A line of the list.
struct Line {
    number: u64,
    path: String,
    part: Part,
    label: u32,
    group: Option<String>,
}

/// Lists the images that the list `name` in `folder` names, in the byte order of their paths.
pub(super) fn list(folder: &Folder, name: &str) -> Result<Listing, DataError> {
    let shown = folder.shown(name);
    let refuse = |reason: String| DataError::List { path: shown.clone(), reason };
    let file = folder.open(name)?;
    let bytes = file.metadata().map_err(DataError::io(&shown))?.len();
    if bytes > MAX_BYTES {
        return Err(refuse(format!("it has {bytes} bytes, more than {} MiB", MAX_BYTES >> 20)));
    }
    let text = folder.read(name)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(name, text)).trim(csv::Trim::All).from_reader(text);
    let columns = columns(reader.headers().map_err(|error| refuse(error.to_string()))?).map_err(refuse)?;
    let mut labels = Labels::default();
    let mut lines: Vec<Line> = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| refuse(error.to_string()))? {
        let number = record.position().map_or(0, csv::Position::line);
        let line = line(&record, number, &columns, &mut labels);
        lines.push(line.map_err(|reason| refuse(format!("line {number}: {reason}")))?);
    }
    check_paths(folder, &lines).map_err(refuse)?;
    lines.sort_by(|a, b| (a.part, &a.path).cmp(&(b.part, &b.path)));
    let classes = labels.finish(&shown)?;
    let (mut files, mut groups) = (Vec::with_capacity(lines.len()), Vec::new());
    let mut samples = Vec::with_capacity(lines.len());
    for (index, Line { path, part, label, group, .. }) in lines.into_iter().enumerate() {
        samples.push(Sample { part, label, location: Location::File(index as u32) });
        files.push(ListedFile { part, path, class: Some(classes.of[label as usize]), layout: None, name_at: 0 });
        groups.extend(group);
    }
    let mut listing = classes.listing(samples);
    listing.files = files;
    listing.groups = columns.group.map(|_| groups);
    if !columns.unread.is_empty() {
        listing.notes.push(Note::UnreadColumns { columns: columns.unread });
    }
    Ok(listing)
}

/// Returns what separates the columns: a tab, or the character that is most frequent in the first line.
fn delimiter(name: &str, text: &[u8]) -> u8 {
    if name.to_ascii_lowercase().ends_with(".tsv") {
        return b'\t';
    }
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
    // Of equally frequent ones the last, which is the comma.
    [b'\t', b';', b','].into_iter().max_by_key(|wanted| count(*wanted)).unwrap_or(b',')
}

fn columns(headings: &csv::StringRecord) -> Result<Columns, String> {
    let place = |wanted: &str| headings.iter().position(|heading| heading.eq_ignore_ascii_case(wanted));
    let expected = || {
        let found = headings.iter().collect::<Vec<_>>().join(",");
        let found: String = found.chars().take(200).collect();
        format!(
            "its first line is `{}`, expected `path,label`, with `split` and `group` if needed: rename the columns",
            found.escape_debug()
        )
    };
    let known = ["path", "label", "split", "group"];
    let unread = headings.iter().filter(|heading| !known.iter().any(|known| heading.eq_ignore_ascii_case(known)));
    Ok(Columns {
        path: place("path").ok_or_else(expected)?,
        label: place("label").ok_or_else(expected)?,
        split: place("split"),
        group: place("group"),
        unread: unread.take(NAMED).map(str::to_owned).collect(),
    })
}

fn line(record: &csv::StringRecord, number: u64, columns: &Columns, labels: &mut Labels) -> Result<Line, String> {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let part = match columns.split.map(field) {
        None => Part::Train,
        Some(text) => part_of(text).ok_or_else(|| {
            format!("the split is `{}`, expected `train`, `validation` or `test`", text.escape_debug())
        })?,
    };
    let group = match columns.group.map(field) {
        Some("") => return Err("the group is empty: every image needs one".to_owned()),
        group => group.map(str::to_owned),
    };
    let label = labels.add(field(columns.label), part)?;
    Ok(Line { number, path: path(field(columns.path))?, part, label, group })
}

/// Returns the path of an image as other parts of the program write it.
fn path(text: &str) -> Result<String, String> {
    let shown = text.escape_debug();
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if text.starts_with('/') || parts.contains(&"..") {
        return Err(format!("`{shown}` is refused: write paths relative to the list's folder, without `..`"));
    }
    match parts.as_slice() {
        [] => Err("the path is empty".to_owned()),
        parts => Ok(parts.join("/")),
    }
}

/// Checks that every path is a file and stands on one line.
fn check_paths(folder: &Folder, lines: &[Line]) -> Result<(), String> {
    let mut known: HashMap<&str, u64> = HashMap::with_capacity(lines.len());
    for line in lines {
        if let Some(first) = known.insert(&line.path, line.number) {
            return Err(format!("line {}: {} is on line {first} already", line.number, line.path));
        }
    }
    let is_missing = |line: &&Line| !matches!(folder.kind(&line.path), Ok(Some(Kind::File)) | Err(_));
    let missing: Vec<&Line> = lines.iter().filter(is_missing).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let named: Vec<String> =
        missing.iter().take(NAMED).map(|line| format!("{} (line {})", line.path, line.number)).collect();
    let more = match missing.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let is_file = |path: &str| matches!(folder.kind(path), Ok(Some(Kind::File)));
    let hint = if first.path.contains('\\') {
        ": write `/` instead of `\\`"
    } else if other_form(&first.path).is_some_and(|path| is_file(&path)) {
        ": the file of this name has another Unicode form (NFC, NFD): rename it, or write the list anew"
    } else {
        ": paths are relative to the list's folder"
    };
    Err(format!("these files do not exist: {}{more}{hint}", named.join(", ")))
}

/// Returns whether `path` is the path of a list, not of a folder.
pub(super) fn is_list(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["csv", "tsv", "txt"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
