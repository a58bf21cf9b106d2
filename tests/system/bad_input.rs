//! Bad input: each case gets a message that names the place, what was expected and what to do, and an exit code. The
//! messages are snapshots.

use std::net::TcpListener;

use pretext_tests::processes::program;
use pretext_tests::{Output, Scratch, coordinator, pictures, turn};
use tokio::net::TcpSocket;

const GOOD: &str = "\
name: good
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, simclr]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

/// Returns the command's messages, with the scratch folder and ports made anonymous, and its exit code.
fn said(folder: &Scratch, output: &Output) -> String {
    let text = output.stderr.replace(folder.path("").to_str().expect("text").trim_end_matches('/'), "<folder>");
    format!("exit code {}\n{}", output.code, text.trim_end())
}

/// Plans the good sweep with one piece of text replaced.
fn plan_with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let folder = Scratch::new();
    folder.file("sweep.yaml", &GOOD.replace(from, to));
    said(&folder, &coordinator(&folder, &["plan", "sweep.yaml"]))
}

#[test]
fn a_good_sweep_is_planned() {
    let folder = Scratch::new();
    folder.file("sweep.yaml", GOOD);
    coordinator(&folder, &["plan", "sweep.yaml"]).expect(0);
}

#[test]
fn unknown_key() {
    insta::assert_snapshot!(plan_with("seeds: [0]", "seads: [0]"));
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(plan_with("batch: 8}\ndownstream", "batch: many}\ndownstream"));
}

#[test]
fn empty_axis() {
    insta::assert_snapshot!(plan_with("fractions: [50%]", "fractions: []"));
}

#[test]
fn unknown_method() {
    insta::assert_snapshot!(plan_with("simclr]", "simcrl]"));
}

#[test]
fn fraction_outside_its_range() {
    insta::assert_snapshot!(plan_with("fractions: [50%]", "fractions: [0, 50%, 1.5]"));
}

#[test]
fn fraction_too_small_for_a_class() {
    insta::assert_snapshot!(plan_with("fractions: [50%]", "fractions: [2%]"));
}

#[test]
fn simclr_of_fewer_images_than_a_batch() {
    insta::assert_snapshot!(plan_with("epochs: 1, batch: 8}\ndownstream", "epochs: 1, batch: 512}\ndownstream"));
}

#[test]
fn a_product_of_axes_that_explodes() {
    let seeds: Vec<String> = (0..2_000).map(|seed| seed.to_string()).collect();
    let fractions: Vec<String> = (1..=90).map(|percent| format!("{percent}%")).collect();
    let text = GOOD
        .replace("seeds: [0]", &format!("seeds: [{}]", seeds.join(", ")))
        .replace("fractions: [50%]", &format!("fractions: [{}]", fractions.join(", ")));
    let folder = Scratch::new();
    folder.file("sweep.yaml", &text);
    let output = coordinator(&folder, &["plan", "sweep.yaml"]);
    // The wrong line has thousands of characters: the first line of the message says what matters.
    let first = output.stderr.lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(said(&folder, &Output { stderr: first, ..output }));
}

#[test]
fn a_missing_sweep_file() {
    let folder = Scratch::new();
    insta::assert_snapshot!(said(&folder, &coordinator(&folder, &["plan", "nowhere.yaml"])));
}

#[test]
fn a_missing_data_folder() {
    let folder = Scratch::new();
    let text = GOOD.replace(
        "{kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}",
        "{kind: image-folder, path: nowhere, image_size: 16}",
    );
    folder.file("sweep.yaml", &text);
    insta::assert_snapshot!(said(&folder, &coordinator(&folder, &["run", "sweep.yaml", "--data-root", "."])));
}

fn discs(folder: &Scratch, test_classes: &[&str]) {
    pictures::image_folder(&folder.path("discs"), "train", &["left", "right"], 20);
    pictures::image_folder(&folder.path("discs"), "test", test_classes, 4);
    let text = GOOD.replace(
        "{kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}",
        "{kind: image-folder, path: discs, image_size: 16}",
    );
    folder.file("sweep.yaml", &text.replace("[supervised, simclr]", "[supervised]"));
}

#[test]
fn a_class_that_exists_in_test_only() {
    let folder = Scratch::new();
    discs(&folder, &["left", "right", "middle"]);
    insta::assert_snapshot!(said(&folder, &coordinator(&folder, &["run", "sweep.yaml", "--data-root", "."])));
}

#[test]
fn a_corrupt_jpeg_is_refused_by_name_before_anything_is_trained() {
    let folder = Scratch::new();
    discs(&folder, &["left", "right"]);
    std::fs::write(folder.path("discs/train/left/broken.jpg"), b"\xff\xd8\xff\xe0 not a picture").expect("writable");
    let output = coordinator(&folder, &["run", "sweep.yaml", "--data-root", ".", "--workers", "1"]).expect(2);
    for part in ["sweep.yaml:2:", "train/left/broken.jpg", "cannot be decoded", "unreadable: skip"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

#[test]
fn a_rate_that_diverges_fails_the_stage_with_its_step() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let text = GOOD.replace("base: 0.01", "base: 1e30").replace("[supervised, simclr]", "[supervised]");
    folder.file("sweep.yaml", &text.replace("epochs: 1, batch: 8}\n", "epochs: 4, batch: 8}\n"));
    let output = coordinator(&folder, &["run", "sweep.yaml", "--workers", "1", "--json"]).expect(1);
    let error = output.json()["results"]["cells"][0]["error"].clone();
    assert_eq!(error["code"], "diverged");
    let message = error["message"].as_str().expect("a sentence");
    assert!(message.contains("step") && message.contains("1e30"), "{message}");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_starts() {
    let folder = Scratch::new();
    folder.file("sweep.yaml", GOOD);
    folder.file("taken", "");
    let output = coordinator(&folder, &["run", "sweep.yaml", "--out", "taken/report"]).expect(2);
    assert!(output.stderr.contains("taken is not a folder") && output.stderr.contains("--out"), "{output:?}");
    assert!(!folder.path(".pretext").exists(), "nothing was started");
}

#[test]
fn more_pictures_than_memory_are_refused_before_anything_is_trained() {
    let folder = Scratch::new();
    folder.file(
        "sweep.yaml",
        &GOOD.replace("train_per_class: 40", "train_per_class: 900000").replace("size: 16", "size: 224"),
    );
    let plan = coordinator(&folder, &["plan", "sweep.yaml"]).expect(0);
    assert!(plan.stdout.contains("memory: 378.5 GiB of decoded pictures in each trainer, but only"), "{}", plan.stdout);
    let run = coordinator(&folder, &["run", "sweep.yaml"]).expect(4);
    assert!(run.stderr.contains("378.5 GiB of memory") && run.stderr.contains("image_size"), "{run:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_whose_name_is_not_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Scratch::new();
    let latin1 = folder.path("").join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&latin1).expect("a file system that takes any bytes");
    std::fs::write(latin1.join("sweep.yaml"), GOOD).expect("writable");
    let output =
        std::process::Command::new(program("coordinator")).args(["run", "sweep.yaml"]).current_dir(&latin1).output();
    let output: Output = output.expect("it starts").into();
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains(r#"its part "caf\xE9" is not UTF-8"#), "{output:?}");
}

/// In a network of its own, a program has a loopback interface that is down.
#[test]
fn a_machine_without_loopback() {
    let folder = Scratch::new();
    folder.file("sweep.yaml", GOOD);
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(program("coordinator")).args(["run", "sweep.yaml"]);
    let output: Output = match command.current_dir(folder.path("")).output() {
        Ok(output) => output.into(),
        Err(error) => return println!("skipped: unshare cannot be run ({error})"),
    };
    if output.stderr.contains("unshare") {
        return println!("skipped: this machine does not let a test make a network ({})", output.stderr.trim());
    }
    assert_eq!(output.code, 4, "{output:?}");
    assert!(output.stderr.contains("cannot reach itself through its loopback interface"), "{output:?}");
}

#[test]
fn a_second_worker_on_one_state_folder_says_so_at_once() {
    use std::io::{BufRead, BufReader};

    let folder = Scratch::new();
    let state = folder.path("state");
    std::fs::create_dir(&state).expect("a folder");
    let lock = std::fs::File::create(state.join("lock")).expect("a file");
    lock.lock().expect("nobody else has it");
    let mut worker = std::process::Command::new(program("worker"))
        .args(["--device", "cpu", "--no-datasets", "--state-dir"])
        .arg(&state)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let stderr = BufReader::new(worker.stderr.take().expect("a pipe"));
    let said = stderr.lines().map_while(Result::ok).find(|line| line.contains("in use by another worker; waiting"));
    worker.kill().expect("it runs");
    worker.wait().expect("it ends");
    assert!(said.is_some());
}

#[test]
fn an_unreachable_coordinator() {
    let folder = Scratch::new();
    // A port that this test holds without listening, so that no server of another test gets it.
    let held = TcpSocket::new_v4().expect("a socket");
    held.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let port = held.local_addr().expect("bound").port();
    let url = format!("http://127.0.0.1:{port}");
    let mut output = coordinator(&folder, &["status", "--coordinator", &url]);
    output.stderr = output.stderr.replace(&port.to_string(), "<port>");
    insta::assert_snapshot!(said(&folder, &output));
}

#[test]
fn a_port_in_use() {
    let folder = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut output = coordinator(&folder, &["serve", "--listen", &address]);
    output.stderr = output.stderr.replace(&address, "127.0.0.1:<port>");
    insta::assert_snapshot!(said(&folder, &output));
}

#[test]
fn an_address_beyond_this_machine() {
    let folder = Scratch::new();
    insta::assert_snapshot!(said(&folder, &coordinator(&folder, &["serve", "--listen", "0.0.0.0:0"])));
}

#[test]
fn a_state_folder_in_use() {
    let folder = Scratch::new();
    let _server = pretext_tests::Server::start(&folder, &[]);
    let state = folder.path("state");
    let output =
        coordinator(&folder, &["serve", "--listen", "127.0.0.1:0", "--state-dir", state.to_str().expect("text")]);
    insta::assert_snapshot!(said(&folder, &output));
}

/// Runs a sweep with its state on a file system of `size`, which grows once the run says that it is almost full. Returns
/// the run's output. Returns `None` and prints the reason if this machine does not let a test mount a file system. The
/// mount is in a namespace: it needs no privilege and leaves nothing behind.
fn run_on_a_small_disk(folder: &Scratch, size: &str) -> Option<Output> {
    std::fs::create_dir(folder.path("small")).expect("writable");
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs small || exit 99
        {} run sweep.yaml --state-dir small/state --workers 1 2>said &
        run=$!
        trap 'kill -9 $run 2>/dev/null' EXIT
        tries=0
        until grep -q 'almost full' said || ! kill -0 $run 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries -lt 600 ] || break
            sleep 0.1
        done
        mount -o remount,size=64m small
        wait $run
        code=$?
        cat said >&2
        exit $code",
        program("coordinator").display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    command.current_dir(folder.path(""));
    let output: Output = match command.output() {
        Ok(output) => output.into(),
        Err(error) => {
            println!("skipped: unshare cannot be run ({error})");
            return None;
        }
    };
    if output.stderr.contains("unshare") || output.stderr.contains("mount:") {
        println!("skipped: this machine does not let a test mount a file system ({})", output.stderr.trim());
        return None;
    }
    Some(output)
}

#[test]
fn a_disk_that_is_full() {
    let folder = Scratch::new();
    folder.file("sweep.yaml", GOOD);
    if let Some(output) = run_on_a_small_disk(&folder, "64k") {
        assert_eq!(output.code, 4, "{output:?}");
        assert!(
            output.stderr.contains("small/state") && output.stderr.contains("No space left on device"),
            "{output:?}"
        );
    }
}

#[test]
fn a_disk_that_fills_up_is_waited_for() {
    let _turn = turn::training();
    let folder = Scratch::new();
    // Enough cells that their state and artifacts do not fit.
    folder.file(
        "sweep.yaml",
        &GOOD.replace("seeds: [0]", "seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]"),
    );
    if let Some(output) = run_on_a_small_disk(&folder, "1800k") {
        assert_eq!(output.code, 0, "it waits, and goes on when there is room: {output:?}");
        for part in ["warning: the disk of small/state is almost full", "there is room again", "32 of 32 cells done"] {
            assert!(output.stderr.contains(part), "{part}: {output:?}");
        }
    }
}
