//! A real Chromium: users log in, see the cells, watch them change, and are safe from other sites.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use pretext_tests::browser::Browser;
use pretext_tests::{Scratch, Server, coordinator};

use super::wire::{Site, points};

/// Opens a login link and clicks.
pub(super) fn log_in(browser: &mut Browser, site: &Site, role: &str) {
    browser.open(&format!("http://{}/login/{}", site.address, site.link(role)));
    browser.click("button");
    browser.wait("document.querySelector('h1')?.textContent === 'Sweeps'");
}

/// Writes a picture of a page to `PRETEXT_PICTURES=DIR`, if that is set.
pub(super) fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("PRETEXT_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name), browser.picture()).expect("a folder for pictures");
    }
}

#[tokio::test]
async fn a_browser_logs_in_sees_the_cells_and_watches_them_change() {
    let Some(mut browser) = Browser::start(&[]) else { return };
    let (mut site, mut stub, sweep) = Site::with_sweep().await;
    browser.look(1280, 900, "light");
    browser.open(&format!("http://{}/", site.address));
    assert!(browser.text().contains("coordinator login"), "a stranger is told how to get in");
    log_in(&mut browser, &site, "submit");
    browser.wait("document.querySelector('.lamp') !== null && !document.getElementById('live').hidden");
    browser.click(&format!("a[href='/sweeps/{sweep}']"));
    browser.wait("document.querySelectorAll('.grid td .cell').length === 4");
    let states = "[...document.querySelectorAll('.grid .cell')].map(e => e.classList[1]).join()";
    assert_eq!(browser.value(states), "pending,pending,pending,pending");
    browser.value("window.same = true");

    // A stage runs, reports and ends: the page shows it without being loaded again.
    let grant = stub.lease("1").await.expect("work");
    points(&mut stub, &grant, &[1.25, 0.5]).await;
    browser.wait("document.querySelector('#running td.number')?.textContent === '0.5000'");
    browser.wait("document.querySelectorAll('.grid .cell.running').length > 0");
    assert!(browser.text().contains("stub"), "{}", browser.text());
    browser.wait("document.querySelectorAll('#running-curves svg.chart polyline').length > 0");
    // The coordinator restarts: the page says so and continues by itself, and the session is still valid.
    let listen = site.address.clone();
    site.server.process.kill();
    browser.wait("document.getElementById('live').classList.contains('lost')");
    site.server.restart(&site.folder, &["--web", &listen]);
    browser.wait("!document.getElementById('live').classList.contains('lost')");
    let mut stub = pretext_tests::stub::Stub::register(&site.server.url, "stub", 4).await;
    stub.complete(grant).await;
    for request in 2..=9 {
        if let Some(grant) = stub.lease(&request.to_string()).await {
            stub.complete(grant).await;
        }
    }
    browser.wait("document.querySelectorAll('.grid .cell.succeeded').length === 4");
    browser.wait("document.querySelector('.accuracy')?.textContent.startsWith('50.00')");
    assert_eq!(browser.value("window.same"), true, "the page is the one that was opened");

    // Its report, its cells, and the page of a cell.
    browser.click(".grid td .cell");
    browser.wait("document.querySelector('#explain pre')?.textContent.includes('succeeded')");
    browser.open(&format!("http://{}/sweeps/{sweep}/report", site.address));
    assert!(browser.text().contains("Provenance"), "{}", browser.text());
}

#[tokio::test]
async fn a_person_cancels_and_retries_with_two_clicks_each() {
    let Some(mut browser) = Browser::start(&[]) else { return };
    let (site, _stub, sweep) = Site::with_sweep().await;
    log_in(&mut browser, &site, "submit");
    browser.open(&format!("http://{}/sweeps/{sweep}", site.address));
    for (change, after) in [("cancel", "cancelled"), ("retry", "pending")] {
        browser.click(&format!("#controls details:has(form[action$='/{change}']) summary"));
        browser.click(&format!("form[action$='/{change}'] button"));
        browser.wait(&format!("document.querySelectorAll('.grid .cell.{after}').length === 4"));
        assert_eq!(site.is_cancelled(&sweep), change == "cancel");
    }
    // A reader does not see the controls that change something.
    let mut reader = Browser::start(&[]).expect("there was one before");
    log_in(&mut reader, &site, "read");
    reader.open(&format!("http://{}/sweeps/{sweep}", site.address));
    assert_eq!(reader.value("document.querySelectorAll('.grid .cell').length"), 4);
    assert_eq!(reader.value("document.querySelectorAll('form[action$=cancel]').length"), 0);
}

#[tokio::test]
async fn pages_can_be_read_without_scripts_in_a_narrow_window_and_in_the_dark() {
    let Some(mut browser) = Browser::start(&[]) else { return };
    let (site, mut stub, sweep) = Site::with_sweep().await;
    let grant = stub.lease("1").await.expect("work");
    points(&mut stub, &grant, &[1.25, 0.5]).await;
    log_in(&mut browser, &site, "submit");
    browser.call("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": true }));
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light")] {
        browser.look(width, 800, scheme);
        for path in Site::looks(&sweep).into_iter().filter(|path| !path.contains("/report")) {
            browser.open(&format!("http://{}{path}", site.address));
            let name = path.split('/').next_back().filter(|name| !name.is_empty()).unwrap_or("sweeps");
            picture(&mut browser, &format!("{name}-{width}-{scheme}.png"));
            assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true, "{path} at {width}");
            assert_eq!(browser.value("document.getElementById('live').hidden"), true, "no script ran");
            let faint = browser.value(CONTRAST);
            assert_eq!(faint, serde_json::json!([]), "{path} in {scheme}");
        }
    }
}

/// Returns the texts of a page whose contrast to their background is below 4.5 (WCAG 2.1, 1.4.3 at level AA), with the
/// contrast.
const CONTRAST: &str = r"(() => {
  const parse = color => (color.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest('noscript')) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${walker.currentNode.textContent.trim()}: ${contrast.toFixed(2)}`);
  }
  return faint;
})()";

/// Starts another site, on a port of its own. Every request gets the same page. It counts requests with a cookie.
fn evil(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let length = page.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
        }
    });
    address
}

#[tokio::test]
async fn a_page_of_another_site_can_neither_act_nor_look() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let target = format!("http://{}", site.address);
    let tricks = format!(
        "<h1>cats</h1><iframe name=f></iframe><form id=c method=post action='{target}/sweeps/{sweep}/cancel'></form>\
         <form id=t method=post target=f enctype=text/plain action='{target}/sweeps/{sweep}/cancel'><input name=a></form>\
         <iframe id=frame src='{target}/sweeps/{sweep}'></iframe>"
    );
    let cats = evil(tricks);
    // A name of the other site, which it points at this machine after its page is loaded.
    let rules = format!("--host-resolver-rules=MAP evil.example:80 {cats}, MAP rebound.example 127.0.0.1");
    let Some(mut browser) = Browser::start(&[&rules]) else { return };
    log_in(&mut browser, &site, "submit");
    let is_out = |browser: &mut Browser| browser.value("document.body.innerText.includes('Request from another site')");

    for elsewhere in
        ["http://evil.example/".to_owned(), format!("http://{cats}/"), format!("http://localhost:{}/", cats.port())]
    {
        browser.open(&elsewhere);
        browser.wait("document.querySelector('h1')?.textContent === 'cats'");
        // Requests of scripts carry no session, their answers cannot be read, and they change nothing.
        for init in [
            "{method:'POST',mode:'no-cors',credentials:'include'}",
            "{method:'POST',credentials:'include'}",
            "{credentials:'include'}",
        ] {
            let fetch =
                format!("fetch('{target}/sweeps/{sweep}/cancel', {init}).then(r => r.type + r.status, e => 'failed')");
            let got = browser.value(&fetch);
            assert!(got == "failed" || got == "opaque0", "{elsewhere} {init}: {got}");
        }
        let look = format!("fetch('{target}/', {{credentials:'include'}}).then(r => r.text(), e => 'failed')");
        assert_eq!(browser.value(&look), "failed", "{elsewhere}");
        // Frames show nothing of our page.
        let framed = "(() => { try { return document.getElementById('frame').contentDocument?.body?.innerText ?? '' } catch { return '' } })()";
        assert_eq!(browser.value(framed), "", "{elsewhere}");
        // Forms, as MLflow and Ray accepted them.
        browser.value("document.getElementById('t').submit()");
        browser.value("document.getElementById('c').submit()");
        browser.wait("document.readyState === 'complete' && !document.body.innerText.startsWith('cats')");
        assert_eq!(is_out(&mut browser), true, "{elsewhere}: {}", browser.text());
        assert!(!site.is_cancelled(&sweep), "{elsewhere}");
    }
    // A link from another site opens the page without the session, until the user follows a link on our page.
    let port = site.address.rsplit(':').next().expect("a port").to_owned();
    browser.open(&format!("http://rebound.example:{port}/sweeps/{sweep}"));
    assert!(browser.text().contains("Unknown host name"), "{}", browser.text());
    let change = format!("fetch('/sweeps/{sweep}/cancel', {{method:'POST'}}).then(r => r.status)");
    assert_eq!(browser.value(&change), 421);
    assert!(!site.is_cancelled(&sweep));
    // This browser's own page still may.
    browser.open(&format!("{target}/sweeps/{sweep}"));
    assert_eq!(browser.value(&format!("{change}.then(s => s || 200)")), 200, "after the redirection");
    assert!(site.is_cancelled(&sweep));
}

#[tokio::test]
async fn with_tls_a_session_is_its_holders_and_ends_when_the_holder_is_shut_out() {
    let Some(mut browser) = Browser::start(&["--ignore-certificate-errors"]) else { return };
    let folder = Scratch::new();
    let state = folder.path("state");
    let state = state.to_str().expect("text");
    coordinator(&folder, &["init-ca", "--state-dir", state]).expect(0);
    // Beyond loopback (here: on every address) the page uses TLS, as everything else does.
    let server = Server::start(&folder, &["--tls", "--tls-name", "127.0.0.1", "--web", "0.0.0.0:0"]);
    let web = server.web.clone().expect("asked for");
    assert!(web.starts_with("https://127.0.0.1:"), "{web}");
    let mine = folder.path("mine");
    let mine = mine.to_str().expect("text");
    let token = coordinator(&folder, &["token", "create", "--role", "read", "--state-dir", state]).expect(0).stdout;
    let token = folder.file("token", &token);
    let token = token.to_str().expect("text");
    let join = ["join", &server.url, "--token-file", token, "--name", "ann", "--credentials", mine];
    coordinator(&folder, &join).expect(0);

    let login = |role: &[&str]| server.ask(&folder, &[&["login", "--json", "--credentials", mine], role].concat());
    let more = login(&["--role", "submit"]).expect(2);
    assert!(more.stderr.contains("cannot create a link"), "{}", more.stderr);
    let link = login(&[]).expect(0).json();
    assert_eq!(link["role"], "read");
    browser.open(link["url"].as_str().expect("a link"));
    browser.click("button");
    browser.wait("document.querySelector('h1')?.textContent === 'Sweeps'");
    let cookies = browser.call("Network.getCookies", serde_json::json!({ "urls": [web] }));
    let cookie = &cookies["cookies"][0];
    assert!(cookie["name"].as_str().is_some_and(|name| name.starts_with("__Host-pretext-")), "{cookies}");
    assert_eq!(
        (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
        (&true.into(), &true.into(), &"Strict".into())
    );
    assert_eq!(browser.value("document.cookie"), "", "scripts do not see it");
    assert!(
        browser
            .value("document.querySelector('[title*=read]').title")
            .as_str()
            .is_some_and(|who| who.contains("read/ann"))
    );

    let link = login(&[]).expect(0).json();
    coordinator(&folder, &["token", "revoke", "--role", "read", "--name", "ann", "--state-dir", state]).expect(0);
    let status = "fetch('/').then(r => r.status)";
    assert_eq!(browser.value(status), 401, "shut out");
    // A link that was made before opens nothing either.
    browser.open(link["url"].as_str().expect("a link"));
    browser.click("button");
    browser.wait("document.body.innerText.includes('Log in to see this page')");
    // Plain text gets no page.
    let plain = web.replace("https://", "");
    let port = plain.rsplit(':').next().expect("a port");
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).expect("a port");
    write!(stream, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").expect("an open connection");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains("Pretext"), "{answer}");
}
