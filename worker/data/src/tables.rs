//! Tables of encoded images in Parquet files, as the hub of Hugging Face keeps them: a column `image` with the fields
//! `bytes` and `path`, and a column `label`.

mod file;

use std::path::Path;

use pretext_shared::dataset::Note;
use pretext_shared::text::counted;

use super::error::DataError;
use super::labels::{Labels, Sample};
use super::listing::{ListedFile, Listing, Location};
use super::shards::{self, Shard};
use crate::root::Folder;
pub(super) use file::Table;

/// The end of the names of the files.
pub(super) const ENDING: &str = ".parquet";
/// The most rows of a data set.
const MOST_ROWS: u64 = 50_000_000;

/// Lists the rows of the files at `path` below `root`: files in the byte order of their paths, rows in the order of the
/// file.
pub(super) fn list(root: &Folder, path: &str) -> Result<(Folder, Listing), DataError> {
    let (folder, shards) = shards::find(root, path, ENDING)?;
    let (mut labels, mut samples) = (Labels::default(), Vec::new());
    let mut names: Option<Vec<String>> = None;
    let mut unread: Vec<String> = Vec::new();
    for (file, Shard { path, part }) in (0..).zip(&shards) {
        let refuse = |reason: String| DataError::Shard { path: folder.shown(path), reason };
        let table = Table::open(&folder, path)?;
        if samples.len() as u64 + table.rows() > MOST_ROWS {
            return Err(refuse(format!("the data set has more than {MOST_ROWS} rows")));
        }
        match &names {
            None => names = Some(table.class_names().to_vec()),
            Some(known) if known.as_slice() == table.class_names() => {}
            Some(_) => return Err(refuse("its metadata name other classes than the files before it".to_owned())),
        }
        for column in table.unread() {
            if !unread.contains(column) {
                unread.push(column.clone());
            }
        }
        for (record, text) in (0..).zip(table.labels().map_err(refuse)?) {
            let text = match (text.parse::<usize>(), table.class_names()) {
                (Ok(_), []) | (Err(_), _) => text,
                (Ok(number), names) => names.get(number).cloned().ok_or_else(|| {
                    refuse(format!(
                        "row {record} has the label {number}, and its metadata name {}",
                        counted(names.len(), "class")
                    ))
                })?,
            };
            let label = labels.add(&text, *part).map_err(|reason| refuse(format!("row {record}: {reason}")))?;
            samples.push(Sample { part: *part, label, location: Location::Record { file, record } });
        }
    }
    let mut listing = labels.finish(&folder.shown(""))?.listing(samples);
    let listed = |Shard { path, part }| ListedFile { part, path, class: None, layout: None, name_at: 0 };
    listing.files = shards.into_iter().map(listed).collect();
    if !unread.is_empty() {
        listing.notes.push(Note::UnreadColumns { columns: unread });
    }
    Ok((folder, listing))
}

/// Returns whether `path` names a file of this kind.
pub(super) fn is_table(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

#[cfg(test)]
mod tests;
