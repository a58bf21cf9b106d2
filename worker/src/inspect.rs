//! The commands `worker devices` and `worker inspect`: list the devices and data sets of this machine.

use std::path::Path;
use std::process::ExitCode;

use pretext_data::Depth;
use pretext_shared::dataset::GroupPattern;
use pretext_shared::findings;
use pretext_shared::inventory::{FoundDataset, FoundDevice};
use pretext_shared::text::counted;
use pretext_trainer::device::{self, AdapterKind, DeviceName};
use serde::Serialize;

use crate::daemon::{BAD_INPUT, ENVIRONMENT, give_up};

/// `worker devices`.
pub(crate) fn devices(json: bool) -> ExitCode {
    let auto = DeviceName::Auto.resolve();
    let cpu = device::Compute::cpu().describe(1);
    let mut rows = vec![FoundDevice {
        name: cpu.name,
        description: cpu.description,
        class: cpu.class,
        kind: "CPU".to_owned(),
        real: true,
        auto: auto == DeviceName::Cpu,
        memory: pretext_data::memory::limit(),
    }];
    rows.extend(device::list().into_iter().map(|adapter| FoundDevice {
        description: adapter.description.clone(),
        class: adapter.name.class(),
        kind: adapter.kind.as_str().to_owned(),
        real: adapter.kind != AdapterKind::Software,
        auto: adapter.name == auto,
        name: adapter.name.to_string(),
        memory: None,
    }));
    print_rows(json, &rows, |row| {
        let mark = if row.auto { "*" } else { " " };
        format!("{mark} {:<12} {:<15} {}", row.name, row.kind, row.description)
    })
}

/// Returns what `--deep` and `--most` ask for.
pub(crate) fn depth(deep: bool, most: Option<u64>) -> Depth {
    match (deep, most) {
        (false, _) => Depth::Listed,
        (true, Some(most)) => Depth::Small(most),
        (true, None) => Depth::Every,
    }
}

/// Runs `worker inspect DIR --files`.
pub(crate) fn files(dir: &Path, groups: Option<GroupPattern>, depth: Depth, json: bool) -> ExitCode {
    let found = match pretext_data::inspect_files(dir, groups, depth) {
        Ok(found) => found,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    print_rows(json, &[found], |found| {
        let lines = found.files.iter().flatten().map(|file| format!("{} {:>12} {}", file.hash, file.bytes, file.path));
        lines.chain(findings(found)).collect::<Vec<_>>().join("\n")
    })
}

/// Runs `worker inspect DIR`.
pub(crate) fn inspect(dir: &Path, keys: &[String], cache: Option<&Path>, depth: Depth, json: bool) -> ExitCode {
    let found = match pretext_data::inspect(dir, keys, cache, depth) {
        Ok(found) => found,
        Err(sentence) => return give_up(BAD_INPUT, sentence),
    };
    print_rows(json, &found, |found| {
        let head = match &found.facts {
            Some(facts) => format!(
                "{}: {}, {} training{} and {}, {}fingerprint {}",
                found.key,
                counted(facts.classes.len(), "class"),
                facts.train_total(),
                match facts.validation_total() {
                    0 => String::new(),
                    images => format!(", {images} validation"),
                },
                counted(facts.test_total(), "test image"),
                match facts.groups.len() {
                    0 => String::new(),
                    groups => format!("{}, ", counted(groups, "group")),
                },
                facts.fingerprint.short()
            ),
            None => format!("{}: cannot be used: {}", found.key, found.problem.as_deref().unwrap_or("unknown")),
        };
        std::iter::once(head).chain(findings(found)).collect::<Vec<_>>().join("\n")
    })
}

/// Returns the lines of a survey. All bad pictures are listed: whoever mends them needs to know each.
fn findings(found: &FoundDataset) -> Vec<String> {
    let lines = found.survey.as_ref().map(|survey| findings::lines(survey, usize::MAX));
    lines.unwrap_or_default().into_iter().map(|line| format!("  {line}")).collect()
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
