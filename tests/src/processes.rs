//! The real programs, as processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that any condition is waited for. A test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(240);

/// A program of this build: the tests run from `TARGET/release/deps`, the programs are beside that folder.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("tests are programs");
    let folder = here.parent().and_then(Path::parent).expect("TARGET/PROFILE/deps/test");
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: build the programs first (`make test` does)", path.display());
    path
}

/// Waits until `condition` gives a value.
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

/// A folder that goes with the test, and what is in it.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in it.
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

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Output {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// This output, if the command ended with `code`.
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

/// The `coordinator` program with `args`, in `folder`.
pub fn coordinator_command(folder: &Scratch, args: &[&str]) -> Command {
    let mut command = Command::new(program("coordinator"));
    command.args(args).current_dir(folder.0.path()).stdin(Stdio::null());
    command.env_remove("PRETEXT_COORDINATOR").env_remove("PRETEXT_STORE");
    command
}

/// Runs the `coordinator` program to its end.
pub fn coordinator(folder: &Scratch, args: &[&str]) -> Output {
    coordinator_command(folder, args).output().expect("the program starts").into()
}

/// A process that is killed when the test is done with it.
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

    /// Waits for its end and returns the exit code.
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

/// `coordinator serve` on a port of the system's choice.
pub struct Server {
    /// The process.
    pub process: Guarded,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// Starts on a free port with its state in `folder/state`.
    pub fn start(folder: &Scratch, extra: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", extra)
    }

    /// Starts on the given address.
    pub fn start_at(folder: &Scratch, listen: &str, extra: &[&str]) -> Self {
        let state = folder.path("state");
        let mut args = vec!["--json", "serve", "--listen", listen, "--state-dir"];
        args.push(state.to_str().expect("a text path"));
        args.extend(extra);
        let mut child = coordinator_command(folder, &args)
            .stdout(Stdio::piped())
            .stderr(log(folder, "serve.log"))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        let process = Guarded(child);
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        let address: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("`{line}`: {error}\n{}", read(&folder.path("serve.log"))));
        Self { process, url: address["listening"].as_str().expect("an address").to_owned() }
    }

    /// Waits until `count` workers have registered.
    #[track_caller]
    pub fn registered(&self, folder: &Scratch, count: usize) {
        until("the workers have registered", || {
            let workers = self.ask(folder, &["workers", "--json"]).expect(0).json();
            (workers["workers"].as_array().map_or(0, Vec::len) == count).then_some(())
        });
    }

    /// Runs a command against this server.
    pub fn ask(&self, folder: &Scratch, args: &[&str]) -> Output {
        let command = [args, &["--coordinator", &self.url]].concat();
        coordinator(folder, &command)
    }
}

/// A `worker` daemon.
pub struct Daemon {
    /// The process.
    pub process: Guarded,
}

impl Daemon {
    /// Starts the worker `name` for `url` with `extra` arguments; its state is in `folder/NAME`.
    pub fn start(folder: &Scratch, url: &str, name: &str, extra: &[&str]) -> Self {
        let child = Command::new(program("worker"))
            .args(["--coordinator", url, "--name", name, "--device", "cpu", "--state-dir"])
            .arg(folder.path(name))
            .args(extra)
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

/// A file's text, or nothing.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
