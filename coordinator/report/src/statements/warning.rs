//! Warnings: facts that a reader must know before the first number.

use pretext_shared::methods::about::Cue;
use pretext_shared::stage::Extent;
use pretext_shared::sweep::SweepView;
use pretext_shared::text;

use super::wording::Wording;
use crate::notation::percent;
use crate::numbers::Shortcut;

/// A warning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warning<'a> {
    /// The sweep is a rehearsal.
    Rehearsal,
    /// The sweep was cancelled.
    Cancelled,
    /// A pretext task was solved suspiciously early.
    EasyPretextTask(&'a Shortcut),
}

/// Returns the warnings of a sweep.
pub(super) fn warnings<'a>(view: &SweepView, shortcuts: &'a [Shortcut]) -> Vec<Warning<'a>> {
    let rehearsal = matches!(view.provenance.extent, Extent::Smoke).then_some(Warning::Rehearsal);
    let cancelled = view.is_cancelled().then_some(Warning::Cancelled);
    rehearsal.into_iter().chain(cancelled).chain(shortcuts.iter().map(Warning::EasyPretextTask)).collect()
}

impl Warning<'_> {
    pub(super) fn wording(&self) -> Wording {
        match self {
            Warning::Rehearsal => Wording::of("REHEARSAL (--smoke)", "These numbers say nothing about any method.")
                .on_condition("Every stage ran two steps."),
            Warning::Cancelled => Wording::of("Cancelled", "Some cells of this sweep have no result."),
            Warning::EasyPretextTask(shortcut) => easy(shortcut),
        }
    }
}

fn easy(shortcut: &Shortcut) -> Wording {
    let fractions: Vec<String> = shortcut.fractions.iter().map(|fraction| fraction.percent()).collect();
    let seen = shortcut.seen.map_or_else(String::new, |seen| format!(" of {} views", text::grouped(seen)));
    let verdict = format!(
        "{method} ({fractions} of the labels, seed {seed}) has a validation accuracy of {accuracy} %{seen} after epoch \
         {epoch} of {epochs}.",
        method = shortcut.method.title(),
        fractions = fractions.join(", "),
        seed = shortcut.seed,
        accuracy = percent(shortcut.accuracy),
        epoch = shortcut.epoch,
        epochs = shortcut.epochs,
    );
    let wording = Wording::of("Suspiciously easy pretext task", verdict);
    match shortcut.cue {
        Cue::Orientation => wording
            .on_condition("At the end of training, published accuracies on natural pictures are 50–93 %.")
            .on_condition(
                "Something other than the content probably shows the orientation: borders, compression blocks, a \
                 watermark, or the lighting.",
            )
            .on_condition("Look at grayscale, centre-cropped and blurred pictures before you use these results.")
            .on_condition("Compare the frozen-probe accuracy with that of a random encoder."),
        Cue::Identity => wording
            .on_condition("Two views of a picture should be hard to recognise for many epochs.")
            .on_condition(
                "Something other than the content probably links them: a colour cast, borders, or a batch with too few \
                 other pictures.",
            )
            .on_condition("Strengthen the colour jitter or enlarge the batch before you use these results."),
    }
}
