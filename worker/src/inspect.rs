//! The commands `worker devices` and `worker inspect`: list the devices and data sets of this machine.

use std::path::Path;
use std::process::ExitCode;

use pretext_shared::dataset::GroupPattern;
use pretext_shared::inventory::{FoundDataset, FoundDevice, Shipment};
use pretext_shared::text;
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
    }];
    rows.extend(device::list().into_iter().map(|adapter| FoundDevice {
        description: adapter.description.clone(),
        class: adapter.name.class(),
        kind: adapter.kind.as_str().to_owned(),
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
    let Shipment { facts, files } = match pretext_data::ship(dir, groups) {
        Ok(shipment) => shipment,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    let found = FoundDataset { key: facts.key.clone(), facts: Some(facts), problem: None, files: Some(files) };
    print_rows(json, &[found], |found| {
        let lines = found.files.iter().flatten().map(|file| format!("{} {:>12} {}", file.hash, file.bytes, file.path));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Runs `worker inspect DIR`.
pub(crate) fn inspect(dir: &Path, keys: &[String], json: bool) -> ExitCode {
    let found = match pretext_data::inspect(dir, keys, None) {
        Ok(found) => found,
        Err(sentence) => return give_up(BAD_INPUT, sentence),
    };
    print_rows(json, &found, |found| match &found.facts {
        Some(facts) => {
            let validation = match facts.validation_total() {
                0 => String::new(),
                images => format!(" {images} validation,"),
            };
            let line = format!(
                "{}: {} classes, {} training{}{validation} and {} test images, {}fingerprint {}",
                found.key,
                facts.classes.len(),
                facts.train_total(),
                if validation.is_empty() { "" } else { "," },
                facts.test_total(),
                if facts.groups.is_empty() { String::new() } else { format!("{} groups, ", facts.groups.len()) },
                facts.fingerprint.short()
            );
            let notes = facts.notes.iter().map(|note| format!("\n  note: {}", text::line(&note.to_string())));
            notes.fold(line, |text, note| text + &note)
        }
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
