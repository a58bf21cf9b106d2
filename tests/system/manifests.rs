//! Everything below deploy/ is rendered and checked without a cluster, and every command line in it is run with the
//! real programs. Container images are not built here, so this does not show that they start.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use pretext_tests::installed::programs;
use pretext_tests::processes::{Guarded, coordinator_command, program, read};
use pretext_tests::redis::Redis;
use pretext_tests::s3::{BUCKET, S3};
use pretext_tests::{Output, Scratch, coordinator, until};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The result of the checks of the manifests.
#[derive(Deserialize)]
struct Checked {
    /// Command lines, by their places.
    commands: BTreeMap<String, Vec<String>>,
    /// Rendered documents, by overlay.
    documents: BTreeMap<String, Vec<Value>>,
}

/// Runs the checks.
fn checked() -> Checked {
    let python = programs("manifest-tools").join("python");
    let script = root().join("tests/manifests/check.py");
    let output: Output = Command::new(python).arg(script).arg(root()).output().expect("Python").into();
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_value(output.json()).expect("command lines and documents")
}

/// A server that was started with arguments from a manifest.
struct Served {
    _process: Guarded,
    _store: Option<Redis>,
    _artifacts: Option<S3>,
    url: String,
    log: PathBuf,
}

impl Served {
    fn start(folder: &Scratch, arguments: &[String]) -> Self {
        let state = folder.path("state");
        let state = state.to_str().expect("text");
        if arguments.iter().any(|argument| argument == "--tls") {
            coordinator(folder, &["init-ca", "--if-missing", "--state-dir", state]).expect(0);
        }
        // A store with the users of the manifests.
        let guarded = arguments.iter().any(|argument| argument.starts_with("--store-password-file="));
        let store = guarded.then(|| Redis::guarded(folder, "secret"));
        let password = folder.file("password", "secret\n");
        // And artifacts in a bucket.
        let in_bucket = arguments.iter().any(|argument| argument.starts_with("--artifacts=s3://pretext/"));
        let artifacts = in_bucket.then(|| S3::start(folder));
        // Another folder and other ports; everything else is as written.
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace("/etc/pretext/redis/password", password.to_str().expect("text")))
            .map(|argument| argument.replace("s3://pretext/", &format!("s3://{BUCKET}/")))
            .map(|argument| argument.replace("/var/lib/pretext", state))
            .map(|argument| argument.replace("0.0.0.0:7878", "127.0.0.1:0").replace("0.0.0.0:7879", "127.0.0.1:0"))
            .map(|argument| if argument == "--monitor" { "--monitor=127.0.0.1:0".to_owned() } else { argument })
            .collect();
        let (out, log) = (folder.path("serve.out"), folder.path("serve.log"));
        let file = |path: &Path| {
            Stdio::from(OpenOptions::new().create(true).append(true).open(path).expect("a writable folder"))
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = coordinator_command(folder, &arguments);
        command.stdout(file(&out)).stderr(file(&log));
        if let Some(store) = &store {
            command.env("PRETEXT_STORE", store.url());
        }
        if let Some(artifacts) = &artifacts {
            let key = "[default]\naws_access_key_id = lab\naws_secret_access_key = secret\n";
            command.envs(S3::variables_with(artifacts.address, &folder.file("credentials", key)));
        }
        let mut process = Guarded(command.spawn().expect("the program starts"));
        let url = until("it listens", || {
            let ended = process.0.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "{arguments:?}: {}", read(&log));
            Some(read(&out).lines().next()?.strip_prefix("listening on ")?.to_owned())
        });
        Self { _process: process, _store: store, _artifacts: artifacts, url, log }
    }
}

#[test]
fn manifests_are_valid_and_the_programs_take_their_arguments() {
    let Checked { commands: lines, documents } = checked();
    for (overlay, documents) in &documents {
        assert!(documents.len() > 10, "{overlay}");
        for document in documents {
            let written = round_trip(document).unwrap_or_else(|error| panic!("{overlay}: {error}\n{document:#}"));
            assert_eq!(&written, document, "{overlay}: a field was dropped");
        }
    }
    let count = |prefix: &str| lines.keys().filter(|name| name.starts_with(prefix)).count();
    let overlays = ["single-node/", "data-volume/", "nvidia/", "spot/", "batch/", "high-availability/"];
    for (place, least) in [("compose/", 2), ("systemd/", 2)].into_iter().chain(overlays.map(|overlay| (overlay, 3))) {
        assert!(count(place) >= least, "{place}: {:?}", lines.keys());
    }
    // Many places have the same command line: each is run once.
    let distinct: BTreeMap<&[String], &str> =
        lines.iter().map(|(place, line)| (line.as_slice(), place.as_str())).collect();
    for (line, place) in &distinct {
        let (name, arguments) = line.split_first().expect("a program");
        let folder = Scratch::new();
        match (name.as_str(), arguments.first().map(String::as_str)) {
            ("coordinator", Some("init-ca")) => {
                let state = folder.path("state");
                let state = state.to_str().expect("text");
                let line: Vec<String> =
                    arguments.iter().map(|argument| argument.replace("/var/lib/pretext", state)).collect();
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                // The same at every start of the pod.
                for _ in 0..2 {
                    coordinator(&folder, &line).expect(0);
                }
            }
            ("coordinator", _) => {
                let served = Served::start(&folder, arguments);
                let tls = arguments.iter().any(|argument| argument == "--tls");
                assert_eq!(served.url.starts_with("https://"), tls, "{place}");
            }
            ("worker", _) => registers(&folder, place, arguments),
            other => panic!("{place}: {other:?}"),
        }
    }
}

/// Reads a document into its API type and writes it again: fields that the type does not know are lost on the way. The
/// types are those of the oldest supported version, so that nothing newer is used.
fn round_trip(document: &Value) -> Result<Value, serde_json::Error> {
    fn through<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, serde_json::Error> {
        serde_json::to_value(serde_json::from_value::<T>(document.clone())?)
    }
    let text = |key: &str| document[key].as_str().unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "Namespace") => through::<Namespace>(document),
        ("v1", "PersistentVolumeClaim") => through::<PersistentVolumeClaim>(document),
        ("v1", "Service") => through::<Service>(document),
        ("v1", "ServiceAccount") => through::<ServiceAccount>(document),
        ("apps/v1", "Deployment") => through::<Deployment>(document),
        ("apps/v1", "StatefulSet") => through::<StatefulSet>(document),
        ("batch/v1", "Job") => through::<Job>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => through::<NetworkPolicy>(document),
        ("policy/v1", "PodDisruptionBudget") => through::<PodDisruptionBudget>(document),
        // check.py checks these against KEDA's own schema.
        ("keda.sh/v1alpha1", _) => Ok(document.clone()),
        other => Err(serde::de::Error::custom(format!("no type for {other:?}"))),
    }
}

/// Starts a worker with the given arguments, against a coordinator of this machine, and waits until it has registered.
fn registers(folder: &Scratch, place: &str, arguments: &[String]) {
    let tls = arguments.iter().any(|argument| argument.starts_with("--token-file"));
    let serve = ["serve", "--listen", "0.0.0.0:7878", if tls { "--tls" } else { "--insecure" }, "--state-dir"];
    let mut serve: Vec<String> = serve.map(str::to_owned).into();
    serve.push("/var/lib/pretext".to_owned());
    let served = Served::start(folder, &serve);
    let (state, token) = (folder.path("state"), folder.path("join-token"));
    if tls {
        let state = state.to_str().expect("text");
        let made = coordinator(folder, &["token", "create", "--role", "worker", "--state-dir", state]).expect(0);
        std::fs::write(&token, made.stdout).expect("a writable folder");
    }
    let mut line: Vec<String> = arguments
        .iter()
        .map(|argument| argument.replace("/etc/pretext/join/token", token.to_str().expect("text")))
        .map(|argument| argument.replace("${CREDENTIALS_DIRECTORY}/join-token", token.to_str().expect("text")))
        .map(|argument| argument.replace("/var/lib/pretext", folder.path("worker").to_str().expect("text")))
        .map(|argument| argument.replace("--device=cuda", "--device=cpu"))
        // The value that a cluster fills in.
        .map(|argument| argument.replace("$(JOB_COMPLETION_INDEX)", "3"))
        .map(|argument| argument.replace("$(POD_UID)", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
        .map(|argument| if argument == "auto" { "cpu".to_owned() } else { argument })
        .collect();
    // Units name the coordinator in the environment.
    match line.iter_mut().find(|argument| argument.starts_with("--coordinator=")) {
        Some(argument) => *argument = format!("--coordinator={}", served.url),
        None => line.push(format!("--coordinator={}", served.url)),
    }
    let log = folder.path("worker.log");
    let child = Command::new(program("worker"))
        .args(&line)
        .env_remove("PRETEXT_COORDINATOR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(OpenOptions::new().create(true).append(true).open(&log).expect("a writable folder"))
        .spawn()
        .expect("the program starts");
    let mut worker = Guarded(child);
    until("the worker has registered", || {
        let ended = worker.0.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "{place}: {line:?}: {}", read(&log));
        read(&served.log).contains("worker registered").then_some(())
    });
    worker.signal(rustix::process::Signal::TERM);
    // A worker with `--until-idle` was stopped early.
    let batch = line.iter().any(|argument| argument.starts_with("--until-idle"));
    assert_eq!(worker.ended(), if batch { 130 } else { 0 }, "{place}: {}", read(&log));
}
