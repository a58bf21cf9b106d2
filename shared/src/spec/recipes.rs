//! Reads `pretext`, `downstream` and `overrides`: the training of each method under each policy.

use super::axes::Axes;
use super::field::{Field, Section};
use super::schedule::{self, Base, Policy};
use super::sweep::{DownstreamRecipe, PretextData, PretextRecipe, Recipe};
use super::training::{self, Training};
use crate::methods::about::Parts;
use crate::methods::keys::{Defaults, Keys, Number, Switch, Whole};
use crate::methods::views::{MIN_CROP, crop_flip};
use crate::stage::{
    Budget, DownstreamHead, DownstreamMode, EncoderSpec, KnnSpec, LabelledView, LrSpec, Method, PretextTask,
    ResizedFlip, StageKind,
};
use crate::text::counted;

/// Returns the keys of `pretext` that a method reads besides the common ones; `None` if it has no pretext stage.
fn task_keys(method: Method) -> Option<Vec<&'static str>> {
    let own = method.has_pretext().then(|| method.keys())?;
    Some(["data"].into_iter().chain(own.iter().map(|key| key.name)).chain(["knn"]).collect())
}

const DOWNSTREAM_KEYS: [&str; 6] = ["mode", "head", "block", "padding", "min_crop", "flip"];

/// The training of a method, before a policy sets its rates.
struct PartialRecipe<'a> {
    method: Method,
    pretext: Option<PretextDraft<'a>>,
    downstream: DownstreamDraft<'a>,
    /// The method's own base rates, in the order of the policies.
    rates: Vec<Base>,
}

struct PretextDraft<'a> {
    section: Section<'a>,
    data: PretextData,
    task: PretextTask,
    knn: Option<KnnSpec>,
    training: Training,
}

struct DownstreamDraft<'a> {
    section: Section<'a>,
    mode: DownstreamMode,
    head: DownstreamHead,
    encoder: EncoderSpec,
    augment: LabelledView,
    training: Training,
}

/// Returns all recipes, policy by policy, without those that have problems. If the encoder has problems, there are no
/// recipes, but their problems are still reported.
pub(super) fn read(
    file: &Section<'_>,
    axes: &Axes<'_>,
    defaults: &Defaults,
    encoder: Option<&EncoderSpec>,
) -> Vec<Recipe> {
    let base = |key: &str| file.get(key).map_or_else(|| Some(file.empty(key)), |field| field.section());
    let (pretext, downstream) = (base("pretext"), base("downstream"));
    let mut known = [&training::KEYS[..], &["dataset"]].concat();
    for key in Method::ALL.into_iter().filter_map(task_keys).flatten() {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    pretext.iter().for_each(|section| section.only(&known));
    downstream.iter().for_each(|section| section.only(&[&training::KEYS[..], &DOWNSTREAM_KEYS].concat()));

    let overrides = file.get("overrides").and_then(|field| field.section());
    overrides.iter().for_each(|section| check_methods(section, axes));
    let (Some(pretext), Some(downstream)) = (pretext, downstream) else { return Vec::new() };
    let reader = Reader { pretext, downstream, overrides, defaults, encoder };
    let drafts: Vec<PartialRecipe<'_>> =
        axes.methods.iter().filter_map(|method| reader.draft(*method, &axes.policies)).collect();
    let of_policy = |(i, policy)| drafts.iter().filter_map(move |draft| draft.recipe(policy, draft.rates[i]));
    axes.policies.iter().enumerate().flat_map(of_policy).collect()
}

/// Refuses overrides of methods that the sweep does not have: a misspelt one would silently change nothing.
fn check_methods(overrides: &Section<'_>, axes: &Axes<'_>) {
    overrides.only(&Method::ALL.map(Method::as_str));
    for (key, field) in overrides.entries() {
        let of_sweep = axes.methods.iter().any(|method| method.as_str() == key.text);
        if Method::ALL.iter().any(|method| method.as_str() == key.text) && !of_sweep && !axes.methods.is_empty() {
            field.refuse_with::<()>(
                format!("`{}` is not among this sweep's methods", key.text),
                "add it to `methods`, or remove the override",
            );
        }
    }
}

struct Reader<'a, 'd> {
    pretext: Section<'a>,
    downstream: Section<'a>,
    overrides: Option<Section<'a>>,
    defaults: &'d Defaults,
    encoder: Option<&'d EncoderSpec>,
}

impl<'a> Reader<'a, '_> {
    fn draft(&self, method: Method, policies: &[Policy<'a>]) -> Option<PartialRecipe<'a>> {
        let own = self.overrides.as_ref().and_then(|section| section.get(method.as_str()));
        // An override that is not a mapping was reported already: the rest of the method is read without it.
        let own = own.and_then(|field| field.section());
        own.iter().for_each(|section| section.only(&["lr", "pretext", "downstream"]));
        let part = |key: &str| own.as_ref().and_then(|section| section.get(key));
        let rates = schedule::overrides(part("lr").and_then(|field| field.section()), policies, method);
        let pretext = self.pretext(method, part("pretext"));
        let downstream = self.downstream(method, part("downstream"));
        Some(PartialRecipe { method, pretext: pretext?, downstream: downstream?, rates })
    }

    /// Reads the pretext training of a method; `Some(None)` if it has none.
    fn pretext(&self, method: Method, own: Option<Field<'a>>) -> Option<Option<PretextDraft<'a>>> {
        let (Some(about), Some(task_keys)) = (method.about().pretext, task_keys(method)) else {
            return match own {
                Some(field) => field.refuse(format!("{method} cells have no pretext stage")),
                None => Some(None),
            };
        };
        let section = layered(own, &self.pretext, &[&training::KEYS[..], &task_keys].concat())?;
        let default = if self.pretext.get("dataset").is_some() { PretextData::All } else { PretextData::Fraction };
        let data = section.or("data", default, |field| {
            field.choice("a choice of images", &[("fraction", PretextData::Fraction), ("all", PretextData::All)])
        });
        if let Some(field) = section.get("data")
            && data == Some(PretextData::Fraction)
            && self.pretext.get("dataset").is_some()
        {
            // A label fraction is a share of the sweep's own images: other images have no such share.
            return field.refuse_with(
                "a separate data set is used whole: a label fraction is a share of `dataset`",
                "write `data: all`, or remove `pretext.dataset`",
            );
        }
        let task = (about.read)(&mut Read { section: &section, defaults: self.defaults });
        let knn = section.optional("knn", |field| knn(&field));
        let training = training::read(&section, about.rules.least);
        Some(Some(PretextDraft { data: data?, task: task?, knn: knn?, training: training?, section }))
    }

    fn downstream(&self, method: Method, own: Option<Field<'a>>) -> Option<DownstreamDraft<'a>> {
        let own_mode = own.as_ref().and_then(|field| field.section()).and_then(|section| section.get("mode"));
        let section = layered(own, &self.downstream, &[&training::KEYS[..], &DOWNSTREAM_KEYS].concat())?;
        let mode = section.or("mode", DownstreamMode::FineTune, |field| {
            field.choice("a mode", &[("fine-tune", DownstreamMode::FineTune), ("frozen", DownstreamMode::Frozen)])
        });
        let heads = [("linear", DownstreamHead::Linear), ("mlp", DownstreamHead::Mlp)];
        let head = section.or("head", DownstreamHead::Linear, |field| field.choice("a head", &heads));
        let encoder = self.encoder.and_then(|encoder| match section.get("block") {
            Some(field) => until(&field, encoder),
            None => Some(encoder.clone()),
        });
        let augment = labelled_view(&section, self.defaults);
        let training = training::read(&section, 1);
        let (always, refusal) = match method.about().parts {
            Parts::Asked => (None, None),
            Parts::All(refusal) => (Some(DownstreamMode::FineTune), Some(refusal)),
            Parts::Head(refusal) => (Some(DownstreamMode::Frozen), Some(refusal)),
        };
        let asked = mode?;
        let mode = always.unwrap_or(asked);
        if let (Some(field), Some(refusal)) = (own_mode, refusal)
            && asked != mode
        {
            return field.refuse_with(refusal.message, refusal.help);
        }
        if mode == DownstreamMode::FineTune {
            self.check_normalisation(&section, encoder.as_ref(), training.as_ref())?;
        }
        let augment = match mode {
            DownstreamMode::FineTune => augment?,
            DownstreamMode::Frozen => LabelledView::PLAIN,
        };
        Some(DownstreamDraft { mode, head: head?, encoder: encoder?, augment, training: training?, section })
    }
}

impl Reader<'_, '_> {
    /// Refuses batches of one image if the encoder's last maps have one pixel: batch normalisation over one value is 0 in
    /// training, and its running variance vanishes. (A pretext task makes several views of an image.)
    fn check_normalisation(
        &self,
        section: &Section<'_>,
        encoder: Option<&EncoderSpec>,
        training: Option<&Training>,
    ) -> Option<()> {
        let (Some(encoder), Some(training), Some(size)) = (encoder, training, self.defaults.image_size) else {
            return Some(());
        };
        let Some(field) = section.get("batch") else { return Some(()) };
        if training.batch > 1 || encoder.smallest_maps(size) > 1 {
            return Some(());
        }
        let larger = (size..).find(|size| encoder.smallest_maps(*size) > 1).unwrap_or(size);
        let smaller = match encoder {
            EncoderSpec::SmallCnn { .. } | EncoderSpec::Nin { .. } => "fewer `blocks`",
            EncoderSpec::Resnet18 { .. } | EncoderSpec::Resnet50 { .. } => "`stem: 3x3`",
        };
        field.refuse_with(
            format!(
                "batch normalisation needs more than one value: of {size}×{size} pixels, the encoder's last maps keep \
                 1×1, and a batch has 1 image"
            ),
            format!("set `batch` to at least 2, or use {smaller} or an `image_size` of at least {larger}"),
        )
    }
}

/// Returns the encoder that ends after the block that `field` names.
fn until(field: &Field<'_>, encoder: &EncoderSpec) -> Option<EncoderSpec> {
    let block = field.small(1..=1000)?;
    encoder.until(block).or_else(|| match encoder {
        EncoderSpec::SmallCnn { blocks, .. } | EncoderSpec::Nin { blocks } => {
            field.refuse(format!("the encoder has {}", counted(*blocks, "block")))
        }
        EncoderSpec::Resnet18 { .. } | EncoderSpec::Resnet50 { .. } => field.refuse_with(
            "only the features at the end of a ResNet can be used",
            "remove `block`, or use `small-cnn` or `nin`",
        ),
    })
}

/// Reads `knn: {k, temperature, every}`; `knn: {}` uses the defaults.
fn knn(field: &Field<'_>) -> Option<KnnSpec> {
    // Defaults of k and temperature as in Wu et al. 2018 and lightly's benchmark.
    let default = KnnSpec { k: 200, temperature: 0.1, every: 1 };
    let section = field.section()?;
    section.only(&["k", "temperature", "every"]);
    let k = section.or("k", default.k, |field| field.small(1..=10_000));
    let temperature = section.or("temperature", 0.1, |field| {
        field.number("a temperature from 0.001 to 100", |t| (0.001..=100.0).contains(&t))
    });
    let every = section.or("every", default.every, |field| field.small(1..=1_000_000));
    Some(KnnSpec { k: k?, temperature: temperature? as f32, every: every? })
}

/// Returns `own` (keys that only the method has) laid over `base`.
fn layered<'a>(own: Option<Field<'a>>, base: &Section<'a>, known: &[&str]) -> Option<Section<'a>> {
    let Some(field) = own else { return Some(base.clone()) };
    let own = field.section()?;
    own.only(known);
    Some(own.over(base))
}

/// Reads `padding` or `min_crop`; an override of one replaces the other.
fn labelled_view(section: &Section<'_>, defaults: &Defaults) -> Option<LabelledView> {
    let given = section.layers().find_map(|layer| match (layer.get("padding"), layer.get("min_crop")) {
        (None, None) => None,
        given => Some(given),
    });
    match given {
        Some((Some(_), Some(field))) => field.refuse_with(
            "`padding` and `min_crop` exclude each other: a padded crop keeps the scale, a resized one changes it",
            "remove one of them",
        ),
        Some((None, Some(field))) => {
            let (share, flip) = (min_crop(&field), section.or("flip", defaults.flip, |field| field.switch()));
            Some(LabelledView::Resized(ResizedFlip { min_crop: share? as f32, flip: flip? }))
        }
        _ => crop_flip(&mut Read { section, defaults }).map(LabelledView::Padded),
    }
}

/// Reads the smallest area of a random resized crop.
fn min_crop(field: &Field<'_>) -> Option<f64> {
    field.number(MIN_CROP.expected, MIN_CROP.accepts)
}

/// A method's keys in a section of the file.
struct Read<'s, 'a> {
    section: &'s Section<'a>,
    defaults: &'s Defaults,
}

impl Keys for Read<'_, '_> {
    fn switch(&mut self, key: &'static Switch) -> Option<bool> {
        self.section.or(key.text.name, (key.default)(self.defaults), |field| field.switch())
    }

    fn whole(&mut self, key: &'static Whole) -> Option<u32> {
        self.section.or(key.text.name, (key.default)(self.defaults), |field| field.small((key.range)(self.defaults)))
    }

    fn number(&mut self, key: &'static Number) -> Option<f64> {
        let read = |field: Field<'_>| field.number(key.expected, key.accepts);
        self.section.or(key.text.name, (key.default)(self.defaults), read)
    }
}

impl PartialRecipe<'_> {
    fn recipe(&self, policy: &Policy<'_>, own: Base) -> Option<Recipe> {
        let pretext = self.pretext.as_ref().map(|draft| {
            let lr = rate(policy, StageKind::Pretext, own, &draft.training, &draft.section)?;
            let (images, train) = (self.method.images(), draft.training.with(lr));
            Some(PretextRecipe { data: draft.data, task: draft.task.clone(), images, knn: draft.knn, train })
        });
        let draft = &self.downstream;
        let lr = rate(policy, StageKind::Downstream, own, &draft.training, &draft.section);
        let pretext = match pretext {
            Some(pretext) => Some(pretext?),
            None => None,
        };
        let downstream = DownstreamRecipe {
            mode: draft.mode,
            head: draft.head,
            encoder: draft.encoder.clone(),
            augment: draft.augment,
            train: draft.training.with(lr?),
        };
        Some(Recipe { policy: policy.name.clone(), method: self.method, pretext, downstream })
    }
}

/// Returns the schedule of a stage: the policy's if it applies, else the section's own.
fn rate(
    policy: &Policy<'_>,
    stage: StageKind,
    own: Base,
    training: &Training,
    section: &Section<'_>,
) -> Option<LrSpec> {
    if policy.applies_to(stage) {
        if let Budget::Epochs(epochs) = training.budget {
            policy.refuse_long_warmup(epochs, stage)?;
        }
        return policy.schedule(stage, own, training.batch);
    }
    training.own_lr.clone().or_else(|| {
        let (policy, stage) = (&policy.name, stage.as_str());
        section.missing(
            "lr",
            format!("the policy `{policy}` does not apply to {stage}, so `{stage}.lr` must give its rate"),
        )
    })
}
