//! The campaigns of kills: `kill -9` of the coordinator, or of its Redis server, again and again. Meanwhile stub
//! workers keep a ledger of everything that was acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::row::{Row, draws};
use super::stub::{Ledger, Stubs};
use super::system::{Home, System, Victim};

/// Number of workers.
const WORKERS: usize = 4;
/// Largest number of acknowledgements between two kills.
const MOST: usize = 40;
/// The system is stuck if there is no acknowledgement for this time.
const STUCK: Duration = Duration::from_secs(60);
/// Stages of a sweep, and the number of remaining stages at which the next sweep is submitted.
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
    system: System,
    stubs: Stubs,
    sweeps: Vec<String>,
    /// Stages of all submitted sweeps.
    stages: usize,
    violations: Vec<String>,
    /// Longest time from a kill to the next acknowledgement.
    silence: Duration,
}

pub(crate) fn run(victim: Victim, home: Home, runs: u64, seed: u64) -> Row {
    let begin = Instant::now();
    let system = System::start(home);
    let (stop, stopping) = watch::channel(false);
    let stubs = Stubs::new(&system.server.url, stopping);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for n in 0..WORKERS {
        runtime.spawn(stubs.clone().work(format!("stub-{n}")));
    }
    let (sweeps, violations, silence) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut campaign = Campaign { system, stubs, sweeps, stages: 0, violations, silence };
    campaign.system.server.registered(&campaign.system.folder, WORKERS);
    let mut draw = draws(seed);
    let mut kills = 0;
    while kills < runs {
        if campaign.stubs.ledger().results.len() + ALMOST_DONE >= campaign.stages {
            campaign.submit();
        }
        let target = campaign.stubs.ledger().acknowledged + 1 + draw.below(MOST) as u64;
        if !campaign.until_quiet(|ledger| ledger.acknowledged >= target) {
            campaign.violations.push(format!("stuck before kill {kills}"));
            break;
        }
        kills += 1;
        if !campaign.strike(victim) {
            campaign.violations.push(format!("stuck after kill {kills}"));
            break;
        }
        if kills % 100 == 0 {
            eprintln!("{kills} of {runs} kills, {} violations", campaign.violations.len());
        }
    }
    // The calm after the kills: every stage must end.
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
    let name = match (victim, home) {
        (Victim::Coordinator, Home::Embedded) => "coordinator, embedded store",
        (Victim::Coordinator, Home::Redis) => "coordinator, Redis store",
        (Victim::Redis, _) => "Redis server",
    };
    let faults = match victim {
        Victim::Coordinator => "kill -9 of the coordinator",
        Victim::Redis => "kill -9 of redis-server, appendfsync always",
    };
    Row {
        campaign: name.to_owned(),
        faults: faults.to_owned(),
        runs: kills,
        seed,
        violations: [campaign.violations, ledger.violations].concat(),
        measured: vec![
            format!("{} acknowledgements", ledger.acknowledged),
            format!("{points} points, {} checkpoints, {} results", ledger.checkpoints.len(), ledger.results.len()),
            format!("{} sweeps, each verified", campaign.sweeps.len()),
            format!("longest silence after a kill {} ms", campaign.silence.as_millis()),
        ],
        took: begin.elapsed(),
    }
}

impl Campaign {
    /// Kills `victim` and waits for the next acknowledgement.
    fn strike(&mut self, victim: Victim) -> bool {
        let down = Instant::now();
        self.system.kill(victim);
        let before = self.stubs.ledger().acknowledged;
        let again = self.until_quiet(|ledger| ledger.acknowledged > before);
        self.silence = self.silence.max(down.elapsed());
        if self.system.has_ended() {
            self.violations.push("the coordinator ended by itself".to_owned());
            return false;
        }
        again
    }

    /// Waits for the condition as long as acknowledgements continue.
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
        let file = self.system.folder.file("sweep.yaml", &sweep(self.sweeps.len() as u64));
        let file = file.to_str().expect("a text path");
        let submitted = self.system.ask(&["submit", file, "--json"]).json();
        // Submitting the same file again makes no second copy.
        let again = self.system.ask(&["submit", file, "--json"]).json();
        if again["sweep"] != submitted["sweep"] || again["existed"] != true {
            self.violations.push(format!("submitted twice: {submitted} and {again}"));
        }
        self.stages += submitted["stages"].as_u64().expect("a count") as usize;
        self.sweeps.push(submitted["sweep"].as_str().expect("an id").to_owned());
    }

    /// Verifies and exports every sweep and compares it with the ledger.
    fn compare(&mut self) {
        let mut exported: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
        for sweep in &self.sweeps {
            let System { server, folder, .. } = &self.system;
            self.violations.extend(server.verify(folder, sweep));
            let (results, points) = server.report(folder, sweep);
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
            self.violations.push(format!("stage {stage}: points that no worker sent"));
        }
    }
}
