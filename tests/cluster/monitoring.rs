//! A server as its operator sees it: ports, metrics, alerts with their pages, and logs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pretext_tests::installed::programs;
use pretext_tests::stub::Stub;
use pretext_tests::{Output, Scratch, Server, coordinator, processes, until};
use serde::Deserialize;
use serde_json::Value;
use tonic::Request;

const SWEEP: &str = "
name: watched
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Returns the body of `GET path`, which must exist.
fn get(url: &str, path: &str) -> String {
    let (status, body) = processes::get(url, path);
    assert_eq!(status, 200, "{body}");
    body
}

/// Returns the addresses on which a process listens, as the kernel writes them.
#[cfg(target_os = "linux")]
fn listening(pid: u32) -> Vec<String> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process of ours");
    let sockets: BTreeSet<String> = folder
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .flat_map(|table| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            let lines: Vec<Vec<String>> =
                text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
            lines
        })
        .filter(|fields| fields.get(3).is_some_and(|state| state == "0A") && sockets.contains(&fields[9]))
        .map(|fields| fields[1].clone())
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_default_server_can_be_reached_from_this_machine_alone() {
    let folder = Scratch::new();
    // `--listen` only replaces the default port, which another server may use.
    let plain = Server::start(&folder, &[]);
    let other = Scratch::new();
    let monitored = Server::start(&other, &["--monitor", "127.0.0.1:0"]);
    for (server, ports) in [(&plain, 1), (&monitored, 2)] {
        let found = listening(server.process.0.id());
        assert_eq!(found.len(), ports, "{found:?}");
        assert!(found.iter().all(|address| address.starts_with("0100007F:")), "{found:?}");
    }
    let help = coordinator(&folder, &["serve", "--help"]).expect(0).stdout;
    assert!(help.contains("[default: 127.0.0.1:7878]"), "{help}");
}

#[tokio::test]
async fn metrics_and_logs_tell_what_happened_to_a_stage() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--monitor", "127.0.0.1:0", "--log-format", "json"]);
    let monitoring = server.monitoring.clone().expect("asked for");
    let mut worker = Stub::register(&server.url, "stub", 1).await;
    let file = folder.file("sweep.yaml", SWEEP);
    server.ask(&folder, &["submit", file.to_str().expect("text")]).expect(0);
    let shows = |line: &str| {
        let text = get(&monitoring, "/metrics");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    };
    shows("pretext_stages{class=\"cpu\",state=\"ready\"} 1");
    shows("pretext_slots{class=\"cpu\"} 1");
    shows("pretext_open_sweeps 1");
    shows("pretext_leading 1");
    assert_eq!(get(&monitoring, "/ready"), "{\"ready\":true}");

    let grant = worker.lease("0190-grant").await.expect("work");
    let attempt = grant.attempt.clone().expect("an attempt");
    shows("pretext_attempts_total{outcome=\"granted\"} 1");
    shows("pretext_stages{class=\"cpu\",state=\"running\"} 1");

    // A valid request id of the caller is kept; an id that is not fit for a log is replaced.
    for id in ["0190-release", "two words"] {
        let release = pretext_proto::v1::ReleaseRequest { attempt: Some(attempt.clone()) };
        let mut request = Request::new(release);
        request.metadata_mut().insert("x-request-id", id.parse().expect("a header"));
        // The second call is refused: the lease is free by then.
        let _ = worker.client.release(request).await;
    }
    shows("pretext_attempts_total{outcome=\"released\"} 1");
    shows("pretext_rpc_total{rpc=\"pretext.v1.Work/Release\",code=\"ok\"} 1");
    shows("pretext_rpc_total{rpc=\"pretext.v1.Work/Release\",code=\"aborted\"} 1");

    let find = |message: &str| {
        until("the log has the line", || {
            let log = std::fs::read_to_string(folder.path("serve.log")).unwrap_or_default();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(|line| line["message"] == message)
        })
    };
    let granted = find("stage granted");
    assert_eq!(granted["stage"], attempt.stage.as_str());
    assert_eq!(
        (&granted["fence"], &granted["grant_request"]),
        (&Value::from(attempt.fence), &Value::from("0190-grant"))
    );
    let released = find("lease given back");
    assert_eq!(released["span"]["request"], "0190-release");
    assert_eq!(released["span"]["rpc"], "pretext.v1.Work/Release");
    assert_eq!((&released["stage"], &released["fence"]), (&granted["stage"], &granted["fence"]));
    let log = std::fs::read_to_string(folder.path("serve.log")).expect("a log");
    assert!(!log.contains("two words"));
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    annotations: std::collections::BTreeMap<String, String>,
}

/// Returns the metrics that an expression names.
fn names(expr: &str) -> BTreeSet<&str> {
    expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("pretext_")).collect()
}

#[test]
fn every_alert_fires_when_it_should_and_not_otherwise() {
    let promtool = |arguments: [&str; 3]| {
        let program = programs("prometheus").join("promtool");
        let output: Output =
            Command::new(program).args(arguments).current_dir(root()).output().expect("promtool").into();
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    };
    promtool(["check", "rules", "deploy/alerts/pretext.rules.yaml"]);
    promtool(["test", "rules", "tests/manifests/alerts.test.yaml"]);
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of the repository");
    let cases = read("tests/manifests/alerts.test.yaml");
    let rules = read("deploy/alerts/pretext.rules.yaml");
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("        alertname: {alert}\n        exp_alerts:");
        assert!(cases.contains(&fires), "nothing shows that {alert} fires");
    }
    // The rules ask for the name that the scrape configuration gives.
    assert!(rules.contains("up{job=\"pretext\"}") && read("deploy/alerts/scrape.yaml").contains("job_name: pretext\n"));
}

#[tokio::test]
async fn every_alert_asks_for_metrics_that_are_there_and_has_its_page() {
    let folder = Scratch::new();
    let state = folder.path("state");
    coordinator(&folder, &["init-ca", "--state-dir", state.to_str().expect("text")]).expect(0);
    let server = Server::start(&folder, &["--tls", "--monitor", "127.0.0.1:0"]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    // A person joins, looks, and is revoked: the commands of docs/cluster.md.
    let (state, mine) = (state.to_str().expect("text"), folder.path("mine"));
    let token = coordinator(&folder, &["token", "create", "--role", "read", "--state-dir", state]).expect(0).stdout;
    let token = folder.file("token", &token);
    let mine = mine.to_str().expect("text");
    let join =
        ["join", &server.url, "--token-file", token.to_str().expect("text"), "--name", "me", "--credentials", mine];
    assert!(coordinator(&folder, &join).expect(0).stdout.contains("joined as read `me`"));
    coordinator(&folder, &join).expect(2);
    server.ask(&folder, &["workers", "--credentials", mine]).expect(0);
    let file = folder.file("sweep.yaml", SWEEP);
    let submit = server.ask(&folder, &["submit", file.to_str().expect("text"), "--credentials", mine]).expect(2);
    assert!(submit.stderr.contains("the role `read` may not do this"), "{}", submit.stderr);
    let nowhere = server.ask(&folder, &["status", "--credentials", folder.path("none").to_str().expect("text")]);
    assert!(nowhere.expect(2).stderr.contains("coordinator join"));
    coordinator(&folder, &["token", "revoke", "--role", "read", "--name", "me", "--state-dir", state]).expect(0);
    let out = server.ask(&folder, &["status", "--credentials", mine]).expect(2);
    assert!(out.stderr.contains("revoked"), "{}", out.stderr);

    let text = get(&server.monitoring.clone().expect("asked for"), "/metrics");
    let path = root().join("deploy/alerts/pretext.rules.yaml");
    let rules: Rules =
        serde_saphyr::from_str(&std::fs::read_to_string(path).expect("the rules")).expect("rules of Prometheus");
    let rules: Vec<Rule> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
    let mut pages = BTreeSet::new();
    for Rule { alert, expr, annotations } in &rules {
        let page = &annotations["runbook_url"];
        assert_eq!(page, &format!("docs/runbook/{alert}.md"));
        let content = std::fs::read_to_string(root().join(page)).expect(page);
        assert!(content.starts_with(&format!("# {alert}\n")) && content.contains("## What to do"), "{page}");
        assert!(annotations.contains_key("summary"), "{alert}");
        for name in names(expr) {
            let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
            assert!(text.contains(&format!("# TYPE {family} ")), "{alert}: {name} is not in\n{text}");
        }
        pages.insert(format!("{alert}.md"));
    }
    let there = std::fs::read_dir(root().join("docs/runbook")).expect("the runbook");
    let there: BTreeSet<String> = there.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, pages, "a page for each alert and no other");
}
