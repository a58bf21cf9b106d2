//! axe-core in a real Chromium: no page has a problem of accessibility that a program can find.

use std::path::PathBuf;

use pretext_tests::browser::Browser;
use pretext_tests::stub::Stub;

use super::browsing::log_in;
use super::trained::{STUDY, train};
use super::wire::Site;

/// Returns axe-core as `tests/setup.sh test` installs it.
fn axe() -> Option<String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let script = std::fs::read_to_string(cache.join("pretext/axe-core/axe.min.js")).ok();
    if script.is_none() {
        println!("skipped: there is no axe-core (`tests/setup.sh test` installs it)");
    }
    script
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page() {
    let (Some(axe), Some(mut browser)) = (axe(), Browser::start(&[])) else { return };
    let site = Site::start();
    let read = site.session("read");
    let mut stub = Stub::register(&site.server.url, "stub", 1).await;
    let sweep = site.server.submit(&site.folder, STUDY);
    train(&site, &mut stub, &sweep, &read).await;
    // A second sweep waits, so that pages have cells of several states.
    site.server.submit(&site.folder, &STUDY.replace("name: trained", "name: waiting").replace("seed: 0,", "seed: 1,"));
    let mut found = Vec::new();
    browser.look(1280, 900, "light");
    browser.open(&format!("http://{}/", site.address));
    browser.value(&axe);
    found.extend(problems(&mut browser, "a stranger's page"));
    log_in(&mut browser, &site, "submit");
    for scheme in ["light", "dark"] {
        browser.look(1280, 900, scheme);
        for path in Site::looks(&sweep).into_iter().filter(|path| !path.contains("/report")) {
            browser.open(&format!("http://{}{path}", site.address));
            browser.wait("document.readyState === 'complete' && (!document.querySelector('script[type=module]') || document.documentElement.dataset.ready !== undefined)");
            browser.value(&axe);
            found.extend(problems(&mut browser, &format!("{path} in {scheme}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn problems(browser: &mut Browser, page: &str) -> Vec<String> {
    let run = "axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.flatMap(v => \
               v.nodes.map(n => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary}`)))";
    let found: Vec<String> = serde_json::from_value(browser.value(run)).expect("a list");
    found.into_iter().map(|problem| format!("{page}: {problem}")).collect()
}
