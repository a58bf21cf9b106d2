//! The commands `worker devices` and `worker inspect`: list the devices and data sets of this machine.

use std::path::Path;
use std::process::ExitCode;

use pretext_shared::dataset::{DatasetFacts, GroupPattern, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::packing::PackedFile;
use serde::Serialize;
use worker::data::{self, Shipment};
use worker::device::{self, AdapterKind, DeviceName};

use crate::daemon::{BAD_INPUT, ENVIRONMENT, give_up};

/// A data set below a data root.
#[derive(Serialize)]
pub(crate) struct Found {
    /// `KIND:PATH`.
    pub(crate) key: String,
    /// The facts to announce.
    pub(crate) facts: Option<DatasetFacts>,
    /// Why the data set cannot be used, if it cannot.
    pub(crate) problem: Option<String>,
    /// Its files, with `--files`.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<PackedFile>>,
}

impl Found {
    fn new(key: String, facts: Result<DatasetFacts, data::DataError>) -> Self {
        match facts {
            Ok(facts) => Self { key, facts: Some(facts), problem: None, files: None },
            Err(error) => Self { key, facts: None, problem: Some(error.to_string()), files: None },
        }
    }
}

/// Returns the data sets `keys` below `root`, or all data sets there if `keys` is empty.
pub(crate) fn look_for(root: &Path, keys: &[String], cache: Option<&Path>) -> Result<Vec<Found>, String> {
    if keys.is_empty() {
        let found = data::discover(root, cache).map_err(|error| error.to_string())?;
        return Ok(found.into_iter().map(|(key, facts)| Found::new(key, facts)).collect());
    }
    keys.iter()
        .map(|key| {
            let source: Source = key.parse()?;
            let scanned = data::scan(root, &source, cache);
            Ok(Found::new(key.clone(), scanned.map(|manifest| manifest.facts)))
        })
        .collect()
}

#[derive(Serialize)]
struct DeviceRow {
    name: String,
    description: String,
    class: NumericClass,
    kind: &'static str,
    /// Whether it has hardware of its own: `auto` takes no software GPU.
    real: bool,
    /// Whether `--device auto` takes it.
    auto: bool,
}

/// Runs `worker devices`.
pub(crate) fn devices(json: bool) -> ExitCode {
    let auto = DeviceName::Auto.resolve();
    let cpu = device::Compute::cpu().describe(1);
    let mut rows = vec![DeviceRow {
        name: cpu.name,
        description: cpu.description,
        class: cpu.class,
        kind: "CPU",
        real: true,
        auto: auto == DeviceName::Cpu,
    }];
    rows.extend(device::list().into_iter().map(|adapter| DeviceRow {
        description: adapter.description.clone(),
        class: adapter.name.class(),
        kind: adapter.kind.as_str(),
        real: adapter.kind != AdapterKind::Software,
        auto: adapter.name == auto,
        name: adapter.name.to_string(),
    }));
    print_rows(json, &rows, |row| {
        let mark = if row.auto { "*" } else { " " };
        format!("{mark} {:<12} {:<15} {}", row.name, row.kind, row.description)
    })
}

/// Runs `worker inspect DIR --files`.
pub(crate) fn files(dir: &Path, groups: Option<GroupPattern>, json: bool) -> ExitCode {
    let Shipment { facts, files } = match data::ship(dir, groups) {
        Ok(shipment) => shipment,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    let found = Found { files: Some(files), ..Found::new(facts.key.clone(), Ok(facts)) };
    print_rows(json, &[found], |found| {
        let lines = found.files.iter().flatten().map(|file| format!("{} {:>12} {}", file.hash, file.bytes, file.path));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Runs `worker inspect DIR`.
pub(crate) fn inspect(dir: &Path, keys: &[String], json: bool) -> ExitCode {
    let found = match look_for(dir, keys, None) {
        Ok(found) => found,
        Err(sentence) => return give_up(BAD_INPUT, sentence),
    };
    print_rows(json, &found, |found| match &found.facts {
        Some(facts) => format!(
            "{}: {} classes, {} training and {} test images, {}fingerprint {}",
            found.key,
            facts.classes.len(),
            facts.train_total(),
            facts.test_total(),
            if facts.groups.is_empty() { String::new() } else { format!("{} groups, ", facts.groups.len()) },
            facts.fingerprint.short()
        ),
        None => format!("{}: cannot be used: {}", found.key, found.problem.as_deref().unwrap_or("unknown")),
    })
}

fn print_rows<T: Serialize>(json: bool, rows: &[T], line: impl Fn(&T) -> String) -> ExitCode {
    let text = if json {
        match serde_json::to_string_pretty(rows) {
            Ok(text) => text,
            Err(error) => return give_up(ENVIRONMENT, error),
        }
    } else {
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closes the pipe early is not an error.
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}
