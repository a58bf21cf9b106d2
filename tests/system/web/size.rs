//! The page at size, in a real Chromium: ten thousand cells are listed, filtered and coloured, and a change sends little.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use pretext_tests::browser::Browser;
use pretext_tests::stub::Stub;

use super::browsing::{log_in, picture};
use super::wire::Site;

/// Most bytes of a change.
const SMALL: usize = 20_000;

/// A sweep of ten thousand cells.
fn large() -> String {
    let seeds: Vec<String> = (0..250).map(|seed| seed.to_string()).collect();
    format!(
        "
name: large
dataset: {{kind: procedural, train_per_class: 400, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 1}}
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [5%, 10%, 25%, 50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}, falling: {{kind: cosine, base: 0.001}}}}
seeds: [{}]
pretext: {{data: all, epochs: 1, batch: 8}}
downstream: {{epochs: 1, batch: 8}}
",
        seeds.join(", ")
    )
}

#[tokio::test]
async fn ten_thousand_cells_are_listed_filtered_and_coloured_and_a_change_is_small() {
    let Some(mut browser) = Browser::start(&[]) else { return };
    let mut site = Site::start();
    let mut stub = Stub::register(&site.server.url, "stub", 4).await;
    let sweep = site.server.submit(&site.folder, &large());
    // Some cells of supervised training have a result.
    for request in 0..300 {
        let grant = stub.lease(&format!("first-{request}")).await.expect("work");
        stub.complete(grant).await;
    }
    browser.look(1280, 900, "light");
    log_in(&mut browser, &site, "read");
    browser.open(&format!("http://{}/sweeps/{sweep}/cells", site.address));
    browser.wait("document.querySelector('#cells [role=status]')?.textContent.startsWith('10000 of 10000 cells')");
    let took = |browser: &mut Browser| browser.value("Number(document.getElementById('cells').dataset.took)");
    println!("10,000 cells listed in {} ms", took(&mut browser));
    assert_eq!(browser.value("document.querySelectorAll('.row-cell').length < 80"), true, "only what is visible");
    let choose = |name: &str, value: &str| {
        format!(
            "(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('change')); }})(document.getElementById('filter-{name}'))"
        )
    };
    browser.value(&choose("method", "simclr"));
    browser.value(&choose("fraction", "0.05"));
    browser.wait("document.querySelector('#cells [role=status]').textContent.startsWith('500 of 10000 cells')");
    println!("filtered in {} ms", took(&mut browser));
    assert_eq!(browser.value("location.search"), "?method=simclr&fraction=0.05");
    browser.value(&choose("method", ""));
    browser.value(&choose("fraction", ""));
    browser.value(&choose("order", "best"));
    println!("ordered by accuracy in {} ms", took(&mut browser));
    browser.wait("document.querySelector('.row-cell.succeeded .cell-score').style.backgroundColor !== ''");
    picture(&mut browser, "cells.png");

    // A change of one cell sends that cell: to this list and to the sweep's page.
    browser.value(&choose("order", ""));
    let seen = "Number(document.getElementById('cells').dataset.events)";
    let before = browser.value(seen).as_i64().expect("a number");
    let mut page = Follower::open(&site, &sweep);
    let grant = stub.lease("changed").await.expect("work");
    browser.wait(&format!("{seen} > {before}"));
    let bytes = browser.value("Number(document.getElementById('cells').dataset.bytes)").as_u64().expect("a number");
    println!("a changed cell sends {bytes} bytes to the list");
    assert!((bytes as usize) < SMALL, "{bytes}");
    let bytes = page.next();
    println!("a changed cell sends {bytes} bytes to the sweep's page");
    assert!(bytes < SMALL, "{bytes}");

    // After a restart of the coordinator the list asks only for what it missed.
    browser.value("window.same = true");
    let events = browser.value(seen).as_i64().expect("a number");
    let listen = site.address.clone();
    site.server.process.kill();
    browser.wait("document.getElementById('live').classList.contains('lost')");
    site.server.restart(&site.folder, &["--web", &listen]);
    browser.wait("!document.getElementById('live').classList.contains('lost')");
    let mut stub = Stub::register(&site.server.url, "stub", 4).await;
    stub.complete(grant).await;
    browser.wait(&format!("{seen} > {events}"));
    let bytes = browser.value("Number(document.getElementById('cells').dataset.bytes)").as_u64().expect("a number");
    println!("after a restart {bytes} bytes bring the list up to date");
    assert!((bytes as usize) < SMALL, "{bytes}");
    assert_eq!(browser.value("window.same"), true, "the page is the one that was opened");
}

/// A reader of the stream of a sweep's page.
struct Follower {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

impl Follower {
    /// Opens the stream of a page that is up to date.
    fn open(site: &Site, sweep: &str) -> Self {
        let read = site.session("read");
        let body = site.get(&format!("/sweeps/{sweep}"), &read).body;
        let mark = body.split("data-mark=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the page's mark");
        let mut stream = TcpStream::connect(&site.address).expect("a port");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a socket");
        let host = &site.address;
        let head = format!("GET /events/sweeps/{sweep}?have={mark} HTTP/1.1\r\nHost: {host}\r\n{read}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("an open connection");
        let mut lines = BufReader::new(stream).lines();
        // The stream has begun once its head is there.
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.starts_with("HTTP/1.1 200")))
            .expect("a stream")
            .expect("a head");
        Self { lines }
    }

    /// Returns the size of the next event.
    fn next(&mut self) -> usize {
        let data = self.lines.find_map(|line| line.ok()?.strip_prefix("data: ").map(str::len));
        data.expect("an event")
    }
}
