//! The exports of a report, read back by the programs that people use: data frames, SQL, TensorBoard and LaTeX. A gRPC
//! client knows only what the server describes, and the notebook of `examples/` is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pretext_server::authorization::table::{Access, TABLE};
use pretext_tests::processes::read;
use pretext_tests::stub::Stub;
use pretext_tests::{Daemon, Output, Scratch, Server, coordinator, installed, members, until};
use serde_json::{Value, json};

use crate::web::trained::{STUDY, train};
use crate::web::wire::{SWEEP, Site};

/// A sweep that trains in seconds: shared and own stages, two seeds, and points of every kind.
const TRAINED: &str = "
name: exports
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.01}, other_50: {kind: cosine, base: 0.02}}
seeds: [0, 1]
pretext: {data: all, epochs: 2, batch: 8}
downstream: {epochs: 2, batch: 8}
numeric: cpu
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn script(name: &str) -> Command {
    let mut command = Command::new(installed::programs("exports").join("python"));
    command.arg(root().join("tests/exports").join(name)).stdin(Stdio::null());
    command
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text path")
}

/// The report of [`TRAINED`] by `coordinator run`, and the id of the sweep.
fn run(folder: &Scratch) -> (PathBuf, String) {
    folder.file("sweep.yaml", TRAINED);
    let ran = coordinator(folder, &["run", "sweep.yaml", "--device", "cpu", "--out", "ran", "--json"]).expect(0);
    let line = ran.stdout.lines().last().expect("a result");
    let sweep = serde_json::from_str::<Value>(line).expect("JSON")["sweep"].as_str().expect("an id").to_owned();
    (folder.path("ran"), sweep)
}

#[test]
fn other_programs_read_every_number_as_it_was_measured() {
    let folder = Scratch::new();
    let (ran, sweep) = run(&folder);
    // The coordinator of `run` is gone: its folder has everything.
    let from = ["report", &sweep, "--state-dir", ".pretext", "--out", "report"];
    coordinator(&folder, &[&from[..], &["--bundle", "bundle.zip", "--models"]].concat()).expect(0);
    let nowhere = coordinator(&folder, &[&from[..], &["--bundle", "nowhere/bundle.zip"]].concat()).expect(2);
    assert!(nowhere.stderr.contains("there is no folder nowhere"), "{nowhere:?}");
    let report = folder.path("report");
    for file in ["cells.parquet", "points.parquet", "results.json", "report.tex", "points.csv"] {
        let same = std::fs::read(ran.join(file)).expect(file) == std::fs::read(report.join(file)).expect(file);
        assert!(same, "{file} of the run and of its folder differ");
    }
    let checked: Output =
        script("tables.py").arg(&report).arg(folder.path("bundle.zip")).output().expect("Python").into();
    let checked = checked.expect(0).json();
    // 2 methods × 2 fractions × 2 policies × 2 seeds.
    assert_eq!(checked["cells"], 16);
    assert!(checked["points"].as_u64().is_some_and(|points| points > 16 * 10), "{checked}");

    // The tables of a paper.
    let paper = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{report.tex}\\end{document}";
    std::fs::write(report.join("paper.tex"), paper).expect("a writable folder");
    let mut latex = Command::new(installed::programs("latex").join("pdflatex"));
    // A draft is set like every other, without the fonts.
    latex.args(["-interaction=nonstopmode", "-halt-on-error", "-draftmode", "paper.tex"]).current_dir(&report);
    let set: Output = latex.stdin(Stdio::null()).output().expect("`tests/setup.sh test` installs LaTeX").into();
    let set = set.expect(0);
    let flaws = ["! ", "Overfull"].iter().any(|flaw| set.stdout.contains(flaw));
    assert!(set.stdout.contains("[1") && !flaws, "{}", set.stdout);

    // The sweep against itself, by its folder and by its id.
    let compare = ["report", "--compare", text(&ran), &sweep, "--state-dir", ".pretext", "--out", "against", "--json"];
    let against = coordinator(&folder, &compare).expect(0).json();
    let pairs = against["pairs"].as_array().expect("a list");
    assert!(pairs.len() == 8 && pairs.iter().all(|pair| pair["same"] == 2), "{pairs:?}");
    assert!(read(&folder.path("against/comparison.md")).contains("the same stages: no test"));
    let bad = coordinator(&folder, &["report", "--compare", text(&ran), "none", "--state-dir", ".pretext"]).expect(2);
    assert!(bad.stderr.contains("none"), "{bad:?}");
}

#[tokio::test]
async fn a_stock_client_calls_every_procedure_that_reads() {
    let (site, mut stub, sweep) = Site::with_sweep().await;
    // A stage with an artifact that can be fetched.
    let grant = stub.lease("1").await.expect("work");
    let content = b"a checkpoint";
    stub.upload(&grant, content).await.expect("room");
    let reads = |access: Access| match access {
        Access::Public => true,
        Access::Known => false,
        Access::Roles(roles) => roles.contains(&pretext_identity::Role::Read),
    };
    // Joining is public, and makes an identity. The others of this kind only look.
    let procedures: Vec<&str> = TABLE
        .iter()
        .filter(|rpc| reads(rpc.access) && rpc.name != "pretext.v1.Identity/Join")
        .map(|rpc| rpc.name)
        .filter(|name| !name.starts_with("grpc.reflection."))
        .collect();
    assert!(procedures.contains(&"pretext.v1.Sweeps/Get") && !procedures.contains(&"pretext.v1.Sweeps/Submit"));
    let scaled = json!({ "name": "worker", "namespace": "lab", "scalerMetadata": { "class": "cpu" } });
    let facts = json!({
        "procedures": procedures,
        "arguments": {
            "pretext.v1.Sweeps/Plan": { "spec": SWEEP },
            "pretext.v1.Sweeps/Get": { "sweep": sweep, "points": true },
            "pretext.v1.Sweeps/Watch": { "sweep": sweep },
            "pretext.v1.Sweeps/Explain": { "cell": format!("{sweep}/rotation/0.5/fixed/0") },
            "pretext.v1.Sweeps/Verify": { "sweep": sweep },
            "pretext.v1.Sweeps/Fetch": { "artifact": pretext_shared::ids::ContentHash::of(content).to_string() },
            "externalscaler.ExternalScaler/IsActive": scaled,
            "externalscaler.ExternalScaler/StreamIsActive": scaled,
            "externalscaler.ExternalScaler/GetMetricSpec": scaled,
            "externalscaler.ExternalScaler/GetMetrics": { "scaledObjectRef": scaled, "metricName": "pretext-cpu-slots" },
        },
    });
    let mut command = script("reflection.py");
    command.arg(site.server.address().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Python");
    serde_json::to_writer(child.stdin.take().expect("piped"), &facts).expect("a script that reads");
    let answered = Output::from(child.wait_with_output().expect("Python")).expect(0).json();
    assert_eq!(answered["answers"].as_object().map(serde_json::Map::len), Some(procedures.len()));
    assert_eq!(answered["answers"]["pretext.v1.Sweeps/List"]["sweeps"][0]["sweep"], sweep.as_str());
    for version in ["v1", "v1alpha"] {
        let name = format!("grpc.reflection.{version}.ServerReflection");
        assert!(answered["services"].as_array().is_some_and(|all| all.contains(&json!(name))), "{answered}");
    }
}

#[test]
fn the_notebook_draws_a_sweep_that_runs_behind_tls() {
    let folder = Scratch::new();
    members::authority(&folder);
    let tls = ["--tls", "--tls-name", "127.0.0.1", "--web", "0.0.0.0:0"];
    let server = Server::start(&folder, &tls);
    let (mine, token) = (members::join(&folder, &server.url, "submit", "me"), members::token(&folder, "worker", "w"));
    let ask = |args: &[&str]| server.ask(&folder, &[args, &["--credentials", text(&mine)]].concat());
    let file = folder.file("sweep.yaml", TRAINED);
    let submitted = ask(&["submit", text(&file), "--json"]).expect(0).json();
    let sweep = submitted["sweep"].as_str().expect("an id").to_owned();
    let _worker = Daemon::start(&folder, &server.url, "w", &["--slots", "1", "--token-file", text(&token)]);
    until("a cell has a result", || {
        let cells = ask(&["status", &sweep, "--json"]).expect(0).json()["cells"].clone();
        cells.as_array()?.iter().any(|cell| cell["state"] == "succeeded").then_some(())
    });
    let token = ask(&["login", "--token"]).expect(0).stdout;
    // The authority of another coordinator. The variable makes it what requests trusts by default.
    let elsewhere = Scratch::new();
    members::authority(&elsewhere);
    let (own, foreign) = (folder.path("state/identity/ca.pem"), elsewhere.path("state/identity/ca.pem"));
    let draw = |authority: &Path| -> Output {
        script("notebook.py")
            .arg(root().join("examples/notebook/study.ipynb"))
            .env("PRETEXT_WEB", server.web.as_deref().expect("asked for"))
            .env("PRETEXT_TOKEN", token.trim())
            .env("PRETEXT_CA", authority)
            .env("REQUESTS_CA_BUNDLE", &foreign)
            .output()
            .expect("Python")
            .into()
    };
    let refused = draw(&foreign).expect(1);
    assert!(refused.stderr.contains("CERTIFICATE_VERIFY_FAILED"), "{refused:?}");
    let drawn = draw(&own);
    let drawn = drawn.expect(0).json();
    assert_eq!(drawn["figures"], 1);
    assert!(drawn["lines"].as_u64().is_some_and(|lines| lines <= 30), "{drawn}");
    let entries = drawn["entries"].as_array().expect("a list");
    assert!(entries.len() == 8 && entries.iter().any(|entry| entry["accuracy.mean"].is_f64()), "{entries:?}");
}

#[tokio::test]
async fn other_trackers_get_every_point() {
    let site = Site::start();
    let read_only = site.session("read");
    let mut stub = Stub::register(&site.server.url, "stub", 1).await;
    let sweep = site.server.submit(&site.folder, STUDY);
    train(&site, &mut stub, &sweep, &read_only).await;
    site.server.report(&site.folder, &sweep);
    let checked: Output = script("replay.py")
        .arg(root().join("examples/replay"))
        .arg(site.folder.path("report"))
        .output()
        .expect("Python")
        .into();
    let checked = checked.expect(0).json();
    assert_eq!(checked, json!({ "wandb": 8, "mlflow": 8 }), "runs of each");
}
