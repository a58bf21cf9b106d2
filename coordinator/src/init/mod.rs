//! `coordinator init`: looks at a folder of pictures and writes a sweep for it.

mod draft;
mod groups;
mod policies;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::ids::{MAX_NAME, is_valid_name};
use pretext_shared::inventory::Shipment;
use pretext_shared::text;
use serde::Serialize;

use crate::console::{Console, Show};
use crate::error::CliError;
use crate::look::{SMALL, room};
use crate::sweep_file::SweepFile;
use crate::verdict::Verdict;
use crate::worker_program::{WorkerProgram, class_of};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder of the pictures: class folders, `train/` and `test/` with class folders, CIFAR, IDX files
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The sweep file to write; an existing file is never overwritten
    #[arg(long, value_name = "FILE", default_value = "sweep.yaml")]
    out: PathBuf,
    /// The folder that `dataset.path` will be relative to [default: the working folder, or the folder that FOLDER is in]
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

/// A written sweep file.
#[derive(Debug, Serialize)]
struct Written {
    #[serde(serialize_with = "crate::values::lossy")]
    file: PathBuf,
    name: String,
    /// The data set: `KIND:PATH`.
    dataset: String,
    classes: Vec<String>,
    train: Vec<u32>,
    test: Vec<u32>,
    image_size: u32,
    /// A pattern of names that may name groups.
    groups: Option<&'static str>,
    /// What to type next.
    commands: Vec<String>,
    #[serde(skip)]
    findings: Vec<String>,
}

impl Show for Written {
    fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.dataset, text::counted(self.classes.len(), "class"));
        for finding in &self.findings {
            out.push_str(&format!("  {finding}\n"));
        }
        if let Some(pattern) = self.groups {
            out.push_str(&format!("  groups: the names may mean groups ({pattern}): read the comment in the file\n"));
        }
        out.push_str(&format!("wrote {}; next:\n", self.file.display()));
        for command in &self.commands {
            out.push_str(&format!("  {command}\n"));
        }
        out
    }
}

/// Looks at the folder, writes the sweep and prints what to do next.
pub(super) async fn init(args: InitArgs, console: &Console) -> Result<Verdict, CliError> {
    let InitArgs { folder, out, data_root } = args;
    let exists = |out: &Path| CliError::Input {
        message: format!("{} exists already", out.display()),
        help: Some("name another file with --out".to_owned()),
    };
    if out.symlink_metadata().is_ok() {
        return Err(exists(&out));
    }
    let place = Place::of(&folder, data_root.as_deref())?;
    let program = WorkerProgram::find()?;
    let (Shipment { facts, files }, survey) = program.look_in(&folder, SMALL).await?;
    let devices = program.devices().await?;
    let source: Source = facts.key.parse().map_err(CliError::environment)?;
    let source = source.at(&place.path).with_policies(policies::propose(&facts, survey.as_ref()));
    let facts = DatasetFacts { key: source.key(), ..facts };
    let names = files.iter().filter_map(|file| groups::below_class(&file.path, &facts.classes));
    let proposal = groups::propose(names).filter(|_| facts.groups.is_empty());
    let name = name_of(&folder);
    let commands = place.commands(&out);
    let known = draft::Known {
        name: &name,
        source: &source,
        facts: &facts,
        survey: survey.as_ref(),
        groups: proposal.as_ref(),
        class: class_of(&devices),
        room: room(&devices),
        commands: &commands,
    };
    let text = draft::write(&known).map_err(|error| {
        // The lines are those of a file that is not written.
        let problems = error.problems().map(|problems| problems.issues.iter().map(|issue| issue.message.as_str()));
        let why = problems.map_or_else(|| error.to_string(), |problems| problems.collect::<Vec<_>>().join("; "));
        CliError::Input {
            message: format!("{} allows no sweep: {why}", folder.display()),
            help: Some("add pictures to the smallest class, or remove its folder".to_owned()),
        }
    })?;
    let file = SweepFile::from_text(&out.display().to_string(), text)?;

    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => exists(&out),
        _ => CliError::environment(format!("cannot write {}: {error}", out.display())),
    };
    let mut written = OpenOptions::new().write(true).create_new(true).open(&out).map_err(failed)?;
    written.write_all(file.text.as_bytes()).and_then(|()| written.sync_all()).map_err(failed)?;
    let lines = survey.iter().flat_map(|survey| pretext_shared::findings::lines(survey, 5));
    console.show(&Written {
        findings: lines.collect(),
        name,
        dataset: source.key(),
        image_size: file.sweep.image_size,
        classes: facts.classes,
        train: facts.train,
        test: facts.test,
        groups: proposal.map(|proposal| proposal.pattern),
        commands,
        file: out,
    })?;
    Ok(Verdict::Good)
}

/// Where a folder is below a data root.
#[derive(Debug, PartialEq)]
struct Place {
    /// As the next commands name it; `None` for the working folder, which is the default.
    data_root: Option<PathBuf>,
    /// The folder below it, as `dataset.path`.
    path: String,
}

impl Place {
    fn of(folder: &Path, data_root: Option<&Path>) -> Result<Self, CliError> {
        let whole = |path: &Path| {
            path.canonicalize()
                .map_err(|error| CliError::input(format!("cannot use the folder {}: {error}", path.display())))
        };
        let target = whole(folder)?;
        if !target.is_dir() {
            return Err(CliError::input(format!("{} is not a folder", folder.display())));
        }
        let (named, root) = match data_root {
            Some(root) => (Some(root.to_owned()), whole(root)?),
            None => match whole(Path::new(".")) {
                Ok(here) if target.starts_with(&here) => (None, here),
                _ => {
                    let parent = target.parent().unwrap_or(&target).to_owned();
                    (Some(parent.clone()), parent)
                }
            },
        };
        let below = target.strip_prefix(&root).map_err(|_| CliError::Input {
            message: format!("{} is not below {}", folder.display(), root.display()),
            help: Some("name a folder above it with --data-root".to_owned()),
        })?;
        let text = below.to_str().ok_or_else(|| CliError::Input {
            message: format!("the name of {} is not UTF-8", folder.display()),
            help: Some("rename it: a sweep file is text".to_owned()),
        })?;
        Ok(Self { data_root: named, path: if text.is_empty() { ".".to_owned() } else { text.to_owned() } })
    }

    /// Returns the commands that use the sweep file.
    fn commands(&self, out: &Path) -> Vec<String> {
        let root = self.data_root.as_ref().map(|root| format!(" --data-root {}", quoted(root))).unwrap_or_default();
        let file = quoted(out);
        [("plan", ""), ("run", " --smoke"), ("run", "")]
            .map(|(command, flag)| format!("coordinator {command} {file}{flag}{root}"))
            .to_vec()
    }
}

/// Returns a path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+' | ',' | ':' | '@');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        text
    } else {
        // A shell takes everything between single quotes as it is.
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Returns a name for the sweep: the folder's, with the characters that a name may have.
fn name_of(folder: &Path) -> String {
    let own = folder.canonicalize().ok().and_then(|whole| Some(whole.file_name()?.to_string_lossy().into_owned()));
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let name: String = own.unwrap_or_default().chars().map(kept).take(MAX_NAME).collect();
    let name = name.trim_matches('-').to_owned();
    // A number would be read as one.
    if is_valid_name(&name) && name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { "study".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_found_from_its_data_root() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let pets = place.path().join("my data/pets");
        fs::create_dir_all(&pets).expect("a folder");
        let parent = pets.parent().expect("it has one").canonicalize().expect("it is there");
        let found = Place::of(&pets, None).expect("a folder");
        assert_eq!(found, Place { data_root: Some(parent.clone()), path: "pets".to_owned() });
        assert_eq!(
            found.commands(Path::new("s.yaml"))[2],
            format!("coordinator run s.yaml --data-root '{}'", parent.display())
        );
        assert_eq!(Place::of(&pets, Some(place.path())).expect("a folder").path, "my data/pets");
        assert_eq!(Place::of(&pets, Some(&pets)).expect("a folder").path, ".");
        let error = Place::of(place.path(), Some(&pets)).expect_err("the other way round");
        assert!(error.exit_code() == 2 && error.to_string().contains("is not below"), "{error}");
        assert!(Place::of(&pets.join("nothing"), None).is_err());
        // The working folder needs no flag.
        assert_eq!(
            Place::of(Path::new("src"), None).expect("a folder"),
            Place { data_root: None, path: "src".to_owned() }
        );
    }

    #[test]
    fn names_and_paths_are_written_as_others_read_them() {
        assert_eq!(name_of(Path::new("src")), "src");
        let place = tempfile::tempdir().expect("a temporary folder");
        for (folder, name) in [("Café 2024", "Caf--2024"), ("2024", "study"), ("日本", "study")] {
            fs::create_dir(place.path().join(folder)).expect("a folder");
            assert_eq!(name_of(&place.path().join(folder)), name);
        }
        assert_eq!(
            [quoted(Path::new("a b")), quoted(Path::new("it's")), quoted(Path::new("a/b.yaml"))],
            ["'a b'", r"'it'\''s'", "a/b.yaml"]
        );
    }
}
