//! A real Chromium, driven over its debugging pipe, without an open port and without a driver.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::processes::{Guarded, until};

/// Errors of a browser while it leaves a page.
const LEAVING: [&str; 2] = ["Inspected target navigated or closed", "Cannot find context"];
/// Longest time for an answer of the browser.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one tab and a temporary profile.
pub struct Browser {
    commands: ChildStdin,
    answers: mpsc::Receiver<Value>,
    next: u64,
    session: Option<String>,
    _process: Guarded,
    _profile: tempfile::TempDir,
}

/// Returns the browser that `tests/setup.sh test` installs.
fn program() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)));
    candidates.find(|path| path.is_file())
}

impl Browser {
    /// Starts a browser with `extra` arguments. Returns `None` and prints the reason if there is no browser.
    pub fn start(extra: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: there is no Chromium (`tests/setup.sh test` installs one)");
            return None;
        };
        let profile = tempfile::tempdir().expect("a temporary folder");
        // Chromium reads commands from descriptor 3 and writes answers to 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null", "sh"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let commands = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for message in BufReader::new(stdout).split(0) {
                let Ok(message) = message else { return };
                let Ok(message) = serde_json::from_slice(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Self { commands, answers, next: 1, session: None, _process: Guarded(child), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        Some(browser)
    }

    /// Calls a command of the DevTools protocol, and returns its result.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a command, and returns its result or the browser's error.
    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.next;
        self.next += 1;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("a browser that runs");
        loop {
            let answer = self.answers.recv_timeout(PATIENCE).expect("a browser that answers");
            if answer["id"] == id {
                return answer.get("error").map_or_else(|| Ok(answer["result"].clone()), |error| Err(error.clone()));
            }
        }
    }

    /// Returns the value of an expression in the page; for a promise, its result.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        until(expression, || {
            let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
            match self.ask("Runtime.evaluate", params) {
                Ok(answer) => (answer["result"]["value"] == true).then_some(()),
                // While the browser leaves a page, no question can be answered.
                Err(error) if LEAVING.iter().any(|word| error.to_string().contains(word)) => None,
                Err(error) => panic!("{expression}: {error}"),
            }
        });
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The text of the page.
    #[track_caller]
    pub fn text(&mut self) -> String {
        self.value("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the element that a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let found = self.value(&format!("(e => e ? (e.click(), true) : false)(document.querySelector({selector:?}))"));
        assert_eq!(found, true, "{selector} is not on the page:\n{}", self.text());
    }

    /// Sets the window's size and the preferred color scheme, `light` or `dark`.
    pub fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// Returns a picture of the whole page, as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        Base64::decode_vec(shot["data"].as_str().unwrap_or_default()).expect("base64")
    }
}
