//! The daemon's start: reads the options, finds devices and data sets, and runs until the daemon ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use pretext_daemon::identity;
use pretext_daemon::{CacheOptions, End, LinkError, Options, ServeError, messages};
use pretext_data::Depth;
use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{MAX_NAME, WorkerId, is_valid_name};
use pretext_trainer::device::{self, DeviceName};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::DaemonArgs;

/// Exit code: bad input.
pub(crate) const BAD_INPUT: u8 = 2;
/// Exit code: the coordinator refuses this worker.
pub(crate) const REFUSED: u8 = 3;
/// Exit code: this machine's environment (disk, runtime, signals).
pub(crate) const ENVIRONMENT: u8 = 4;
/// Exit code: told to stop before the work was done.
const INTERRUPTED: u8 = 130;
/// Longest wait for another worker, which is ending, to release the state directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn give_up(code: u8, sentence: impl std::fmt::Display) -> ExitCode {
    eprintln!("worker: {sentence}");
    ExitCode::from(code)
}

/// Returns the devices that `--device` names, each once, with `auto` resolved.
fn chosen_devices(args: &DaemonArgs) -> Result<Vec<DeviceFacts>, String> {
    let adapters = device::list();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut devices: Vec<DeviceFacts> = Vec::new();
    for text in &args.device {
        let name: DeviceName = text.parse().map_err(|error: device::DeviceError| error.to_string())?;
        let name = name.resolve();
        let description = match &name {
            DeviceName::Gpu { .. } => match adapters.iter().find(|adapter| adapter.name == name) {
                Some(adapter) => adapter.description.clone(),
                None => return Err(format!("this machine has no device `{name}`: choose one of `worker devices`")),
            },
            _ => device::Compute::cpu().describe(1).description,
        };
        let default_slots = match &name {
            DeviceName::Cpu | DeviceName::Auto => (cores / args.threads).max(1) as u32,
            _ => 1,
        };
        let slots = args.slots.unwrap_or(default_slots);
        let name_text = name.to_string();
        if devices.iter().all(|device| device.name != name_text) {
            devices.push(DeviceFacts { name: name_text, description, class: name.class(), slots });
        }
    }
    Ok(devices)
}

fn announcements(args: &DaemonArgs) -> Result<Vec<pb::Dataset>, String> {
    if args.no_datasets {
        return Ok(Vec::new());
    }
    if args.dataset.is_empty() && !args.data_root.is_dir() {
        tracing::warn!(
            data_root = %args.data_root.display(),
            "the data root does not exist: set --data-root, or train on procedural data sets only"
        );
        return Ok(Vec::new());
    }
    let cache = args.state_dir.join("hashes");
    Ok(pretext_data::inspect(&args.data_root, &args.dataset, Some(&cache), Depth::Listed)?
        .into_iter()
        .map(|found| {
            let problem = found.problem.unwrap_or_else(|| "unknown".to_owned());
            messages::dataset(found.key, found.facts.ok_or(problem))
        })
        .collect())
}

/// Returns the host's name, changed where needed to be a valid worker name.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .take(MAX_NAME)
        .collect();
    let name = name.trim_start_matches('.').to_owned();
    if is_valid_name(&name) { name } else { "worker".to_owned() }
}

/// Runs the daemon and returns the exit code.
pub(crate) fn run(args: DaemonArgs) -> ExitCode {
    start_logging(&args.log_format);
    if args.threads == 0 || args.slots == Some(0) {
        return give_up(BAD_INPUT, "--threads and --slots must be at least 1");
    }
    let name = args.name.clone().unwrap_or_else(host_name);
    if !is_valid_name(&name) {
        return give_up(
            BAD_INPUT,
            format!("`{name}` is not a worker name: at most {MAX_NAME} of A-Z a-z 0-9 . _ -, no leading dot"),
        );
    }
    let devices = match chosen_devices(&args) {
        Ok(devices) => devices,
        Err(sentence) => return give_up(BAD_INPUT, sentence),
    };
    if let Err(error) = std::fs::create_dir_all(&args.state_dir) {
        return give_up(ENVIRONMENT, format!("cannot make the state directory {}: {error}", args.state_dir.display()));
    }
    let state_dir = match absolute(&args.state_dir) {
        Ok(path) => path,
        Err(sentence) => return give_up(ENVIRONMENT, sentence),
    };
    // Held until this process ends.
    let _lock = match lock(&state_dir) {
        Ok(lock) => lock,
        Err(sentence) => return give_up(ENVIRONMENT, sentence),
    };
    // Models of other stages are fetched when they are needed. Those of an earlier run only take room.
    if let Err(error) = std::fs::remove_dir_all(state_dir.join("models"))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return give_up(ENVIRONMENT, format!("cannot clear {}: {error}", state_dir.join("models").display()));
    }
    let data_root = absolute(&args.data_root).unwrap_or_else(|_| args.data_root.clone());
    // Trainers get these paths as text.
    for (flag, path) in [("--state-dir", &state_dir), ("--data-root", &data_root)] {
        if let Some(part) = path.iter().find(|part| part.to_str().is_none()) {
            let folder = path.display();
            return give_up(
                BAD_INPUT,
                format!("the folder of {flag} is {folder}: rename its part {part:?}, which is not UTF-8"),
            );
        }
    }
    let data_cache = CacheOptions {
        folder: args.data_cache.clone().unwrap_or_else(|| state_dir.join("data")),
        limit: args.data_cache_limit,
    };
    let datasets = match announcements(&args) {
        Ok(datasets) => datasets,
        Err(sentence) => return give_up(BAD_INPUT, sentence),
    };
    let mut options = Options {
        worker: WorkerId { name, boot: uuid::Uuid::now_v7() },
        coordinators: args.coordinator,
        wire: Wire::Plain,
        devices,
        threads: args.threads,
        data_root,
        datasets,
        state_dir,
        spool_limit: args.spool_limit,
        until_idle: args.until_idle,
        data_cache,
    };
    // A caller that waits for a worker with `--until-idle` must see that the worker was stopped.
    let cut_short = if args.until_idle.is_some() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS };
    // The daemon only waits: two threads are enough, and leave the cores to the trainers.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(ENVIRONMENT, format!("cannot start the runtime: {error}")),
    };
    let code = runtime.block_on(async {
        let (stop, stopping) = watch::channel(None);
        if args.exit_with_stdin {
            stop_at_end_of_input(stop.clone());
        }
        if let Err(error) = stop_on_signals(stop) {
            return give_up(ENVIRONMENT, format!("cannot listen for signals: {error}"));
        }
        let (urls, name) = (&options.coordinators, options.worker.name.as_str());
        let mut told_to_stop = stopping.clone();
        let prepared = tokio::select! {
            prepared = identity::prepare(urls, args.token_file.as_deref(), &options.state_dir, name) => prepared,
            _ = told_to_stop.changed() => return cut_short,
        };
        options.wire = match prepared {
            Ok(wire) => wire,
            Err(error) => return give_up(REFUSED, error),
        };
        match pretext_daemon::serve(options, stopping).await {
            Ok(End::Idle) => {
                let seconds = args.until_idle.map(|patience| patience.as_secs());
                tracing::info!(seconds, "no stage that this worker can run has waited: shutting down");
                ExitCode::SUCCESS
            }
            Ok(End::Stopped) => cut_short,
            Err(ServeError::Link(error @ (LinkError::Url(_) | LinkError::Nowhere))) => give_up(BAD_INPUT, error),
            Err(ServeError::Link(error)) => give_up(REFUSED, error),
            Err(ServeError::Spool(error)) => give_up(ENVIRONMENT, error),
            Err(ServeError::Cache(error)) => give_up(ENVIRONMENT, error),
        }
    });
    // A disk or a name server that hangs must not delay the exit.
    runtime.shutdown_background();
    code
}

/// Locks the state directory, because two daemons must not share checkpoints. Waits for up to [`LOCK_PATIENCE`]: a
/// daemon whose parent process is gone ends within seconds.
fn lock(state_dir: &Path) -> Result<File, String> {
    let path = state_dir.join("lock");
    let failed = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    eprintln!(
                        "worker: {} is in use by another worker; waiting up to {} s for it to end",
                        state_dir.display(),
                        LOCK_PATIENCE.as_secs()
                    );
                }
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "{} is in use by another worker: stop it, or choose another --state-dir",
                    state_dir.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("cannot use {}: {error}", path.display()))
}

/// Stops the daemon at the end of standard input, when the process that started this one is gone.
fn stop_at_end_of_input(stop: watch::Sender<Option<Instant>>) {
    std::thread::spawn(move || {
        // Nothing is ever written to standard input: the copy returns when it ends.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tell(&stop);
    });
}

/// Notes that the daemon was told to stop. The first call sets the time.
fn tell(stop: &watch::Sender<Option<Instant>>) {
    stop.send_if_modified(|since| {
        let first = since.is_none();
        since.get_or_insert_with(Instant::now);
        first
    });
}

/// Asks the trainers to stop at the first SIGTERM or SIGINT. Schedulers repeat SIGTERM: all of them are one stop. A
/// second SIGINT (Ctrl-C) ends the process at once, and the newest checkpoint is kept.
fn stop_on_signals(stop: watch::Sender<Option<Instant>>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut told = false;
        loop {
            let interrupted = tokio::select! {
                _ = terminate.recv() => false,
                _ = interrupt.recv() => true,
            };
            if told && interrupted {
                std::process::exit(INTERRUPTED.into());
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!("stopping: trainers checkpoint at their next step");
                tell(&stop);
            }
        }
    });
    Ok(())
}

/// Starts logging to standard error; `PRETEXT_LOG` sets the level.
pub(crate) fn start_logging(format: &str) {
    let filter = EnvFilter::try_from_env("PRETEXT_LOG").unwrap_or_else(|_| EnvFilter::new("info,trainer=debug"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        "json" => logs.json().init(),
        _ => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
}
