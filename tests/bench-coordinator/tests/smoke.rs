//! The bench works: every measurement fills its table, with tiny sizes, and leaves no process.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Returns the coordinator program of this build, if it was built.
fn coordinator() -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_pretext-bench")).with_file_name("coordinator");
    program.is_file().then_some(program)
}

#[test]
fn every_measurement_fills_its_table() {
    let Some(coordinator) = coordinator() else {
        eprintln!("skipped: the program `coordinator` is not built (`make test` builds it)");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_pretext-bench"));
    bench.args(["--quick", "--json", "--coordinator"]).arg(&coordinator).arg("--folder").arg(folder.path());
    let output = bench.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let skipped = said["missing"].as_array().expect("a list");
    let stores =
        if skipped.iter().any(|why| why.as_str().is_some_and(|why| why.contains("redis-server"))) { 1 } else { 2 };
    let rows = |table: &Value| {
        (table["name"].as_str().unwrap_or_default().to_owned(), table["rows"].as_array().map_or(0, Vec::len) / stores)
    };
    let tables: Vec<(String, usize)> = said["tables"].as_array().expect("a list").iter().map(rows).collect();
    let expected = [
        ("raw loop", 3),
        ("dispatch", 2),
        ("points", 3),
        ("idle fleet", 2),
        ("submit", 1),
        ("views", 5),
        ("restart", 1),
    ];
    assert_eq!(tables, expected.map(|(name, rows)| (name.to_owned(), rows)));
    // Everything was done, not only measured.
    let table = |name: &str| {
        let found = said["tables"].as_array().expect("a list").iter().find(|table| table["name"] == name);
        found.expect("a table")["rows"].as_array().expect("rows").clone()
    };
    assert!(table("dispatch").iter().all(|row| row["completed"] == row["stages"]), "{said}");
    assert!(table("points").iter().all(|row| row["points/s"].as_f64().is_some_and(|rate| rate > 0.0)), "{said}");
    assert!(table("idle fleet").iter().all(|row| row["leases"] == row["workers"]), "{said}");
    assert!(table("submit").iter().all(|row| row["again: new sweeps"] == 0), "{said}");
    // The temporary folders are removed with their processes.
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
