//! `kill -9` of the coordinator, again and again, under workers that keep a ledger of what it acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pretext_tests::{Scratch, Server};
use tokio::sync::watch;

use super::row::{Row, draws};
use super::stub::{Ledger, Stubs};

/// Workers at a time.
const WORKERS: usize = 4;
/// Acknowledgements between two kills, at most.
const MOST: usize = 40;
/// No acknowledgement for so long: the system is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Stages of a sweep, and how many may be left when the next one is submitted.
const SEEDS: u64 = 4;
const ALMOST_DONE: usize = 10;

fn sweep(number: u64) -> String {
    let seeds: Vec<String> = (number * SEEDS..(number + 1) * SEEDS).map(|seed| seed.to_string()).collect();
    format!(
        "name: kills
numeric: cpu
dataset: {{kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 1}}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}}}
seeds: [{}]
pretext: {{data: fraction, epochs: 1, batch: 8}}
downstream: {{epochs: 1, batch: 8}}
",
        seeds.join(", ")
    )
}

struct Campaign {
    folder: Scratch,
    server: Server,
    stubs: Stubs,
    sweeps: Vec<String>,
    /// Stages of all sweeps that were submitted.
    stages: usize,
    violations: Vec<String>,
    restarts: Vec<Duration>,
}

pub(crate) fn run(runs: u64, seed: u64) -> Row {
    let begin = Instant::now();
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let (stop, stopping) = watch::channel(false);
    let stubs = Stubs::new(&server.url, stopping);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for n in 0..WORKERS {
        runtime.spawn(stubs.clone().work(format!("stub-{n}")));
    }
    let (sweeps, violations, restarts) = (Vec::new(), Vec::new(), Vec::new());
    let mut campaign = Campaign { folder, server, stubs, sweeps, stages: 0, violations, restarts };
    campaign.server.registered(&campaign.folder, WORKERS);
    let mut draw = draws(seed);
    for kill in 0..runs {
        if campaign.stubs.ledger().results.len() + ALMOST_DONE >= campaign.stages {
            campaign.submit();
        }
        let target = campaign.stubs.ledger().acknowledged + 1 + draw.below(MOST) as u64;
        if !campaign.until_quiet(|ledger| ledger.acknowledged >= target) {
            campaign.violations.push(format!("stuck before kill {kill}"));
            break;
        }
        campaign.server.process.kill();
        let down = Instant::now();
        campaign.server.restart(&campaign.folder, &[]);
        campaign.restarts.push(down.elapsed());
        if kill % 100 == 99 {
            eprintln!("{} of {runs} kills, {} violations", kill + 1, campaign.violations.len());
        }
    }
    // The calm after it: everything comes to its end.
    let stages = campaign.stages;
    if !campaign.until_quiet(|ledger| ledger.results.len() >= stages) {
        campaign.violations.push("stuck in the calm".to_owned());
    }
    campaign.compare();
    stop.send_replace(true);
    runtime.shutdown_timeout(Duration::from_secs(5));
    let ledger = std::mem::take(&mut *campaign.stubs.ledger());
    let points: usize =
        ledger.points.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values).map(Vec::len).sum();
    let slowest = campaign.restarts.iter().max().copied().unwrap_or_default();
    Row {
        campaign: "coordinator, embedded store".to_owned(),
        faults: "kill -9 of the coordinator".to_owned(),
        runs,
        seed,
        violations: [campaign.violations, ledger.violations].concat(),
        measured: vec![
            format!("{} acknowledgements", ledger.acknowledged),
            format!("{points} points, {} checkpoints, {} results", ledger.checkpoints.len(), ledger.results.len()),
            format!("{} sweeps", campaign.sweeps.len()),
            format!("slowest restart {} ms", slowest.as_millis()),
        ],
        took: begin.elapsed(),
    }
}

impl Campaign {
    /// Waits for the condition as long as something is acknowledged now and then.
    fn until_quiet(&self, condition: impl Fn(&Ledger) -> bool) -> bool {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let acknowledged = {
                let ledger = self.stubs.ledger();
                if condition(&ledger) {
                    return true;
                }
                ledger.acknowledged - ledger.checkpoints.len() as u64
            };
            if acknowledged != last {
                (last, since) = (acknowledged, Instant::now());
            }
            if since.elapsed() > STUCK {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn submit(&mut self) {
        let file = self.folder.file("sweep.yaml", &sweep(self.sweeps.len() as u64));
        let file = file.to_str().expect("a text path");
        let submitted = self.server.ask(&self.folder, &["submit", file, "--json"]).expect(0).json();
        // The same again makes no second copy.
        let again = self.server.ask(&self.folder, &["submit", file, "--json"]).expect(0).json();
        if again["sweep"] != submitted["sweep"] || again["existed"] != true {
            self.violations.push(format!("submitted twice: {submitted} and {again}"));
        }
        self.stages += submitted["stages"].as_u64().expect("a count") as usize;
        self.sweeps.push(submitted["sweep"].as_str().expect("an id").to_owned());
    }

    /// Exports every sweep and compares it with the ledger.
    fn compare(&mut self) {
        let mut exported: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
        for sweep in &self.sweeps {
            let (results, points) = self.server.report(&self.folder, sweep);
            for cell in results["cells"].as_array().into_iter().flatten() {
                if cell["state"] != "succeeded" {
                    self.violations.push(format!("cell {} is {}", cell["id"], cell["state"]));
                }
            }
            for line in points.lines().skip(1) {
                let fields: Vec<&str> = line.split(',').collect();
                let (Ok(step), Ok(value)) = (fields[5].parse(), fields[6].parse()) else {
                    self.violations.push(format!("unreadable point: {line}"));
                    continue;
                };
                exported.entry(fields[0].to_owned()).or_default().push((step, value));
            }
        }
        let ledger = self.stubs.ledger();
        for (stage, fences) in &ledger.points {
            let (fence, batches) = fences.last_key_value().expect("a stage has an attempt");
            let kept: Vec<(u64, f64)> = batches.values().flatten().map(|point| (point.step, point.value)).collect();
            let found = exported.remove(stage).unwrap_or_default();
            if found != kept {
                let what =
                    format!("stage {stage}@{fence}: {} points acknowledged, {} exported", kept.len(), found.len());
                self.violations.push(what);
            }
            if fences.len() > 1 {
                self.violations.push(format!("stage {stage} was started {} times", fences.len()));
            }
        }
        for stage in exported.into_keys() {
            self.violations.push(format!("stage {stage}: points that nobody sent"));
        }
    }
}
