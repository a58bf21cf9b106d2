//! The campaign `away`: the coordinator is gone under load, and workers must continue as before. One stage ends during
//! the outage, the other one runs through it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pretext_tests::processes::{grants, read};
use pretext_tests::{Daemon, Scratch, Server, until};

use super::row::Row;
use super::workers::{differences, undisturbed};

const NAMES: [&str; 2] = ["left", "right"];
/// Longest pause of training, in seconds, that is not a violation.
const LONGEST_GAP: f64 = 0.5;
/// Largest relative difference of the speed while the coordinator is away.
const BAND: f64 = 0.05;
/// Unit of times in /proc: USER_HZ, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Epochs of the two runs that measure the length of an epoch.
const TRIALS: [u64; 2] = [4, 64];
/// Length of a speed measurement, in seconds.
const WINDOW: f64 = 10.0;

fn sweep(epochs: u64) -> String {
    format!(
        "name: away
dataset: {{kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 8, blocks: 2}}
methods: [supervised]
fractions: [50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}}}
seeds: [0]
pretext: {{data: all, epochs: 1, batch: 16}}
downstream: {{epochs: {epochs}, batch: 16}}
checkpoint: {{every: 5s, keep: 2}}
"
    )
}

fn start(folder: &Scratch, server: &Server, name: &str) -> Daemon {
    let quiet = ["--slots", "1", "--no-datasets"];
    Daemon::start_logging(folder, &server.url, name, &quiet, "info,pretext_daemon::attempt=trace")
}

/// Returns the trainer's progress in a daemon's log: seconds of the day, images.
fn progress(folder: &Scratch, name: &str) -> Vec<(f64, u64)> {
    let log = read(&folder.path(&format!("{name}.log")));
    log.lines()
        .filter(|line| line.contains("progress"))
        .filter_map(|line| {
            let time = line.split_once('T')?.1.split_once('Z')?.0;
            let seconds = time.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
            let images = line.rsplit_once("images=")?.1.split_whitespace().next()?.parse().ok()?;
            Some((seconds, images))
        })
        .collect()
}

/// Returns the CPU seconds of a process so far.
fn cpu_seconds(process: rustix::process::Pid) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

/// Samples of a trainer's images and CPU seconds.
#[derive(Default)]
struct Speed {
    samples: Vec<(Instant, u64, f64)>,
}

impl Speed {
    /// Returns the images per CPU second of each window within `when`.
    fn windows(&self, when: impl Fn(Instant) -> bool) -> Vec<f64> {
        let mut speeds = Vec::new();
        let mut from: Option<(Instant, u64, f64)> = None;
        for sample in &self.samples {
            match from {
                Some(begin) if when(sample.0) && sample.1 >= begin.1 => {
                    if (sample.0 - begin.0).as_secs_f64() >= WINDOW {
                        let (images, seconds) = ((sample.1 - begin.1) as f64, sample.2 - begin.2);
                        // Between stages there is no training.
                        if images > 0.0 && seconds > 0.0 {
                            speeds.push(images / seconds);
                        }
                        from = Some(*sample);
                    }
                }
                _ => from = when(sample.0).then_some(*sample),
            }
        }
        speeds
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub(crate) fn run(seconds: u64) -> Row {
    let begin = Instant::now();
    let [short, long] = TRIALS.map(|epochs| {
        let trial = Instant::now();
        undisturbed(&sweep(epochs));
        trial.elapsed().as_secs_f64()
    });
    let epoch = ((long - short) / (TRIALS[1] - TRIALS[0]) as f64).max(0.01);
    // The stage of all labels must run a fifth longer than the outage, so that the stage of half the labels ends during
    // it.
    let epochs = ((seconds as f64 + 2.5 * WINDOW) * 1.2 / epoch).ceil() as u64;
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &[]);
    let workers = NAMES.map(|name| start(&folder, &server, name));
    server.registered(&folder, NAMES.len());
    let sweep_id = server.submit(&folder, &sweep(epochs));
    let stages = NAMES.map(|name| until("stages are under way", || server.held_past(&folder, name, 20)));
    let mut speeds: BTreeMap<&str, Speed> = BTreeMap::new();
    let mut sample = |until: Instant| {
        while Instant::now() < until {
            for (name, worker) in NAMES.iter().zip(&workers) {
                let trainer = worker.trainers().first().copied();
                let (images, cpu) = (progress(&folder, name).last().map(|last| last.1), trainer.and_then(cpu_seconds));
                if let (Some(images), Some(cpu)) = (images, cpu) {
                    speeds.entry(name).or_default().samples.push((Instant::now(), images, cpu));
                }
            }
            std::thread::park_timeout(Duration::from_secs(1));
        }
    };
    sample(Instant::now() + Duration::from_secs_f64(2.5 * WINDOW));
    let gone = Instant::now();
    server.process.kill();
    sample(gone + Duration::from_secs(seconds));
    let ended: Vec<bool> =
        NAMES.iter().map(|name| read(&folder.path(&format!("{name}.log"))).contains("the trainer is done")).collect();
    let back = Instant::now();
    server.restart(&folder, &[]);
    sample(back + Duration::from_secs_f64(2.5 * WINDOW));
    server.ask(&folder, &["watch", &sweep_id]).expect(0);
    let found = server.report(&folder, &sweep_id);
    let mut violations = differences(&found, &undisturbed(&sweep(epochs)));
    violations.extend(server.verify(&folder, &sweep_id));
    let restarts: usize = stages.iter().map(|stage| grants(&folder, stage) - 1).sum();
    if restarts > 0 {
        violations.push(format!("{restarts} restarts of stages"));
    }
    let mut measured = vec![
        format!("{} points", found.1.lines().count() - 1),
        format!("{} of {} stages ended meanwhile", ended.iter().filter(|ended| **ended).count(), stages.len()),
        format!("{restarts} restarts of stages"),
    ];
    for name in NAMES {
        // Up to the stage's end; between stages there is no training.
        let progress = progress(&folder, name);
        let gaps = progress.windows(2).filter(|pair| pair[1].1 > pair[0].1).map(|pair| pair[1].0 - pair[0].0);
        let gap = gaps.fold(0.0, f64::max);
        measured.push(format!("{name}: longest gap {gap:.2} s"));
        if gap > LONGEST_GAP {
            violations.push(format!("{name} did not train for {gap:.2} s"));
        }
        let Some(speed) = speeds.get(name) else { continue };
        let whole = median(speed.windows(|_| true));
        let away = median(speed.windows(|at| at > gone && at < back));
        if let (Some(whole), Some(away)) = (whole, away) {
            measured.push(format!("{away:.0} images per CPU second while away, {whole:.0} overall"));
            if (away / whole - 1.0).abs() > BAND {
                violations.push(format!("{name}: {away:.0} images per CPU second while away, {whole:.0} overall"));
            }
        }
    }
    Row {
        campaign: "coordinator away".to_owned(),
        faults: format!("no coordinator for {seconds} s under load"),
        runs: 1,
        seed: 0,
        violations,
        measured,
        took: begin.elapsed(),
    }
}
