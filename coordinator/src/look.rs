//! The data of a sweep as the worker program sees them: facts, findings, and the memory that they need.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, DuplicatePolicy, Source, Unreadable};
use pretext_shared::device::NumericClass;
use pretext_shared::inventory::{FoundDevice, MOST_PIXELS, PIXELS_SHARE, most_pixels};
use pretext_shared::survey::{Duplicates, Survey};
use pretext_shared::text::{self, size};

use super::error::CliError;
use super::sweep_file::SweepFile;
use super::worker_program::WorkerProgram;

/// Largest data set, in pictures, of which every picture is looked at before each sweep.
pub(super) const SMALL: u64 = 5000;

/// Most pictures that a refusal names.
const MOST_NAMED: usize = 10;

/// A data set of a sweep.
#[derive(Debug)]
pub(super) struct Looked {
    /// Its source.
    pub(super) source: Source,
    /// What a worker announces of it.
    pub(super) facts: DatasetFacts,
    /// What a look at every picture found, if it is small.
    pub(super) survey: Option<Survey>,
    /// Height and width of the images that enter the network.
    pub(super) image_size: u32,
}

impl Looked {
    /// Returns the bytes of its decoded pictures.
    pub(super) fn bytes(&self) -> u64 {
        bytes(&self.facts, self.image_size)
    }
}

/// Returns the bytes of the decoded pictures of a data set: three for each pixel.
pub(super) fn bytes(facts: &DatasetFacts, image_size: u32) -> u64 {
    let pixels = u64::from(image_size) * u64::from(image_size);
    let images = facts.train_total() + facts.validation_total() + facts.test_total();
    images.saturating_mul(3 * pixels)
}

/// Looks at the data sets of `file` below `data_root`: the sweep's, and the one for pretext training if it is another.
///
/// # Errors
/// If one of them cannot be used; the error has the line that names it.
pub(super) async fn look(file: &SweepFile, data_root: &Path, cache: Option<&Path>) -> Result<Vec<Looked>, CliError> {
    let sweep = &file.sweep;
    let own = ("dataset.path", &sweep.source, sweep.image_size);
    let other = sweep.pretext_dataset.as_ref().map(|other| ("pretext.dataset.path", &other.source, other.image_size));
    let mut looked = Vec::new();
    for (key, source, image_size) in std::iter::once(own).chain(other) {
        let (facts, survey) = match source {
            Source::Procedural(procedural) => (procedural.facts(), None),
            _ => {
                let found = WorkerProgram::find()?.look(source, data_root, SMALL, cache).await;
                found.map_err(|error| file.unusable(key, error))?
            }
        };
        if let Some(survey) = &survey {
            check(source, survey).map_err(|error| file.unusable(key, error))?;
        }
        looked.push(Looked { source: source.clone(), facts, survey, image_size });
    }
    Ok(looked)
}

/// Refuses pictures that a trainer would refuse, before it starts: unreadable ones, and leaks above the stated share.
/// Files with equal bytes were compared when the data set was listed; here are those that are equal when decoded.
fn check(source: &Source, survey: &Survey) -> Result<(), CliError> {
    let (key, policies) = (source.key(), source.policies());
    let may_choose = source.has_policies();
    if !survey.unreadable.is_empty() && policies.unreadable == Unreadable::Refuse {
        let bad = survey.unreadable.len();
        let first = survey.unreadable.iter().take(MOST_NAMED).map(|file| format!("{}: {}", file.path, file.reason));
        let more = if bad > MOST_NAMED { format!("; and {} more", bad - MOST_NAMED) } else { String::new() };
        let all = survey.pictures() + bad as u64;
        let first = first.collect::<Vec<_>>().join("; ");
        let skip = if may_choose { ", or write `unreadable: skip` below `dataset` to leave them out" } else { "" };
        return Err(CliError::Input {
            message: text::line(&format!(
                "{bad} of {} of {key} cannot be decoded: {first}{more}",
                text::counted(all, "picture")
            )),
            help: Some(format!("replace or remove them{skip}; `worker inspect DIR --deep` lists all")),
        });
    }
    let found = &survey.duplicates;
    let above = found.leaked_share > Duplicates::REFUSED_ABOVE || found.two_labels_share > Duplicates::REFUSED_ABOVE;
    if may_choose && above && policies.duplicates == DuplicatePolicy::Refuse {
        let pairs = found.leaks.iter().chain(&found.contradictions).take(MOST_NAMED);
        let pairs: Vec<String> = pairs.map(|(one, two)| format!("{} is {}", one.path, two.path)).collect();
        return Err(CliError::Input {
            message: text::line(&format!(
                "{} of {key} {} too, and {} {} two labels: {}",
                text::counted(found.leaked, "test picture"),
                text::agreeing(found.leaked, "is a training picture", "are training pictures"),
                text::counted(found.two_labels, "picture"),
                text::agreeing(found.two_labels, "has", "have"),
                pairs.join("; ")
            )),
            help: Some(
                "remove the copies, or write `duplicates: drop-from-train` or `duplicates: keep` below `dataset`"
                    .to_owned(),
            ),
        });
    }
    Ok(())
}

/// Returns the bytes of decoded pictures that a trainer may hold on a machine with these devices, if that is known.
pub(super) fn room(devices: &[FoundDevice]) -> Option<u64> {
    let memory = devices.iter().find_map(|device| device.memory)?;
    Some(most_pixels(memory))
}

/// Returns the number of trainers on the CPU for which there is memory, if it is less than `cores`: each decodes the
/// pictures for itself.
///
/// # Errors
/// If there is too little memory for one trainer, or for as many as `workers` asks for.
pub(super) async fn trainers(
    looked: &[Looked],
    cores: usize,
    workers: Option<u32>,
    device: &str,
) -> Result<Option<u32>, CliError> {
    let needed: u64 = looked.iter().map(Looked::bytes).fold(0, u64::saturating_add);
    let wanted = workers.map_or(cores as u64, u64::from);
    // Asking takes a moment, and every machine has this much.
    if needed.saturating_mul(wanted) < 1 << 30 {
        return Ok(None);
    }
    let devices = WorkerProgram::find()?.devices().await?;
    let on_cpu = match device {
        "cpu" => true,
        _ => devices.iter().any(|device| device.auto && device.class == NumericClass::Cpu),
    };
    let memory = devices.iter().find_map(|device| device.memory);
    fitting(needed, memory, workers, if on_cpu { cores as u64 } else { 1 })
}

fn fitting(needed: u64, memory: Option<u64>, workers: Option<u32>, default: u64) -> Result<Option<u32>, CliError> {
    let refuse = |message: String| {
        Err(CliError::Environment {
            message,
            help: Some("choose a smaller `image_size`, use fewer pictures, or run it where there is more".to_owned()),
        })
    };
    if needed > MOST_PIXELS {
        let (needed, most) = (size(needed), size(MOST_PIXELS));
        return refuse(format!("the decoded pictures take {needed} of memory, and a trainer holds at most {most}"));
    }
    let Some(memory) = memory else { return Ok(None) };
    let fit = ((memory as f64 * PIXELS_SHARE) as u64) / needed.max(1);
    if fit == 0 {
        return refuse(format!(
            "the decoded pictures take {} of memory, and a program may use {} on this machine",
            size(needed),
            size(memory)
        ));
    }
    match workers {
        Some(workers) if u64::from(workers) > fit => Err(CliError::Environment {
            message: format!(
                "{} with {} of decoded pictures each need more than the {} of memory that this machine gives",
                text::counted(workers, "trainer"),
                size(needed),
                size(memory)
            ),
            help: Some(format!("use --workers {fit}")),
        }),
        Some(_) => Ok(None),
        None => Ok((fit < default).then(|| u32::try_from(fit).unwrap_or(u32::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::dataset::Procedural;

    use super::*;

    #[test]
    fn memory_is_counted_before_it_is_taken() {
        let facts = Procedural { train_per_class: 500_000, test_per_class: 10, seed: 0 }.facts();
        assert_eq!(size(bytes(&facts, 224)), "210.3 GiB");
        let said =
            |needed, memory, workers, default| fitting(needed, memory, workers, default).map_err(|e| e.to_string());
        assert!(said(bytes(&facts, 224), None, None, 2).is_err_and(|text| text.contains("210.3 GiB")));
        let six = Some(6_000_000_000);
        let error = fitting(8 << 30, six, None, 2).expect_err("too little");
        assert_eq!(error.exit_code(), 4);
        assert_eq!(
            error.to_string(),
            "the decoded pictures take 8.0 GiB of memory, and a program may use 5.6 GiB on this machine"
        );
        // Three trainers fit: of more cores, only three are used, and asking for more is refused.
        assert_eq!(said(3 << 29, six, None, 8), Ok(Some(2)));
        assert_eq!(said(3 << 29, six, None, 1), Ok(None));
        assert_eq!(said(3 << 29, six, Some(2), 8), Ok(None));
        let error = fitting(3 << 29, six, Some(3), 8).expect_err("too many");
        assert!(error.to_string().starts_with("3 trainers with 1.5 GiB") && error.help() == Some("use --workers 2"));
        assert_eq!(said(3 << 29, None, Some(99), 8), Ok(None));
    }

    #[test]
    fn pictures_that_training_would_refuse_are_refused_before() {
        use pretext_shared::survey::{PictureName, SurveyPart, UnreadableFile};

        let source: Source = "image-folder:pets".parse().expect("a key");
        let bad = |n: u32| UnreadableFile {
            part: SurveyPart::Train,
            path: format!("train/cat/{n}.jpg"),
            label: 0,
            reason: "cut off".to_owned(),
        };
        let survey = Survey { colour: 30, unreadable: (0..12).map(bad).collect(), ..Survey::default() };
        let error = check(&source, &survey).expect_err("unreadable");
        let text = error.to_string();
        assert!(
            text.starts_with("12 of 42 pictures of image-folder:pets cannot be decoded: train/cat/0.jpg: cut off; ")
        );
        assert!(text.ends_with("train/cat/9.jpg: cut off; and 2 more"), "{text}");
        assert!(error.exit_code() == 2 && error.help().is_some_and(|help| help.contains("`unreadable: skip`")));
        let skip: Source = "image-folder:pets?unreadable=skip".parse().expect("a key");
        assert!(check(&skip, &survey).is_ok());
        let arrays: Source = "idx:digits".parse().expect("a key");
        assert!(check(&arrays, &survey).expect_err("unreadable").help().is_some_and(|help| !help.contains("skip")));

        let name = |path: &str| PictureName { part: SurveyPart::Test, path: path.to_owned(), label: 0 };
        let leaks = |leaked_share| Survey {
            duplicates: Duplicates {
                leaked: 2,
                leaked_share,
                leaks: vec![(name("test/a.png"), name("train/b.png"))],
                ..Duplicates::default()
            },
            ..Survey::default()
        };
        let error = check(&source, &leaks(0.02)).expect_err("a leak").to_string();
        assert!(error.contains("2 test pictures") && error.ends_with("test/a.png is train/b.png"), "{error}");
        assert!(check(&source, &leaks(0.01)).is_ok());
        let keep: Source = "image-folder:pets?duplicates=keep".parse().expect("a key");
        assert!(check(&keep, &leaks(0.5)).is_ok());
    }

    #[test]
    fn sizes_are_short() {}
}
