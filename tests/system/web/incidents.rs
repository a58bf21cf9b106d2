//! The incidents of Ray, MLflow and TensorBoard (reliability.md, section 4), tried on this page by name.

use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_tests::{Scratch, coordinator};

use super::wire::{SWEEP, Site};

#[tokio::test]
async fn ray_cve_2023_48022_nothing_is_shown_or_done_for_somebody_without_a_session() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let guessed = format!("Cookie: pretext-{}={}", site.address.rsplit(':').next().expect("a port"), "0".repeat(64));
    for cookie in ["", "Cookie: pretext=x", &guessed, "Authorization: Bearer 0"] {
        for path in Site::looks(&sweep).into_iter().chain(Site::reads(&sweep)).chain(Site::streams(&sweep)) {
            let answer = site.get(&path, cookie);
            assert_eq!(answer.status, 401, "{path} with `{cookie}`");
            // The requested path is the caller's own text; the answer contains nothing else.
            assert!(!answer.body.replace(&path, "").contains("study"), "{path}: {}", answer.body);
        }
        for path in Site::changes(&sweep) {
            assert_eq!(site.ask("POST", &path, &[&site.origin(), cookie], "").status, 401, "{path} with `{cookie}`");
        }
        // Ray's incident: a job is a command line.
        let job = r#"{"entrypoint": "id"}"#;
        let answer = site.ask("POST", "/api/jobs/", &[&site.origin(), cookie], job);
        assert!(matches!(answer.status, 401 | 405), "{answer:?}");
    }
    assert!(!site.is_cancelled(&sweep));
}

#[tokio::test]
async fn ray_cve_2025_62593_and_mlflow_cve_2025_14279_a_name_that_was_rebound_is_refused() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    let port = site.address.rsplit(':').next().expect("a port").to_owned();
    let foreign = [
        format!("Host: evil.example:{port}"),
        "Host: evil.example".to_owned(),
        format!("Host: 127.0.0.1.evil.example:{port}"),
        format!("Host: localhost.evil.example:{port}"),
        format!("Host: 127.0.0.1@evil.example:{port}"),
        format!("Host: evil-localhost:{port}"),
        format!("Host: evil.example.127.0.0.1:{port}"),
        format!("Host: 0.0.0.0:{port}"),
        "Host: ".to_owned(),
    ];
    let [cancel, _] = Site::changes(&sweep);
    for host in &foreign {
        for path in Site::looks(&sweep).iter().chain(&Site::reads(&sweep)).chain(&Site::streams(&sweep)) {
            assert_eq!(site.ask("GET", path, &[host, &submit], "").status, 421, "{path} under {host}");
        }
        // A browser that was tricked believes that it talks to its own page: every header fits the foreign name.
        let origin = host.replace("Host: ", "Origin: http://");
        let own = ["Sec-Fetch-Site: same-origin", "User-Agent: Mozilla/5.0"];
        let headers = [&[host.as_str(), &origin, &submit][..], &own[..]].concat();
        assert_eq!(site.ask("POST", &cancel, &headers, "").status, 421, "{host}");
        assert_eq!(
            site.ask("POST", "/login", &headers, &format!("link={}", site.link("submit"))).status,
            421,
            "{host}"
        );
    }
    // Two names, or no name, are refused.
    let own = format!("Host: {}", site.address);
    assert_eq!(site.ask("GET", "/", &[&own, "Host: evil.example", &submit], "").status, 421);
    assert_eq!(site.raw(format!("GET / HTTP/1.0\r\n{submit}\r\n\r\n").as_bytes()).status, 421);
    assert!(!site.is_cancelled(&sweep));
    assert_eq!(site.ask("GET", "/", &[&format!("Host: LOCALHOST:{port}"), &submit], "").status, 200);
}

#[tokio::test]
async fn ray_cve_2026_27482_no_method_gets_past_the_guard() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    let evil = "Origin: http://evil.example";
    let looks = Site::looks(&sweep).into_iter().chain(Site::reads(&sweep));
    let paths: Vec<String> = looks.chain(Site::changes(&sweep)).chain(["/api/jobs/1".to_owned()]).collect();
    for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "XPOST"] {
        for path in &paths {
            for origin in [evil, &site.origin()] {
                let status = site.ask(method, path, &[origin, &submit], "").status;
                assert_eq!(status, 405, "{method} {path} from {origin}");
            }
        }
    }
    // A method in a header is ignored.
    let disguised = ["X-HTTP-Method-Override: POST", &submit];
    assert_eq!(site.ask("GET", &Site::changes(&sweep)[0], &disguised, "").status, 405);
    assert!(!site.is_cancelled(&sweep));
}

#[tokio::test]
async fn ray_port_scanners_find_no_http_on_the_port_of_workers() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let grpc = Site { address: site.server.url.trim_start_matches("http://").to_owned(), ..site };
    for (method, path) in [("GET", "/"), ("POST", "/pretext.v1.Sweeps/Cancel"), ("POST", "/pretext.v1.Web/Login")] {
        let answer = grpc.ask(method, path, &["Content-Type: application/grpc"], "\0\0\0\0\0");
        assert!(answer.status == 0 || answer.status >= 400, "{method} {path}: {answer:?}");
    }
    assert!(!grpc.is_cancelled(&sweep));
}

#[tokio::test]
async fn mlflow_a_form_of_another_site_changes_nothing() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    let own = site.origin();
    let elsewhere = format!("{own}1");
    let encrypted = own.replace("http:", "https:");
    let foreign: [&[&str]; 10] = [
        &[],
        &["Origin: null"],
        &["Origin: http://evil.example"],
        &["Origin: http://localhost:1"],
        &[&elsewhere],
        &[&encrypted],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site", &own],
        &["Sec-Fetch-Site: none"],
        &["Sec-Fetch-Site: same-origin", "Origin: http://evil.example"],
    ];
    for headers in foreign {
        for path in Site::changes(&sweep).iter().map(String::as_str).chain(["/logout"]) {
            let headers = [headers, &[submit.as_str(), "Content-Type: application/x-www-form-urlencoded"]].concat();
            assert_eq!(site.ask("POST", path, &headers, "a=b").status, 403, "{path} with {headers:?}");
        }
        // Nor can another site log the browser into an account of its choice.
        let form = format!("link={}", site.link("submit"));
        let answer = site.ask("POST", "/login", headers, &form);
        assert!(answer.status == 403 && answer.header("set-cookie").is_empty(), "{headers:?}: {answer:?}");
    }
    assert!(!site.is_cancelled(&sweep));
    assert_eq!(site.get("/", &submit).status, 200, "still logged in");
    // Another site cannot even load pictures and scripts.
    let picture = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", &submit];
    assert_eq!(site.ask("GET", "/", &picture, "").status, 403);
    for own in [&["Sec-Fetch-Site: same-origin"][..], &[&own]] {
        let headers = [own, &[submit.as_str()]].concat();
        assert_eq!(site.ask("POST", &Site::changes(&sweep)[1], &headers, "").status, 303, "{own:?}");
    }
}

/// Paths that try to leave a folder: encoded once and twice, with the other slash, with a zero byte, from the root, and
/// through names with a special meaning elsewhere.
const ESCAPES: [&str; 18] = [
    "../../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252f%252e%252e%252f%252e%252e%252fetc/passwd",
    "..%5c..%5c..%5c..%5cetc%5cpasswd",
    "..\\..\\..\\..\\etc\\passwd",
    "....//....//....//etc/passwd",
    "..;/..;/..;/etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "report.html%00.json",
    "report.html/../../../../etc/passwd",
    "splits/../../../state.redb",
    "file:///etc/passwd",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    ".%2e/.%2e/.%2e/identity/ca.key",
    "~root/.ssh/id_ed25519",
];

#[tokio::test]
async fn mlflow_cve_2023_1177_2780_6831_and_2024_1560_no_path_leaves_the_report() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    let secret = "root-of-the-test";
    std::fs::write(site.folder.path("state/secret.txt"), secret).expect("a writable folder");
    assert_eq!(site.get(&format!("/sweeps/{sweep}/report/results.json"), &submit).status, 200);
    for escape in ESCAPES {
        let bases = [
            format!("/sweeps/{sweep}/report/"),
            "/sweeps/".to_owned(),
            format!("/sweeps/{sweep}/cells/"),
            "/assets/".to_owned(),
            "/login/".to_owned(),
            "/".to_owned(),
        ];
        for base in bases {
            let path = format!("{base}{escape}");
            let answer = site.get(&path, &submit);
            assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.status);
            for content in ["root:", secret, "PRIVATE KEY", "redb"] {
                assert!(!answer.body.contains(content), "{path}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn mlflow_cve_2026_2393_the_server_fetches_nothing_for_anybody() {
    let (site, _stub, sweep) = Site::with_sweep().await;
    let submit = site.session("submit");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let target = listener.local_addr().expect("an address").to_string();
    let own = format!("Host: {}", site.address);
    for (method, path) in [
        ("GET", format!("http://{target}/")),
        ("POST", format!("http://{target}/")),
        ("GET", format!("http://{}/", site.address)),
        ("CONNECT", target.clone()),
        ("GET", format!("/sweeps/{sweep}/report/http://{target}/")),
        ("GET", format!("/?url=http://{target}/")),
    ] {
        let answer = site.ask(method, &path, &[&own, &site.origin(), &submit], "");
        assert!(
            matches!(answer.status, 400 | 404 | 405 | 421) || path.starts_with("/?"),
            "{method} {path}: {answer:?}"
        );
    }
    let came = listener.accept().map(|(_, from)| from);
    assert!(came.is_err(), "a connection came from {came:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tensorboard_2387_the_page_is_on_loopback_unless_tls_or_words_say_otherwise() {
    let site = Site::start();
    let pid = site.server.process.0.id();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("Linux");
    let port: u16 = site.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let found: Vec<&str> =
        table.lines().filter(|line| line.contains(&format!(":{port:04X} 00000000:0000 0A"))).collect();
    assert!(found.len() == 1 && found[0].contains("0100007F:"), "{found:?}");

    let folder = Scratch::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = coordinator(&folder, &["serve", "--listen", "127.0.0.1:0", "--web", address]).expect(2);
        assert!(refused.stderr.contains("--tls") && refused.stderr.contains("--insecure"), "{}", refused.stderr);
    }
    let run = coordinator(&folder, &["run", "sweep.yaml", "--web", "0.0.0.0:7880"]).expect(2);
    assert!(run.stderr.contains("loopback"), "{}", run.stderr);
    // Without `--web` there is no page at all.
    let plain = pretext_tests::Server::start(&folder, &[]);
    assert_eq!(plain.web, None);
    let login = plain.ask(&folder, &["login"]).expect(2);
    assert!(login.stderr.contains("--web"), "{}", login.stderr);
}

/// Markup that a worker could try to write into a page.
const MARKUP: &str = "</pre><script>window.pwned=1</script><img src=x onerror=\"window.pwned=1\">";

#[tokio::test]
async fn markup_in_names_and_messages_is_text() {
    let site = Site::start();
    let submit = site.session("submit");
    // Invalid names are refused on input.
    let file = site.folder.file("evil.yaml", &SWEEP.replace("name: study", "name: \"<b>study</b>\""));
    site.server.ask(&site.folder, &["submit", file.to_str().expect("text")]).expect(2);
    let mut client = WorkClient::connect(site.server.url.clone()).await.expect("a coordinator");
    let worker = |name: &str| pb::Worker { name: name.to_owned(), boot: uuid::Uuid::now_v7().to_string() };
    let register = |worker: pb::Worker| pb::RegisterRequest {
        protocol: pretext_proto::PROTOCOL,
        worker: Some(worker),
        version: MARKUP.to_owned(),
        devices: vec![pb::Device {
            name: "cpu".to_owned(),
            description: MARKUP.to_owned(),
            numeric_class: "cpu".to_owned(),
            slots: 4,
        }],
        datasets: vec![],
        data_cache: 0,
    };
    client.register(register(worker("<b>stub</b>"))).await.expect_err("not a name");
    // Free text is shown as text.
    let stub = worker("stub");
    client.register(register(stub.clone())).await.expect("a name");
    let sweep = site.server.submit(&site.folder, SWEEP);
    let request =
        pb::LeaseRequest { worker: Some(stub), device: "cpu".to_owned(), wait_ms: 0, request_id: "1".to_owned() };
    let grant = client.lease(request).await.expect("a worker").into_inner().grant.expect("work");
    let failure = pb::FailRequest {
        attempt: grant.attempt,
        code: "invalid".to_owned(),
        message: MARKUP.to_owned(),
        log: vec![MARKUP.to_owned()],
    };
    client.fail(failure).await.expect("the holder fails");
    let mut shown = 0;
    for path in Site::looks(&sweep).into_iter().filter(|path| !path.ends_with(".json")) {
        let body = site.get(&path, &submit).body;
        assert!(!body.contains("<script>window") && !body.contains("<img src=x"), "{path}: {body}");
        shown += usize::from(body.contains("&lt;script&gt;window.pwned=1&lt;/script&gt;"));
    }
    assert!(shown >= 3, "it is on the pages of workers, sweep and report: {shown}");
}
