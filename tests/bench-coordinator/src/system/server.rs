//! A `coordinator serve` process on ports that the system chooses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use super::guarded::Guarded;
use crate::error::{BenchError, within};

/// Longest time until a coordinator listens and leads, and until it ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// Variables that would change what is measured.
const VARIABLES: [&str; 4] = ["PRETEXT_COORDINATOR", "PRETEXT_STORE", "PRETEXT_ARTIFACTS", "PRETEXT_LOG"];

/// See the module.
pub(crate) struct Server {
    process: Guarded,
    log: PathBuf,
    /// The URL of the gRPC port.
    pub(crate) url: String,
    /// The address of health checks and metrics: IP:PORT.
    pub(crate) monitoring: String,
    /// The address of the web page: IP:PORT.
    pub(crate) web: String,
    /// The coordinator's end of its standard output would break without this.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts the program with its state in `folder/state`, or at `store`, and waits until it leads. Its log is
    /// `folder/serve.log`.
    pub(super) async fn start(program: &Path, folder: &Path, store: Option<&str>) -> Result<Self, BenchError> {
        let log = folder.join("serve.log");
        let errors =
            std::fs::OpenOptions::new().create(true).append(true).open(&log).map_err(BenchError::file(&log))?;
        let mut command = Command::new(program);
        command.args([
            "--json",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--monitor",
            "127.0.0.1:0",
            "--web",
            "127.0.0.1:0",
        ]);
        command.arg("--state-dir").arg(folder.join("state")).current_dir(folder);
        command.args(store.iter().flat_map(|url| ["--store", url]));
        for name in VARIABLES {
            command.env_remove(name);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut process = Guarded(child.map_err(BenchError::file(program))?);
        let failed = |problem: String| BenchError::Program {
            program: program.display().to_string(),
            problem,
            log: last_lines(&log),
        };
        let output = process.0.stdout.take().ok_or_else(|| failed("has no output".to_owned()))?;
        let output = ChildStdout::from_std(output).map_err(BenchError::file(&log))?;
        let mut lines = BufReader::new(output).lines();
        let next = async |lines: &mut Lines<BufReader<ChildStdout>>| {
            let line = lines.next_line().await.map_err(BenchError::file(&log))?;
            let line = line.ok_or_else(|| failed("ended before it served".to_owned()))?;
            serde_json::from_str::<Value>(&line).map_err(|error| failed(format!("said `{line}`: {error}")))
        };
        let serves = async {
            let mut said = next(&mut lines).await?;
            if store.is_some() {
                // The first line is a standby's. The second one is the leader's, with the page's address.
                let leads = next(&mut lines).await?;
                said["web"] = leads["leading"]["web"].clone();
            }
            Ok(said)
        };
        let said = within("the coordinator's start", PATIENCE, serves).await?;
        let text = |key: &str| said[key].as_str().map(str::to_owned).ok_or_else(|| failed(format!("names no `{key}`")));
        let address = |key: &str| Ok::<_, BenchError>(text(key)?.trim_start_matches("http://").to_owned());
        let (url, monitoring, web) = (text("listening")?, address("monitoring")?, address("web")?);
        Ok(Self { process, log, url, monitoring, web, _output: lines })
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Returns an error if the process has ended.
    pub(crate) fn lives(&mut self) -> Result<(), BenchError> {
        match self.process.ended() {
            None => Ok(()),
            Some(status) => Err(BenchError::Program {
                program: "coordinator".to_owned(),
                problem: format!("ended: {status}"),
                log: last_lines(&self.log),
            }),
        }
    }

    /// Ends the process with SIGTERM.
    pub(crate) async fn terminate(&mut self) -> Result<(), BenchError> {
        self.process.terminate(PATIENCE).await
    }
}

/// Returns the last lines of a log, for an error.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].iter().map(|line| format!("\n  {line}")).collect()
}
