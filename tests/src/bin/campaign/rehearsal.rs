//! The campaign `rehearsal` of a cluster's maintenance: every process is restarted, one after the other, while a sweep
//! runs. Two coordinators with TLS share one Redis server and one folder of artifacts. Each worker has an identity and
//! a loopback address of its own. At the end nothing is lost, and the numbers equal those of `coordinator run` on one
//! machine.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Instant;

use pretext_tests::processes::{get, held, read};
use pretext_tests::redis::Redis;
use pretext_tests::relay::Relay;
use pretext_tests::{Daemon, Output, Scratch, Server, coordinator, members, until};
use rustix::process::Signal;
use serde_json::Value;

use super::row::Row;
use super::workers::differences;

const WORKERS: [&str; 3] = ["amber", "birch", "cedar"];
/// Lease of the coordinators. Heartbeats come five times a lease and show which worker is in the middle of a stage.
const LEASE_MS: &str = "5000";
/// Number of steps into a stage before its worker is told to stop.
const DEPTH: u64 = 3;

/// Returns a sweep that is long enough for `rounds` of restarts on two cores.
fn sweep(rounds: u64) -> String {
    let seeds: Vec<String> = (0..2 * rounds).map(|seed| seed.to_string()).collect();
    format!(
        "name: rehearsal
numeric: cpu
dataset: {{kind: procedural, train_per_class: 240, test_per_class: 20, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 8, blocks: 2}}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}}}
seeds: [{}]
pretext: {{data: fraction, epochs: 30, batch: 16}}
downstream: {{epochs: 60, batch: 16}}
checkpoint: {{every: 1s, keep: 2}}
",
        seeds.join(", ")
    )
}

/// All processes of the cluster.
struct Cluster {
    folder: Scratch,
    redis: Redis,
    coordinators: [Server; 2],
    workers: Vec<Member>,
    /// URLs of both coordinators, and the credentials of a person.
    person: (String, PathBuf),
    /// Arguments of `serve`.
    serve: Vec<String>,
    restarts: u64,
    violations: Vec<String>,
}

/// A worker with an address of its own.
struct Member {
    name: &'static str,
    daemon: Daemon,
    /// Its relay to each coordinator.
    _relays: [Relay; 2],
    urls: String,
}

pub(crate) fn run(rounds: u64) -> Row {
    let begin = Instant::now();
    let text = sweep(rounds);
    let mut cluster = Cluster::start();
    let file = cluster.folder.file("sweep.yaml", &text);
    let file = file.to_str().expect("a text path").to_owned();
    let submitted = cluster.ask(&["submit", &file, "--json"]).expect(0).json();
    let (sweep, cells) = (submitted["sweep"].as_str().expect("an id").to_owned(), submitted["cells"].clone());
    for round in 0..rounds {
        cluster.restart_workers();
        cluster.hand_over_and_back();
        cluster.restart_redis();
        eprintln!("round {round}: {} restarts", cluster.restarts);
    }
    let states = cluster.ask(&["status", &sweep, "--json"]).expect(0).json()["states"].clone();
    let count = |states: &Value, state: &str| states[state].as_u64().unwrap_or(0);
    if count(&states, "pending") + count(&states, "running") == 0 {
        cluster.violations.push(format!("the sweep ended before the rehearsal did: {states}"));
    }
    // Users watch through all restarts; here the watch starts at the last one.
    let watched = cluster.ask(&["watch", &sweep]);
    let states = cluster.ask(&["status", &sweep, "--json"]).expect(0).json()["states"].clone();
    let all = submitted["cells"].as_u64().unwrap_or(u64::MAX);
    if watched.code != 0 || count(&states, "succeeded") != all {
        cluster.violations.push(format!("of {cells} cells: {states}; {}", watched.stderr));
    }
    let verified = cluster.ask(&["verify", &sweep, "--json"]);
    if verified.code != 0 {
        cluster.violations.push(format!("verify: {}", verified.stdout));
    }
    let found = cluster.report(&sweep);
    let log = read(&cluster.folder.path("serve.log"));
    let granted = log.lines().filter(|line| line.contains("stage granted")).count();
    let mut violations = std::mem::take(&mut cluster.violations);
    let (restarts, disturbed) = (cluster.restarts, begin.elapsed());
    drop(cluster);
    violations.extend(differences(&found, &undisturbed(&text)));
    let stages = submitted["stages"].as_u64().unwrap_or_default();
    Row {
        campaign: "rehearsal: TLS, Redis, two coordinators, three workers".to_owned(),
        faults: "SIGTERM of each worker, of the leader, of the next leader, of redis-server; each started again"
            .to_owned(),
        runs: restarts,
        seed: 0,
        violations,
        measured: vec![
            format!("{cells} cells, {stages} stages, {granted} grants"),
            format!("{} points", found.1.lines().count().saturating_sub(1)),
            format!("{} s with restarts", disturbed.as_secs()),
        ],
        took: begin.elapsed(),
    }
}

/// Returns results and points of `coordinator run` on the same file.
fn undisturbed(text: &str) -> (Value, String) {
    let folder = Scratch::new();
    let file = folder.file("sweep.yaml", text);
    let file = file.to_str().expect("a text path");
    coordinator(&folder, &["run", file, "--device", "cpu", "--workers", "2", "--out", "report"]).expect(0);
    read_report(&folder)
}

fn read_report(folder: &Scratch) -> (Value, String) {
    let report = folder.path("report");
    let results = serde_json::from_str(&read(&report.join("results.json"))).expect("JSON");
    (results, read(&report.join("points.csv")))
}

fn is_ready(server: &Server) -> bool {
    let monitoring = server.monitoring.as_deref().expect("--monitor is given");
    get(monitoring, "/ready").0 == 200
}

impl Cluster {
    fn start() -> Self {
        let folder = Scratch::new();
        let redis = Redis::start(&folder);
        members::authority(&folder);
        let mut serve: Vec<String> =
            ["--tls", "--monitor", "127.0.0.1:0", "--lease-ms", LEASE_MS, "--store"].map(str::to_owned).into();
        serve.push(redis.url());
        for address in addresses() {
            serve.extend(["--tls-name".to_owned(), address.to_string()]);
        }
        let arguments: Vec<&str> = serve.iter().map(String::as_str).collect();
        let first = Server::start_at(&folder, "127.0.0.2:0", &arguments);
        until("the first leads", || is_ready(&first).then_some(()));
        let coordinators = [first, Server::start_at(&folder, "127.0.0.3:0", &arguments)];
        let credentials = members::join(&folder, &coordinators[0].url, "submit", "person");
        let urls = coordinators.each_ref().map(|server| server.url.clone()).join(",");
        let mut workers = Vec::new();
        for (name, address) in WORKERS.into_iter().zip(addresses()) {
            let relays = coordinators.each_ref().map(|server| Relay::start(address, server.address()));
            let urls = relays.each_ref().map(|relay| format!("https://{}", relay.address)).join(",");
            let token = members::token(&folder, "worker", name);
            let daemon = worker(&folder, name, &urls, &["--token-file", token.to_str().expect("a text path")]);
            workers.push(Member { name, daemon, _relays: relays, urls });
        }
        let person = (urls, credentials);
        Self { folder, redis, coordinators, workers, person, serve, restarts: 0, violations: Vec::new() }
    }

    /// Runs a command as a user who knows both coordinators.
    fn ask(&self, arguments: &[&str]) -> Output {
        let (urls, credentials) = &self.person;
        let to = ["--coordinator", urls, "--credentials", credentials.to_str().expect("a text path")];
        coordinator(&self.folder, &[arguments, &to].concat())
    }

    fn report(&self, sweep: &str) -> (Value, String) {
        self.ask(&["report", sweep, "--out", "report"]).expect(0);
        read_report(&self.folder)
    }

    /// Waits until `name` is in the middle of a stage.
    fn in_mid_stage(&self, name: &str) {
        until(&format!("{name} is in mid-stage"), || {
            let stages = held(&self.ask(&["workers", "--json"]), name);
            stages.iter().any(|(_, step)| *step > DEPTH).then_some(())
        });
    }

    /// Stops each worker in the middle of a stage, and starts it again without its token.
    fn restart_workers(&mut self) {
        for index in 0..self.workers.len() {
            let Member { name, urls, .. } = &self.workers[index];
            let (name, urls) = (*name, urls.clone());
            self.in_mid_stage(name);
            self.workers[index].daemon.process.signal(Signal::TERM);
            let code = self.workers[index].daemon.process.ended();
            if code != 0 {
                self.violations.push(format!("worker {name} ended with {code}"));
            }
            self.workers[index].daemon = worker(&self.folder, name, &urls, &[]);
            self.restarts += 1;
        }
    }

    /// Stops the leader, so that the other coordinator takes over; then the same the other way round.
    fn hand_over_and_back(&mut self) {
        for _ in 0..2 {
            let leader = usize::from(!is_ready(&self.coordinators[0]));
            self.in_mid_stage(WORKERS[leader]);
            self.coordinators[leader].process.signal(Signal::TERM);
            let code = self.coordinators[leader].process.ended();
            if code != 0 {
                self.violations.push(format!("coordinator {leader} ended with {code}"));
            }
            let other = &self.coordinators[1 - leader];
            until("the one that stood by leads", || is_ready(other).then_some(()));
            let arguments: Vec<&str> = self.serve.iter().map(String::as_str).collect();
            self.coordinators[leader].restart(&self.folder, &arguments);
            self.restarts += 1;
        }
    }

    /// Stops and starts the store's server under a coordinator that continues to lead.
    fn restart_redis(&mut self) {
        self.in_mid_stage(WORKERS[2]);
        self.redis.restart();
        self.restarts += 1;
        until("the coordinator answers again", || (self.ask(&["status"]).code == 0).then_some(()));
        for server in &mut self.coordinators {
            if let Ok(Some(status)) = server.process.0.try_wait() {
                self.violations.push(format!("a coordinator did not outlive redis-server's restart: {status}"));
            }
        }
    }
}

/// Returns a loopback address for each worker.
fn addresses() -> impl Iterator<Item = Ipv4Addr> {
    (1u8..).zip(WORKERS).map(|(last, _)| Ipv4Addr::new(127, 0, 1, last))
}

fn worker(folder: &Scratch, name: &str, urls: &str, extra: &[&str]) -> Daemon {
    Daemon::start(folder, urls, name, &[&["--slots", "1", "--no-datasets"], extra].concat())
}
