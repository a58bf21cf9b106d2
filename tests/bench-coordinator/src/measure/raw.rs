//! The yardstick: a loop that appends records to a file and syncs it, one record or one group of records at a time.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::BenchError;

/// Most bytes that a loop writes: fast disks reach this before the time is over.
const MOST: usize = 512 << 20;

/// Returns the records that become durable in a second, with one sync for each `group`.
pub(super) async fn run(folder: &Path, group: u32, record: usize, time: Duration) -> Result<f64, BenchError> {
    let path = folder.join("raw");
    let block = vec![b'x'; record * group as usize];
    let measured = tokio::task::spawn_blocking(move || {
        let syncs = write(&path, &block, time);
        // The folder is temporary: it goes with the run.
        let _ = std::fs::remove_file(&path);
        syncs.map_err(BenchError::file(&path))
    });
    let syncs = measured.await.map_err(|error| BenchError::Answer(error.to_string()))??;
    Ok(syncs * f64::from(group))
}

/// Returns the syncs per second.
fn write(path: &Path, block: &[u8], time: Duration) -> std::io::Result<f64> {
    let mut file = File::create(path)?;
    let begun = Instant::now();
    let mut syncs = 0_usize;
    while begun.elapsed() < time && syncs * block.len() < MOST {
        file.write_all(block)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs as f64 / begun.elapsed().as_secs_f64())
}
