//! The program `worker`, which must be beside this one: `run` starts it, and other commands ask it what a machine has.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pretext_shared::dataset::{DatasetFacts, GroupPattern, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::inventory::{FoundDataset, FoundDevice, Shipment};
use pretext_shared::survey::Survey;
use pretext_shared::text;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::error::CliError;

/// The path of the program.
#[derive(Debug, Clone)]
pub(super) struct WorkerProgram {
    path: PathBuf,
}

impl WorkerProgram {
    /// Finds the program.
    pub(super) fn find() -> Result<Self, CliError> {
        let own = std::env::current_exe()
            .map_err(|error| CliError::environment(format!("cannot tell where this program is: {error}")))?;
        Self::beside(&own)
    }

    fn beside(own: &Path) -> Result<Self, CliError> {
        let path = own.with_file_name(format!("worker{}", std::env::consts::EXE_SUFFIX));
        if path.is_file() {
            return Ok(Self { path });
        }
        Err(CliError::Environment {
            message: format!("the program that trains is missing: {}", path.display()),
            help: Some("build it with `cargo build --release`, and keep `worker` beside `coordinator`".to_owned()),
        })
    }

    /// Returns a command that starts the program.
    pub(super) fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// Returns the path of the program.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the facts of the data that `source` names below `data_root`.
    pub(super) async fn facts(&self, source: &Source, data_root: &Path) -> Result<DatasetFacts, CliError> {
        if let Source::Procedural(procedural) = source {
            return Ok(procedural.facts());
        }
        let key = source.key();
        let arguments = ["inspect", "--json", "--dataset", &key].map(OsStr::new);
        let found: Vec<FoundDataset> = self.ask(&[&arguments[..], &[data_root.as_os_str()]].concat()).await?;
        choose(found, &key, data_root).map(|(facts, _)| facts)
    }

    /// Returns the same facts, and what a look at every picture finds if there are at most `most` pictures. Hashes are
    /// kept in the file `cache`.
    pub(super) async fn look(
        &self,
        source: &Source,
        data_root: &Path,
        most: u64,
        cache: Option<&Path>,
    ) -> Result<(DatasetFacts, Option<Survey>), CliError> {
        let (key, most) = (source.key(), most.to_string());
        let mut arguments =
            ["inspect", "--json", "--deep", "--most", &most, "--dataset", &key].map(OsStr::new).to_vec();
        if let Some(cache) = cache {
            arguments.extend([OsStr::new("--cache"), cache.as_os_str()]);
        }
        arguments.push(data_root.as_os_str());
        choose(self.ask(&arguments).await?, &key, data_root)
    }

    /// Returns the one data set in `dir`, of any kind, with its files and what a look at every picture finds if there
    /// are at most `most` pictures.
    pub(super) async fn look_in(&self, dir: &Path, most: u64) -> Result<(Shipment, Option<Survey>), CliError> {
        let most = most.to_string();
        let arguments = ["inspect", "--json", "--files", "--deep", "--most", &most].map(OsStr::new);
        self.one(dir, &[&arguments[..], &[dir.as_os_str()]].concat()).await
    }

    /// Returns the data set in `dir`, of any kind, with its files.
    pub(super) async fn shipment(&self, dir: &Path, groups: Option<&GroupPattern>) -> Result<Shipment, CliError> {
        let groups = groups.map(|pattern| format!("--groups={pattern}"));
        let mut arguments = ["inspect", "--json", "--files"].map(OsStr::new).to_vec();
        arguments.extend(groups.as_ref().map(OsStr::new));
        arguments.push(dir.as_os_str());
        self.one(dir, &arguments).await.map(|(shipment, _)| shipment)
    }

    async fn one(&self, dir: &Path, arguments: &[&OsStr]) -> Result<(Shipment, Option<Survey>), CliError> {
        let found: Vec<FoundDataset> = self.ask(arguments).await?;
        let unusable = |problem: Option<String>| {
            let problem = problem.unwrap_or_else(|| "it has no facts".to_owned());
            CliError::input(format!("the data set in {} cannot be used: {}", dir.display(), text::line(&problem)))
        };
        match found.into_iter().next() {
            Some(FoundDataset { facts: Some(facts), files, survey, .. }) => {
                Ok((Shipment { facts, files: files.unwrap_or_default() }, survey))
            }
            Some(FoundDataset { problem, .. }) => Err(unusable(problem)),
            None => Err(unusable(None)),
        }
    }

    /// Returns the numeric class of this machine with `--device auto`.
    pub(super) async fn class(&self) -> Result<NumericClass, CliError> {
        Ok(class_of(&self.devices().await?))
    }

    /// Returns the devices of this machine.
    pub(super) async fn devices(&self) -> Result<Vec<FoundDevice>, CliError> {
        self.ask(&[OsStr::new("devices"), OsStr::new("--json")]).await
    }

    async fn ask<T: DeserializeOwned>(&self, arguments: &[&OsStr]) -> Result<T, CliError> {
        let failed = |why: String| CliError::environment(format!("{}: {why}", self.path.display()));
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| failed(format!("cannot be started: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<String> = said.lines().map(text::line).collect();
            return Err(match output.status.code() {
                Some(2) => CliError::input(said.join("\n")),
                _ => failed(format!("{}: {}", output.status, said.join("\n"))),
            });
        }
        serde_json::from_slice(&output.stdout).map_err(|error| CliError::Environment {
            message: format!("cannot read the answer of {}: {error}", self.path.display()),
            help: Some("use the same version of `worker` and `coordinator`".to_owned()),
        })
    }
}

/// Returns the numeric class of a machine with these devices and `--device auto`.
pub(super) fn class_of(devices: &[FoundDevice]) -> NumericClass {
    let gpu = devices.iter().any(|device| device.real && device.class == NumericClass::Gpu);
    if gpu { NumericClass::Gpu } else { NumericClass::Cpu }
}

fn choose(found: Vec<FoundDataset>, key: &str, data_root: &Path) -> Result<(DatasetFacts, Option<Survey>), CliError> {
    let keys: Vec<&str> = found.iter().map(|data| data.key.as_str()).collect();
    let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    let missing = CliError::Input {
        message: format!("there is no data set {key} below {}; found: {keys}", data_root.display()),
        help: Some("`dataset.path` is relative to --data-root".to_owned()),
    };
    match found.into_iter().find(|data| data.key == key) {
        Some(FoundDataset { facts: Some(facts), survey, .. }) => Ok((facts, survey)),
        Some(FoundDataset { problem, .. }) => {
            let problem = problem.unwrap_or_else(|| "it has no facts".to_owned());
            Err(CliError::input(format!("the data set {key} cannot be used: {}", text::line(&problem))))
        }
        None => Err(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<FoundDataset> {
        let json = r#"[
            {"key": "cifar10:c", "facts": null, "problem": "test_batch.bin is too short"},
            {"key": "idx:m", "problem": null, "facts": {
                "key": "idx:m", "classes": ["0", "1"], "train": [5, 5], "test": [1, 1],
                "fingerprint": "0000000000000000000000000000000000000000000000000000000000000000"}}
        ]"#;
        serde_json::from_str(json).expect("what `worker inspect --json` prints")
    }

    #[test]
    fn data_are_found_by_key_or_refused_in_words() {
        let root = Path::new("data");
        assert_eq!(choose(found(), "idx:m", root).expect("it is there").0.train_total(), 10);
        let error = choose(found(), "cifar10:c", root).expect_err("it is damaged").to_string();
        assert_eq!(error, "the data set cifar10:c cannot be used: test_batch.bin is too short");
        let error = choose(found(), "idx:n", root).expect_err("it is not there");
        assert_eq!(error.to_string(), "there is no data set idx:n below data; found: cifar10:c, idx:m");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_missing_program_is_named_with_its_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = WorkerProgram::beside(&folder.path().join("coordinator")).expect_err("nothing is there");
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(&format!("{}/worker", folder.path().display())), "{error}");
    }
}
