//! `coordinator report --compare A B`: two sweeps against each other.

use std::fs;
use std::path::{Path, PathBuf};

use pretext_report::Folder;
use pretext_report::against::Against;
use pretext_report::record::Record;
use serde::Serialize;

use super::{Origin, Source, make_from};
use crate::console::{Console, Show};
use crate::error::CliError;
use crate::values::lossy;
use crate::verdict::Verdict;

/// Size of the largest file that is read as a record.
const MAX_BYTES: u64 = 512 << 20;

/// A written comparison.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    against: Against,
    /// Path of `comparison.md`.
    #[serde(serialize_with = "lossy")]
    report: PathBuf,
}

impl Show for Compared {
    fn text(&self) -> String {
        format!("{}\ncomparison: {}\n", self.against.terminal(), self.report.display())
    }
}

/// Compares two sweeps, writes the comparison to `out` and prints it.
pub(super) async fn compare(
    names: [&String; 2],
    out: Option<&Path>,
    origin: &Origin,
    console: &Console,
) -> Result<Verdict, CliError> {
    let mut records = Vec::new();
    let mut source = None;
    for name in names {
        let content = match file(name) {
            Some(path) => read(&path)?,
            None => {
                let source = match &source {
                    Some(source) => source,
                    None => source.insert(Source::open(origin).await?),
                };
                let made = make_from(source, name, None, &[]).await?;
                made.folder.get("results.json").unwrap_or_default().to_owned()
            }
        };
        let refused = |error: pretext_report::record::Unreadable| CliError::Input {
            message: format!("cannot compare `{name}`: {error}"),
            help: Some("name a sweep with results, its report folder, or its results.json".to_owned()),
        };
        records.push(Record::parse(&content).map_err(refused)?);
    }
    let [a, b] = &records[..] else { return Err(CliError::input("name two sweeps")) };
    let against = Against::of(a, b);
    let mut folder = Folder::default();
    folder.add("comparison.json", against.to_json());
    folder.add("comparison.md", against.markdown());
    let default = || Path::new("pretext-report").join(format!("{}-against-{}", against.b.id, against.a.id));
    let out = out.map_or_else(default, Path::to_owned);
    pretext_report::write(&folder, &out)?;
    console.show(&Compared { against, report: out.join("comparison.md") })?;
    Ok(Verdict::Good)
}

/// Returns the `results.json` that `name` names: itself, or a report folder that has one.
fn file(name: &str) -> Option<PathBuf> {
    [PathBuf::from(name), Path::new(name).join("results.json")].into_iter().find(|path| path.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: std::io::Error| CliError::input(format!("cannot read {}: {error}", path.display()));
    if fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Err(CliError::input(format!("{} is larger than {} MiB", path.display(), MAX_BYTES >> 20)));
    }
    fs::read(path).map_err(failed)
}
