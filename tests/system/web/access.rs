//! Access to the web page: who gets in, with what, and what each role may do.

use super::wire::Site;

/// The paths without a login: they show nothing of the server's content.
const OPEN: [&str; 5] = [
    "/assets/page.css",
    "/assets/page.js",
    "/assets/icon.svg",
    "/assets/compare/main.js",
    "/assets/vendor/uPlot-1.6.32.iife.min.js",
];

#[tokio::test]
async fn a_login_link_is_good_once_and_makes_a_strict_session() {
    let site = Site::start();
    let link = site.link("submit");
    let form = format!("link={link}");
    let log_in = |form: &str| site.ask("POST", "/login", &[&site.origin()], form);

    // A request that only looks, as message scanners send it, does not use the link up.
    for _ in 0..2 {
        let shown = site.get(&format!("/login/{link}"), "");
        assert!(shown.status == 200 && shown.body.contains(&link), "{shown:?}");
        assert_eq!(shown.header("set-cookie"), "");
    }
    let first = log_in(&form);
    assert_eq!((first.status, first.header("location")), (303, "/"), "{first:?}");
    let cookie = first.header("set-cookie").to_owned();
    for wanted in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(cookie.contains(wanted), "{wanted} is not in {cookie}");
    }
    assert_eq!(log_in(&form).status, 403, "once");
    for wrong in ["", "link=", "link=x", &format!("link={}", "0".repeat(64)), &format!("x={link}")] {
        assert_eq!(log_in(wrong).status, 403, "{wrong}");
    }
    // The disk has only a hash of the session's secret.
    let secret = cookie.split(['=', ';']).nth(1).expect("a value");
    let files: Vec<_> =
        std::fs::read_dir(site.folder.path("state/web/sessions")).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 1);
    let content = std::fs::read_to_string(files[0].path()).expect("text");
    assert!(!content.contains(secret) && !files[0].path().to_string_lossy().contains(secret));

    let session = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));
    assert_eq!(site.get("/", &session).status, 200);
    let out = site.ask("POST", "/logout", &[&site.origin(), &session], "");
    assert!(out.status == 303 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    assert_eq!(site.get("/", &session).status, 401, "the session has ended, whoever kept the cookie");
}

#[tokio::test]
async fn read_may_look_at_everything_and_change_nothing() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let (read, submit) = (site.session("read"), site.session("submit"));
    for path in Site::looks(&sweep).into_iter().chain(Site::reads(&sweep)) {
        assert_eq!(site.get(&path, &read).status, 200, "{path}");
    }
    assert!(site.get("/", &read).body.contains(&sweep));
    let page = |cookie: &str| site.get(&format!("/sweeps/{sweep}"), cookie).body;
    assert!(page(&submit).contains("/cancel\"") && !page(&read).contains("/cancel\""));
    for path in Site::changes(&sweep) {
        let refused = site.ask("POST", &path, &[&site.origin(), &read], "");
        assert!(refused.status == 403 && refused.body.contains("cannot make changes"), "{refused:?}");
    }
    assert!(!site.is_cancelled(&sweep));
    let [cancel, retry] = Site::changes(&sweep);
    let done = site.ask("POST", &cancel, &[&site.origin(), &submit], "");
    assert_eq!((done.status, done.header("location")), (303, format!("/sweeps/{sweep}").as_str()), "{done:?}");
    assert!(site.is_cancelled(&sweep));
    assert_eq!(site.ask("POST", &retry, &[&site.origin(), &submit], "").status, 303);
    assert!(!site.is_cancelled(&sweep));
    // A request for a missing sweep changes nothing.
    for path in ["/sweeps/none-00000000/cancel", "/sweeps/x/cancel", "/sweeps/none-00000000/retry"] {
        assert_eq!(site.ask("POST", path, &[&site.origin(), &submit], "").status, 404, "{path}");
    }
}

#[tokio::test]
async fn looking_changes_nothing() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    for path in Site::changes(&sweep).into_iter().chain(["/logout".to_owned(), "/login".to_owned()]) {
        for method in ["GET", "HEAD"] {
            assert_eq!(site.ask(method, &path, &[&submit], "").status, 405, "{method} {path}");
        }
    }
    assert!(!site.is_cancelled(&sweep));
    assert_eq!(site.get("/", &submit).status, 200, "still logged in");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_browsers_obey() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let read = site.session("read");
    let paths = Site::looks(&sweep).into_iter().chain(Site::reads(&sweep)).chain(OPEN.map(str::to_owned));
    let paths = paths.chain(["/none", "/login/x"].map(str::to_owned));
    for path in paths {
        for cookie in ["", &read] {
            let answer = site.get(&path, cookie);
            let policy = answer.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
                "{path}: {policy}"
            );
            let is_report = path.contains("/report") && answer.status == 200;
            assert_eq!(policy.contains("unsafe-inline"), is_report, "{path}: {policy}");
            assert_eq!(policy.contains("; sandbox"), is_report, "{path}: {policy}");
            assert!(!policy.contains("unsafe-eval") && !policy.contains('*'), "{path}: {policy}");
            for directive in ["script-src 'self'", "form-action 'self'", "connect-src 'self'", "base-uri 'none'"] {
                assert!(is_report || policy.contains(directive), "{path}: {policy}");
            }
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            // Other sites get no referrer; `no-referrer` would remove the origin from our own forms.
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
            assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
            let kept = if OPEN.contains(&path.as_str()) { "no-cache" } else { "no-store" };
            assert_eq!(answer.header("cache-control"), kept, "{path}");
        }
    }
}
