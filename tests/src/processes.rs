//! The real programs as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time to wait for a condition. A test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(240);

/// Returns the path of a program of this build. Tests run from `TARGET/release/deps`; the programs are in the folder
/// above.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("tests are programs");
    let folder = here.parent().expect("a program is in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().expect("TARGET/PROFILE/deps") } else { folder };
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: build the programs first (`make test` does)", path.display());
    path
}

/// Waits until `condition` returns a value.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A temporary folder that is removed with the test.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Returns an empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Returns a path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a writable folder");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// The output and exit code of a command.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Standard output: the data.
    pub stdout: String,
    /// Standard error: everything else.
    pub stderr: String,
}

impl Output {
    /// Returns standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Returns this output if the command ended with `code`; else panics.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Returns the `coordinator` program with `args`, in `folder`.
pub fn coordinator_command(folder: &Scratch, args: &[&str]) -> Command {
    let mut command = Command::new(program("coordinator"));
    command.args(args).current_dir(folder.0.path()).stdin(Stdio::null());
    command.env_remove("PRETEXT_COORDINATOR").env_remove("PRETEXT_STORE").env_remove("PRETEXT_ARTIFACTS");
    command
}

/// Runs the `coordinator` program to its end.
pub fn coordinator(folder: &Scratch, args: &[&str]) -> Output {
    coordinator_command(folder, args).output().expect("the program starts").into()
}

/// A process that is killed at the end of the test.
pub struct Guarded(pub Child);

impl Guarded {
    /// Sends SIGKILL and waits.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for the end of the process and returns the exit code.
    #[track_caller]
    pub fn ended(&mut self) -> i32 {
        let status = until("the process ends", || self.0.try_wait().expect("a child of ours"));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A `coordinator serve` process on a port that the system chooses.
pub struct Server {
    /// The process.
    pub process: Guarded,
    /// The URL of its gRPC port.
    pub url: String,
    /// The URL of health checks and metrics, with `--monitor`.
    pub monitoring: Option<String>,
    /// The URL of the web page, with `--web`.
    pub web: Option<String>,
}

impl Server {
    /// Starts on a free port with its state in `folder/state`.
    pub fn start(folder: &Scratch, extra: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", extra)
    }

    /// Starts on the given address.
    pub fn start_at(folder: &Scratch, listen: &str, extra: &[&str]) -> Self {
        Self::start_in(folder, listen, extra, &[])
    }

    /// Starts on the given address, with environment variables.
    pub fn start_in(folder: &Scratch, listen: &str, extra: &[&str], variables: &[(String, String)]) -> Self {
        let state = folder.path("state");
        let mut args = vec!["--json", "serve", "--listen", listen, "--state-dir"];
        args.push(state.to_str().expect("a text path"));
        args.extend(extra);
        let mut child = coordinator_command(folder, &args)
            .stdout(Stdio::piped())
            .stderr(log(folder, "serve.log"))
            .envs(variables.iter().cloned())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        let process = Guarded(child);
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        let address: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("`{line}`: {error}\n{}", read(&folder.path("serve.log"))));
        let text = |key: &str| address[key].as_str().map(str::to_owned);
        Self { process, url: text("listening").expect("an address"), monitoring: text("monitoring"), web: text("web") }
    }

    /// Waits until `count` workers have registered.
    #[track_caller]
    pub fn registered(&self, folder: &Scratch, count: usize) {
        until("the workers have registered", || {
            let workers = self.ask(folder, &["workers", "--json"]).expect(0).json();
            (workers["workers"].as_array().map_or(0, Vec::len) == count).then_some(())
        });
    }

    /// Restarts the server after its process has ended: at the same address, with the same state.
    pub fn restart(&mut self, folder: &Scratch, extra: &[&str]) {
        let listen = self.address().to_string();
        *self = Self::start_at(folder, &listen, extra);
    }

    /// Returns the address of the gRPC port.
    pub fn address(&self) -> SocketAddr {
        let address = self.url.rsplit('/').next().and_then(|address| address.parse().ok());
        address.expect("a URL with an address")
    }

    /// Submits a sweep and returns its id.
    #[track_caller]
    pub fn submit(&self, folder: &Scratch, text: &str) -> String {
        let file = folder.file("sweep.yaml", text);
        let submitted = self.ask(folder, &["submit", file.to_str().expect("a text path"), "--json"]).expect(0).json();
        submitted["sweep"].as_str().expect("an id").to_owned()
    }

    /// Returns the stages that `worker` holds, with their steps.
    pub fn holds(&self, folder: &Scratch, worker: &str) -> Vec<(String, u64)> {
        held(&self.ask(folder, &["workers", "--json"]), worker)
    }

    /// Returns the stage that `worker` holds at a step past `step`.
    pub fn held_past(&self, folder: &Scratch, worker: &str, step: u64) -> Option<String> {
        self.holds(folder, worker).into_iter().find(|(_, at)| *at > step).map(|(stage, _)| stage)
    }

    /// Returns the report of a sweep: its results and its points, as in the files.
    #[track_caller]
    pub fn report(&self, folder: &Scratch, sweep: &str) -> (Value, String) {
        let out = folder.path("report");
        self.ask(folder, &["report", sweep, "--out", out.to_str().expect("a text path")]).expect(0);
        let results = serde_json::from_str(&read(&out.join("results.json"))).expect("JSON");
        (results, read(&out.join("points.csv")))
    }

    /// Returns the problems that `coordinator verify` finds in a sweep.
    pub fn verify(&self, folder: &Scratch, sweep: &str) -> Vec<String> {
        let output = self.ask(folder, &["verify", sweep, "--json"]);
        let found = serde_json::from_str::<Value>(&output.stdout).unwrap_or_default();
        match found["findings"].as_array() {
            Some(findings) => findings.iter().map(|finding| format!("{sweep}: {finding}")).collect(),
            None => vec![format!("{sweep} could not be verified: {output:?}")],
        }
    }

    /// Runs a command against this server.
    pub fn ask(&self, folder: &Scratch, args: &[&str]) -> Output {
        let command = [args, &["--coordinator", &self.url]].concat();
        coordinator(folder, &command)
    }
}

/// Returns the stages that `worker` holds, with their steps, from the answer of `coordinator workers --json`. Empty if
/// the command failed.
pub fn held(answer: &Output, worker: &str) -> Vec<(String, u64)> {
    let Ok(workers) = serde_json::from_str::<Value>(&answer.stdout) else { return Vec::new() };
    let workers = workers["workers"].as_array().cloned().unwrap_or_default();
    // A restarted worker is listed twice until its earlier run is forgotten; boot ids sort by time.
    let newest = workers
        .iter()
        .filter(|other| other["name"] == worker)
        .max_by_key(|life| life["boot"].as_str().map(str::to_owned));
    let held = newest.and_then(|worker| worker["holds"].as_array());
    held.into_iter()
        .flatten()
        .filter_map(|held| Some((held["stage"].as_str()?.to_owned(), held["step"].as_u64().unwrap_or(0))))
        .collect()
}

/// Returns the status and the body of `GET path` at `url`, over plain HTTP.
pub fn get(url: &str, path: &str) -> (u16, String) {
    let address = url.strip_prefix("http://").expect("plain text");
    let mut stream = TcpStream::connect(address).expect("a port that listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("an open connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// A `worker` daemon.
pub struct Daemon {
    /// The process.
    pub process: Guarded,
}

/// Returns the newest checkpoint of each stage on the disk of `worker`, as stage and step.
pub fn saved(folder: &Scratch, worker: &str) -> Vec<(String, u64)> {
    let stages = std::fs::read_dir(folder.path(worker).join("stages")).into_iter().flatten().flatten();
    let newest = |stage: std::fs::DirEntry| {
        let files = std::fs::read_dir(stage.path()).ok()?.flatten();
        let step = |name: &str| name.strip_prefix("checkpoint-")?.strip_suffix(".bin")?.parse::<u64>().ok();
        let newest = files.filter_map(|file| step(file.file_name().to_str()?)).max()?;
        Some((stage.file_name().to_str()?.to_owned(), newest))
    };
    stages.filter_map(newest).collect()
}

/// Returns how often a stage was granted, from the server's log.
pub fn grants(folder: &Scratch, stage: &str) -> usize {
    let log = read(&folder.path("serve.log"));
    log.lines().filter(|line| line.contains("stage granted") && line.contains(&stage[..12])).count()
}

impl Daemon {
    /// Returns the trainer processes that the daemon started and that still run.
    pub fn trainers(&self) -> Vec<rustix::process::Pid> {
        let parent = self.process.0.id().to_string();
        let entries = std::fs::read_dir("/proc").expect("a /proc file system");
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        ids.filter(|id| {
            // PID (NAME) STATE PARENT …
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(parent.as_str())
        })
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
    }

    /// Starts the worker `name` for `url` with `extra` arguments; its state is in `folder/NAME`.
    pub fn start(folder: &Scratch, url: &str, name: &str, extra: &[&str]) -> Self {
        Self::start_logging(folder, url, name, extra, "info,trainer=debug")
    }

    /// Starts a worker with a filter of its log, which is in `folder/NAME.log`.
    pub fn start_logging(folder: &Scratch, url: &str, name: &str, extra: &[&str], filter: &str) -> Self {
        let child = Command::new(program("worker"))
            .args(["--coordinator", url, "--name", name, "--device", "cpu", "--state-dir"])
            .arg(folder.path(name))
            .args(extra)
            .env("PRETEXT_LOG", filter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(folder, &format!("{name}.log")))
            .spawn()
            .expect("the program starts");
        Self { process: Guarded(child) }
    }
}

fn log(folder: &Scratch, name: &str) -> Stdio {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(folder.path(name));
    Stdio::from(file.expect("a writable folder"))
}

/// Returns a file's text, or an empty one.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
