//! `coordinator reproduce`: runs the sweep of a `results.json` again and compares the numbers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_report::agreement::{Agreement, Difference, Standard};
use pretext_report::notation::percent;
use pretext_report::record::Record;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::ContentHash;
use pretext_shared::text::counted;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use super::report::make;
use super::run::here;
use super::sweep_file::SweepFile;
use super::worker_program::WorkerProgram;
use super::{Verdict, report};
use crate::run::RunArgs;
use crate::sweep_file::FileArgs;

#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// The results.json of a report folder
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    /// The state directory of the new run; it must be empty at first [default: pretext-reproduce/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder for the new report [default: report in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Number of stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: Option<u32>,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Devices to train on, as for `run` [default: devices of the record's class]
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Allowed difference of test accuracies in percentage points, if exact numbers are not possible [default: derived
    /// from the number of test images]
    #[arg(long, value_name = "POINTS", value_parser = points)]
    pub(super) band: Option<f64>,
}

fn points(text: &str) -> Result<f64, String> {
    let points: f64 = text.parse().map_err(|_| "give a number of percentage points, for example 1.5".to_owned())?;
    if (0.0..=100.0).contains(&points) { Ok(points) } else { Err("give percentage points from 0 to 100".to_owned()) }
}

/// Size of the largest file that is read as a record.
const MAX_BYTES: u64 = 512 << 20;

/// The file in a state directory with the hash of the record that it reproduces.
const MARK: &str = "reproduces";

/// The outcome of a reproduction: its sweep and its agreement with the record.
#[derive(Debug, Serialize)]
struct Reproduced {
    sweep: String,
    #[serde(flatten)]
    agreement: Agreement,
    /// Path of the new `report.html`.
    #[serde(serialize_with = "crate::values::lossy")]
    report: PathBuf,
}

impl Show for Reproduced {
    fn text(&self) -> String {
        let Agreement { standard, agree, compared, equal, without_record, differences } = &self.agreement;
        let asked = match standard {
            Standard::Exact => "exactly: the same build, CPUs of one feature level\n".to_owned(),
            Standard::Band { because } => {
                let reasons: String = because.iter().map(|reason| format!("\n  - {reason}")).collect();
                format!("within a band, for these reasons:{reasons}\n")
            }
        };
        let verdict = match (agree, equal == compared) {
            (true, true) => format!("the numbers agree: {} equal in every bit", counted(*compared, "cell")),
            (true, false) => format!(
                "the numbers agree: {} of {} equal in every bit, the others within the band",
                equal,
                counted(*compared, "cell")
            ),
            (false, _) => format!(
                "the numbers do NOT agree: {} of {} differ too much",
                differences.iter().filter(|one| !one.allowed).count(),
                counted(*compared, "cell")
            ),
        };
        let rows: String = differences.iter().map(row).collect();
        let unrecorded = match without_record {
            0 => String::new(),
            n => format!("{} not compared: the record has no result for them\n", counted(*n, "cell")),
        };
        format!("{}: compared {asked}{verdict}\n{rows}{unrecorded}report: {}\n", self.sweep, self.report.display())
    }
}

fn row(one: &Difference) -> String {
    let now = one.reproduced.map_or_else(|| "no result".to_owned(), |now| format!("{} %", percent(now)));
    let band = if one.allowed { format!(", allowed ± {} points", percent(one.band)) } else { String::new() };
    format!(
        "  {}: test accuracy {} % recorded, {now} now{band} (differs in {})\n",
        one.cell,
        percent(one.recorded),
        one.fields.join(", ")
    )
}

/// Runs a recorded sweep again, in a state directory of its own.
pub(super) async fn reproduce(args: ReproduceArgs, console: &Console) -> Result<Verdict, CliError> {
    let content = read(&args.results)?;
    let record = Record::parse(&content).map_err(|error| refused(&args.results, &error.to_string()))?;
    let file = SweepFile::from_text("the sweep file in results.json", record.provenance.spec.clone())?;
    let device = device(&args, &record).await?;
    same_data(&args, &record, &file).await?;
    let state_dir =
        args.state_dir.clone().unwrap_or_else(|| Path::new("pretext-reproduce").join(record.sweep.id.as_str()));
    claim(&state_dir, ContentHash::of(&content))?;

    let out = args.out.clone().unwrap_or_else(|| state_dir.join("report"));
    let run = RunArgs {
        file: FileArgs {
            file: args.results.clone(),
            smoke: record.provenance.extent == pretext_shared::stage::Extent::Smoke,
        },
        out: Some(out.clone()),
        workers: args.workers,
        state_dir,
        data_root: args.data_root.clone(),
        device,
        retry_failed: false,
        on_final: None,
        web: None,
    };
    let made = here(run, file, console, async |client, sweep| {
        let made = make(client, sweep, Some(&out)).await?;
        report::write(&made, console)?;
        Ok(made)
    })
    .await?;
    let results = made.folder.get("results.json").unwrap_or_default();
    let again = Record::parse(results).map_err(|error| refused(&out.join("results.json"), &error.to_string()))?;
    let agreement = record.compare(&again, args.band.map(|points| points / 100.0));
    let verdict = if agreement.agree { Verdict::Good } else { Verdict::SomeFailed };
    console.show(&Reproduced { sweep: again.sweep.id.to_string(), agreement, report: out.join("report.html") })?;
    Ok(verdict)
}

fn refused(path: &Path, why: &str) -> CliError {
    CliError::Input {
        message: format!("cannot reproduce {}: {why}", path.display()),
        help: Some("give the path of the results.json in a report folder".to_owned()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: io::Error| CliError::input(format!("cannot read {}: {error}", path.display()));
    if fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Err(refused(path, &format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    fs::read(path).map_err(failed)
}

/// Returns the devices to run on: by default those of the record's class.
async fn device(args: &ReproduceArgs, record: &Record) -> Result<String, CliError> {
    if let Some(device) = &args.device {
        return Ok(device.clone());
    }
    match record.provenance.class {
        NumericClass::Cpu => Ok("cpu".to_owned()),
        NumericClass::Gpu if WorkerProgram::find()?.class().await? == NumericClass::Gpu => Ok("auto".to_owned()),
        NumericClass::Gpu => Err(CliError::Environment {
            message: "the record was made on a GPU, and this machine has none".to_owned(),
            help: Some("run it on the CPU with `--device cpu`: numbers are then compared within a band".to_owned()),
        }),
    }
}

/// Checks that the data are the recorded data: other data give other numbers.
async fn same_data(args: &ReproduceArgs, record: &Record, file: &SweepFile) -> Result<(), CliError> {
    let program = WorkerProgram::find()?;
    let recorded = std::iter::once(&record.provenance.dataset).chain(&record.provenance.pretext_dataset);
    for (source, recorded) in file.sweep.sources().zip(recorded) {
        let here = program.facts(source, &args.data_root).await?;
        if here.fingerprint != recorded.fingerprint {
            return Err(CliError::Input {
                message: format!(
                    "the data set {} has the fingerprint {} here and {} in the record: it is not the same data",
                    here.key,
                    here.fingerprint.short(),
                    recorded.fingerprint.short()
                ),
                help: Some("name the folder of the recorded data with --data-root".to_owned()),
            });
        }
    }
    Ok(())
}

/// Claims `state_dir` for the reproduction of this record. Results that exist already prove nothing, unless an
/// interrupted run of this command made them.
fn claim(state_dir: &Path, record: ContentHash) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::environment(format!("cannot make {}: {error}", state_dir.display()));
    let (mark, hash) = (state_dir.join(MARK), record.to_string());
    match fs::read_to_string(&mark) {
        Ok(marked) if marked.trim() == hash => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(state_dir).map_err(failed)?;
            if fs::read_dir(state_dir).map_err(failed)?.next().is_none() {
                return fs::write(&mark, hash + "\n").map_err(failed);
            }
        }
        Err(error) => return Err(failed(error)),
    }
    Err(CliError::Input {
        message: format!("{} contains other files: a reproduction starts in an empty folder", state_dir.display()),
        help: Some("name an empty folder with --state-dir, or remove this one".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_fresh_or_its_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("a/state");
        let (one, other) = (ContentHash::of(b"one"), ContentHash::of(b"other"));
        claim(&state, one).expect("it is made");
        claim(&state, one).expect("an interrupted reproduction goes on");
        let error = claim(&state, other).expect_err("another record's");
        assert_eq!(error.exit_code(), 2);
        let used = folder.path().join("used");
        fs::create_dir(&used).expect("writable");
        fs::write(used.join("state.redb"), "").expect("writable");
        let error = claim(&used, one).expect_err("somebody's state");
        assert!(error.to_string().contains("starts in an empty folder"), "{error}");
    }
}
