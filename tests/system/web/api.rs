//! The read API: credentials, filters, curves, errors, and the stream of changes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use pretext_tests::stub::Stub;
use serde_json::{Value, json};

use super::trained::{STUDY, accuracy, train};
use super::wire::Site;

#[tokio::test]
async fn a_token_reads_the_api_and_nothing_else() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let token = site.server.ask(&site.folder, &["login", "--token", "--json"]).expect(0).json();
    assert_eq!(token["url"], format!("http://{}/api/v1", site.address));
    let bearer = format!("Authorization: Bearer {}", token["token"].as_str().expect("a token"));
    for path in Site::reads(&sweep) {
        let answer = site.get(&path, &bearer);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{path}: {answer:?}");
        answer.json();
    }
    // It opens no page and makes no change.
    for path in Site::looks(&sweep) {
        assert_eq!(site.get(&path, &bearer).status, 401, "{path}");
    }
    for path in Site::changes(&sweep) {
        assert_eq!(site.ask("POST", &path, &[&site.origin(), &bearer], "").status, 401, "{path}");
    }
    assert!(!site.is_cancelled(&sweep));
    let printed = site.server.ask(&site.folder, &["login", "--token"]).expect(0);
    assert_eq!(printed.stdout.trim().len(), 64, "the token alone: {printed:?}");
}

#[tokio::test]
async fn errors_are_json_with_a_code() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let read = site.session("read");
    let own = format!("/api/v1/sweeps/{sweep}");
    for (path, status, code) in [
        ("/api/v1/none".to_owned(), 404, "no-such-path"),
        ("/api/v2/sweeps".to_owned(), 404, "no-such-path"),
        ("/api/v1/sweeps/none-00000000".to_owned(), 404, "unknown-sweep"),
        ("/api/v1/sweeps/%ff/cells".to_owned(), 404, "unknown-sweep"),
        (format!("{own}/cells?methd=rotation"), 400, "bad-query"),
        (format!("{own}/cells?method=none"), 400, "bad-query"),
        (format!("{own}/cells?limit=0"), 400, "bad-query"),
        (format!("{own}/cells?limit=1&limit=2"), 400, "bad-query"),
        (format!("{own}/curves?points=1000000"), 400, "bad-query"),
        (format!("{own}/curves?x=miles"), 400, "bad-query"),
    ] {
        let answer = site.get(&path, &read);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (status, Some(code)), "{path}");
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|text| text.len() > 10), "{answer:?}");
    }
    let other = site.ask("GET", &own, &["Host: evil.example", &read], "");
    assert_eq!((other.status, &other.json()["error"]["code"]), (421, &json!("refused")));
    assert_eq!(site.get(&own, "Authorization: Bearer 0").json()["error"]["code"], "no-session");
}

#[tokio::test]
async fn cells_and_curves_are_chosen_and_say_what_was_measured() {
    let site = Site::start();
    let read = site.session("read");
    let mut stub = Stub::register(&site.server.url, "stub", 1).await;
    let sweep = site.server.submit(&site.folder, STUDY);
    train(&site, &mut stub, &sweep, &read).await;
    let get = |path: &str| site.get(&format!("/api/v1/sweeps/{sweep}{path}"), &read).json();

    let whole = get("");
    assert_eq!((&whole["is_final"], &whole["cells"]["succeeded"]), (&json!(true), &json!(8)));
    assert_eq!(
        (&whole["fractions"], &whole["policies"], &whole["seeds"]),
        (&json!([0.5, 1.0]), &json!(["fixed"]), &json!([0, 1]))
    );
    let cells = get("/cells");
    assert_eq!((&cells["total"], &cells["next_offset"]), (&json!(8), &Value::Null));
    for cell in cells["cells"].as_array().expect("a list") {
        assert_eq!(cell["accuracy"], accuracy(cell), "{cell}");
    }
    let some = get("/cells?method=rotation&fraction=50%25&seed=0&seed=1&limit=1");
    assert_eq!((&some["total"], &some["next_offset"]), (&json!(2), &json!(1)));
    assert_eq!(some["cells"][0]["cell"], "rotation/0.5/fixed/0");

    let answers = get("/answers");
    let answer = &answers["answers"][0];
    assert_eq!(
        (&answer["fraction"], &answer["best"], &answer["second"]),
        (&json!(0.5), &json!("rotation"), &json!("supervised"))
    );
    assert!(answer["text"].as_str().is_some_and(|text| text.contains("Rotation is best: 60.25")), "{answer}");

    // Both seeds and both fractions; pretext stages are shared by fractions and come once.
    let curves = get("/curves?method=rotation&x=epoch&series=pretext/validation/loss&series=downstream/train/accuracy");
    assert_eq!(curves["cells"].as_array().map(Vec::len), Some(4));
    let stages = curves["stages"].as_array().expect("a list");
    let of = |kind: &str| stages.iter().filter(|stage| stage["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of("pretext").len(), of("downstream").len()), (2, 4));
    for stage in of("pretext") {
        assert_eq!(stage["series"].as_array().map(Vec::len), Some(1));
        let series = &stage["series"][0];
        assert_eq!((&series["name"], &series["count"]), (&json!("pretext/validation/loss"), &json!(6)));
        assert_eq!(series["x"], json!([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(series["y"][1], 1.0);
        assert!(stage["has"].as_array().is_some_and(|has| has.contains(&json!("pretext/train/learning-rate"))));
    }
    // Sixty seconds for thirty steps; few points keep both ends.
    let thin = get("/curves?cell=rotation/0.5/fixed/0&x=seconds&points=4&series=downstream/train/learning-rate");
    let series = thin["stages"].as_array().expect("a list").iter().find(|stage| stage["kind"] == "downstream");
    let series = series.expect("a stage")["series"][0].clone();
    assert_eq!(series["count"], 30);
    let x = series["x"].as_array().expect("a list");
    assert!(x.len() <= 4 && x.first() == Some(&json!(2.0)) && x.last() == Some(&json!(60.0)), "{series}");
}

/// The next event of a stream.
fn event(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Value {
    let data = lines.find_map(|line| line.ok()?.strip_prefix("data: ").map(str::to_owned));
    serde_json::from_str(&data.expect("an event")).expect("JSON")
}

#[tokio::test]
async fn a_stream_sends_each_change_once_and_goes_on_after_a_restart() {
    let (mut site, mut stub, sweep) = Site::with_sweep().await;
    let read = site.session("read");
    let open = |site: &Site, have: &str| {
        let mut stream = TcpStream::connect(&site.address).expect("a port");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let head = format!(
            "GET /api/v1/sweeps/{sweep}/changes?have={have} HTTP/1.1\r\nHost: {}\r\n{read}\r\n\r\n",
            site.address
        );
        stream.write_all(head.as_bytes()).expect("an open connection");
        let mut lines = BufReader::new(stream).lines();
        // The head of the answer tells that the state to compare with was read: what changes from here on is news.
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()), "a head");
        lines
    };
    let mut lines = open(&site, "");
    let first = event(&mut lines);
    assert_eq!(first["cells"].as_array().map(Vec::len), Some(4));
    assert_eq!(first["methods"], json!(["supervised", "rotation"]));
    let grant = stub.lease("1").await.expect("work");
    let second = event(&mut lines);
    let changed = second["changed"].as_array().expect("a delta").clone();
    assert!(!changed.is_empty() && changed.iter().all(|cell| cell[1] == "running"), "{second}");
    assert!(second.get("cells").is_none() && second["mark"] != first["mark"], "{second}");

    // A reader that was away gets only what it missed.
    let missed = event(&mut open(&site, first["mark"].as_str().expect("a mark")));
    assert_eq!(missed["changed"], second["changed"]);
    // The coordinator restarts: a reader with the last mark gets the next change alone.
    let listen = site.address.clone();
    site.server.process.kill();
    site.server.restart(&site.folder, &["--web", &listen]);
    let mut lines = open(&site, second["mark"].as_str().expect("a mark"));
    let mut stub = Stub::register(&site.server.url, "stub", 4).await;
    let before = stub.lease("2").await.expect("work");
    let third = event(&mut lines);
    assert!(third.get("cells").is_none() && third["changed"].is_array(), "{third}");
    drop((grant, before));
}
