//! The limits on what a browser, or a client like one, may cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pretext_tests::until;

use super::wire::Site;

#[tokio::test]
async fn heads_and_forms_at_the_edge() {
    let site = Site::start();
    let read = site.session("read");
    let padded = |bytes: usize| format!("X-Pad: {}", "a".repeat(bytes));
    assert_eq!(site.ask("GET", "/", &[&padded(12 << 10), &read], "").status, 200);
    let long = site.ask("GET", "/", &[&padded(20 << 10), &read], "");
    assert!(long.status == 431 || long.status == 0, "{long:?}");
    let many: Vec<String> = (0..80).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(site.ask("GET", "/", &many, "").status, 431);

    let log_in = |body: &str| site.ask("POST", "/login", &[&site.origin()], body).status;
    assert_eq!(log_in(&"a".repeat(1 << 10)), 403, "read, and no link");
    assert_eq!(log_in(&"a".repeat((1 << 10) + 1)), 413);
    // A client that announces a large form is refused at once.
    let promise = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\n{}\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n",
        site.address,
        site.origin()
    );
    assert_eq!(site.raw(promise.as_bytes()).status, 413);
}

#[tokio::test]
async fn a_head_or_a_form_that_does_not_come_is_not_waited_for() {
    let site = Site::start();
    let (own, origin) = (format!("Host: {}", site.address), site.origin());
    let slow = site.raw(format!("GET / HTTP/1.1\r\n{own}\r\nX-Slow:").as_bytes());
    assert!(matches!(slow.status, 0 | 408), "{slow:?}");
    let form =
        site.raw(format!("POST /login HTTP/1.1\r\n{own}\r\n{origin}\r\nContent-Length: 69\r\n\r\nlink=").as_bytes());
    assert_eq!(form.status, 408, "{form:?}");
}

#[tokio::test]
async fn connections_at_the_edge() {
    // The limit for `submit` and `login` counts on the other port.
    let site = Site::start_with(&["--max-connections", "2"]);
    let connect = || {
        let stream = TcpStream::connect(&site.address).expect("a port");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream
    };
    let is_served = |stream: &mut TcpStream| {
        let mut byte = [0];
        let asked = write!(stream, "GET /assets/icon.svg HTTP/1.1\r\nHost: {}\r\n\r\n", site.address);
        asked.is_ok() && stream.read(&mut byte).is_ok_and(|count| count == 1)
    };
    let (mut one, mut two) = (connect(), connect());
    assert!(is_served(&mut one) && is_served(&mut two));
    assert!(!is_served(&mut connect()), "all places are taken");
    drop(one);
    until("a place is free again", || is_served(&mut connect()).then_some(()));
}
