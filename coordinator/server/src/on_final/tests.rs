//! The program that is told: when it runs, what it gets, and that nothing is forgotten.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use pretext_engine::Limits;
use pretext_engine::fixtures::{SWEEP, lease, offer, result, submission, worker};
use pretext_store::RedbStore;
use tempfile::TempDir;

use super::*;
use crate::core::CoreThread;

struct Stage {
    folder: TempDir,
    core: Core,
    thread: CoreThread,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::on(folder)
    }

    /// A coordinator that starts, or starts again, on this folder.
    fn on(folder: TempDir) -> Self {
        let store = RedbStore::open(&folder.path().join("state.redb")).expect("a store");
        let (core, thread) = Core::start(Arc::new(store), Limits::default()).expect("it starts");
        Self { folder, core, thread }
    }

    fn restarted(self) -> Self {
        self.thread.stop();
        drop(self.core);
        Self::on(self.folder)
    }

    /// Submits a sweep and finishes all of it.
    async fn finish(&self, name: &str) {
        let text = SWEEP.replace("name: small", &format!("name: {name}"));
        let done = self.core.call(move |engine, now| {
            engine.submit(submission(&text, 1));
            engine.register(worker("w"), offer(1), now.mono);
            let mut asked = 0;
            while let Some(grant) = lease(engine, "w", &format!("{text}{asked}"), now.mono) {
                engine.complete(grant.attempt, result(), 0).expect("the holder completes");
                asked += 1;
            }
        });
        done.await.expect("durable");
    }

    /// Writes a program that appends its input to `told`, and exits with what `code` has.
    fn program(&self) -> PathBuf {
        let path = self.folder.path().join("program");
        let (told, code) = (self.folder.path().join("told"), self.folder.path().join("code"));
        fs::write(&code, "0").expect("a file");
        let script = format!("#!/bin/sh\ncat >> {}\nexit $(cat {})\n", told.display(), code.display());
        fs::write(&path, script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("ours");
        path
    }

    fn fails(&self, code: &str) {
        fs::write(self.folder.path().join("code"), code).expect("a file");
    }

    /// Returns what the program was told: event ids and outcomes.
    fn told(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.folder.path().join("told")).unwrap_or_default();
        let read = |line: &str| -> (String, String) {
            let json: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |key: &str| json[key].as_str().expect("text").to_owned();
            (text("event"), text("outcome"))
        };
        text.lines().map(read).collect()
    }

    async fn teller(&self) -> Teller {
        let folder = self.folder.path().join("final");
        Teller::new(self.core.clone(), &self.program(), folder).await.expect("a program and a folder")
    }
}

#[tokio::test]
async fn a_sweep_is_told_once_after_its_end_and_not_again_after_a_restart() {
    let stage = Stage::new();
    stage.finish("before").await;
    let mut teller = stage.teller().await;
    teller.round().await.expect("a round");
    assert_eq!(stage.told(), [], "it had finished before the first start with a program");
    stage.finish("after").await;
    teller.round().await.expect("a round");
    teller.round().await.expect("a round");
    let told = stage.told();
    assert_eq!(told.len(), 1);
    assert!(told[0].0.starts_with("after-") && told[0].1 == "succeeded", "{told:?}");
    drop(teller);
    let stage = stage.restarted();
    let mut teller = stage.teller().await;
    teller.round().await.expect("a round");
    assert_eq!(stage.told(), told);
    drop(teller);
    stage.thread.stop();
}

#[tokio::test]
async fn a_program_that_fails_is_run_again_with_the_same_event_also_by_the_next_coordinator() {
    let stage = Stage::new();
    let mut teller = stage.teller().await;
    stage.finish("one").await;
    stage.fails("3");
    assert!(matches!(teller.round().await, Err(RoundError::Program(ProgramError::Ended(_)))));
    drop(teller);
    let stage = stage.restarted();
    let mut teller = stage.teller().await;
    teller.round().await.expect("the program works now");
    let told = stage.told();
    assert_eq!((told.len(), told.first()), (2, told.last()), "the same event");
    drop(teller);
    stage.thread.stop();
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_begins_again() {
    let stage = Stage::new();
    stage.finish("before").await;
    fs::create_dir(stage.folder.path().join("final")).expect("a folder without a mark");
    let mut teller = stage.teller().await;
    teller.round().await.expect("a round");
    assert_eq!(stage.told(), []);
    drop(teller);
    stage.thread.stop();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_refused_at_the_start() {
    let stage = Stage::new();
    let folder = stage.folder.path().join("final");
    let absent = Teller::new(stage.core.clone(), Path::new("./no/such/program"), folder).await;
    assert!(matches!(absent, Err(ToldError::NoProgram(_))));
    stage.thread.stop();
}
