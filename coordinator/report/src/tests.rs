//! The report as a whole, on the sweep of [`super::fixture`].

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::split::Fraction;
use pretext_shared::stage::{Extent, Method};
use pretext_shared::sweep::CellState;
use serde_json::Value;

use super::fixture::{HOSTILE, artifact, shift_accuracy, view, with_floor};
use super::numbers::{Comparison, Entry, PolicyTable, Protocol, Verdict};
use super::*;

fn text(folder: &Folder, path: &str) -> String {
    let content = folder.get(path).unwrap_or_else(|| panic!("{path} is in the report"));
    String::from_utf8(content.to_vec()).expect("reports are text")
}

fn folder(view: &SweepView) -> Folder {
    render(view, &artifact, &[]).folder
}

fn tables(view: &SweepView) -> Tables {
    Tables::of(view, &Evaluations::read(view, &artifact))
}

fn entry(tables: &Tables, lr: &str, method: Method, fraction: f64) -> Entry {
    let fraction = Fraction::new(fraction).expect("a fraction");
    let found = |(table, at, entry): &(&PolicyTable, Fraction, &Entry)| {
        table.lr == lr && *at == fraction && entry.method == method
    };
    tables.entries().find(found).expect("the entry is in the tables").2.clone()
}

fn close(a: Option<f64>, b: f64) {
    let a = a.expect("a number");
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

#[test]
fn aggregates_are_what_a_hand_computes() {
    let tables = tables(&view());
    let simclr = entry(&tables, "scheduler", Method::Simclr, 0.05);
    let (accuracy, loss) = (simclr.accuracy.expect("succeeded"), simclr.loss.expect("succeeded"));
    // Accuracies 0.48, 0.50, 0.52; losses 0.9, 1.0, 1.1; t(2) = 4.30265…
    close(Some(accuracy.mean), 0.50);
    close(accuracy.std, 0.02);
    close(accuracy.ci95, 4.302_652_729_749 * 0.02 / 3f64.sqrt());
    close(Some(loss.mean), 1.0);
    close(loss.std, 0.1);
    // Every seed gains 0.50 − 0.43: the paired difference has no spread, whatever the seeds do.
    let gain = simclr.gain.expect("supervised has the same seeds");
    assert_eq!(gain.n, 3);
    close(Some(gain.difference.mean), 0.07);
    close(gain.difference.std, 0.0);
    // Supervised is not in `fixed` at 5 %: nothing to compare with.
    assert_eq!(entry(&tables, "fixed", Method::Rotation, 0.05).gain, None);

    let majority = tables.test_set.majority.expect("class counts are known");
    assert_eq!((majority.class.as_str(), tables.test_set.images), ("ADH <&>", 3782));
    close(Some(majority.accuracy), 1876.0 / 3782.0);
    assert_eq!(tables.policies.iter().map(|table| table.protocol).collect::<Vec<_>>(), [Protocol::Fraction; 2]);
}

#[test]
fn every_method_is_compared_with_the_floor_where_there_is_one() {
    let (mut view, simclr) = (with_floor(), |tables: &Tables| entry(tables, "scheduler", Method::Simclr, 0.05));
    // Differences 0.21, 0.20, 0.19.
    shift_accuracy(&mut view, Method::Simclr, 0.05, 1, 0.01);
    shift_accuracy(&mut view, Method::Simclr, 0.05, 3, -0.01);
    let tables = tables(&view);
    let above_floor = simclr(&tables).above_floor.expect("random-init has the same seeds");
    assert_eq!(above_floor.n, 3);
    close(Some(above_floor.difference.mean), 0.20);
    close(above_floor.difference.std, 0.01);
    // The ceiling is above the floor too; the floor itself, other fractions and other policies have nothing to say.
    let supervised = entry(&tables, "scheduler", Method::Supervised, 0.05).above_floor;
    close(supervised.map(|pairs| pairs.difference.mean), 0.13);
    assert_eq!(entry(&tables, "scheduler", Method::RandomInit, 0.05).above_floor, None);
    assert_eq!(entry(&tables, "scheduler", Method::Simclr, 0.25).above_floor, None);
    let Rendered { folder, terminal } = render(&view, &artifact, &[]);
    let report = text(&folder, "report.md");
    let line = "**Points above the floor**: Supervised +13.00 ± 0.00 at 5 %";
    assert!(report.contains(line), "{report}");
    assert!(report.contains("**Floor**: 5 %: "), "{report}");
    assert!(report.contains("Random-init cells train a head on frozen initial weights, with the same labels."));
    assert!(terminal.contains("Floor: 5 %: "), "{terminal}");
    assert!(text(&folder, "report.html").contains("+20.00 ± 1.00 points to the floor"));
    let results: Value = serde_json::from_str(&text(&folder, "results.json")).expect("JSON");
    let of = |method: &str| {
        let summary = results["summary"].as_array().expect("a list");
        summary.iter().find(|one| one["method"] == method && one["lr"] == "scheduler").expect("it is there").clone()
    };
    assert_eq!(of("simclr")["gain_over_random_init"]["n"], 3);
    assert_eq!(of("random-init")["gain_over_random_init"], Value::Null);
    // Without random-init cells nothing is said of a floor.
    let without = render(&super::fixture::view(), &artifact, &[]);
    assert!(!text(&without.folder, "report.md").contains("loor") && !without.terminal.contains("loor"));
}

#[test]
fn differences_are_called_significant_or_not_in_words() {
    let mut view = view();
    for (seed, by) in [(1, 0.001), (2, -0.001)] {
        shift_accuracy(&mut view, Method::Simclr, 0.05, seed, by);
        shift_accuracy(&mut view, Method::Rotation, 0.25, seed, 30.0 * by);
    }
    let tables = tables(&view);
    let scheduler = &tables.policies[0];
    assert_eq!((scheduler.lr.as_str(), scheduler.comparisons.len()), ("scheduler", 12), "six pairs at two fractions");
    let of = |a: Method, b: Method, row: usize| {
        let here = |one: &&Comparison| (one.a, one.b, one.fraction) == (a, b, scheduler.rows[row].fraction);
        scheduler.comparisons.iter().find(here).expect("all pairs are compared")
    };
    let clear = of(Method::Simclr, Method::Supervised, 0);
    // Differences 0.071, 0.069, 0.070: t = 0.07 √3 / 0.001 = 121, p = 2 · 3.4e-5; the smallest of six tests.
    let (p, holm) = (clear.accuracy.and_then(|pairs| pairs.p), clear.p_holm);
    assert!(p.is_some_and(|p| (6.7e-5..6.9e-5).contains(&p)), "{p:?}");
    close(holm, 6.0 * p.expect("tested"));
    assert_eq!(clear.verdict, Verdict::Significant);
    assert_eq!(of(Method::Rotation, Method::Supervised, 1).verdict, Verdict::NotSignificant);
    assert_eq!(of(Method::Rotation, Method::Supervised, 0).verdict, Verdict::NoSpread);
    // Predictions are stored, so each seed's models are compared on the same images too.
    let seeds: Vec<u64> = clear.mcnemar.iter().map(|one| one.seed).collect();
    assert_eq!(seeds, [1, 2, 3]);
    let test = clear.mcnemar[0].test;
    let right = |accuracy: f64| (accuracy * 3782.0).round() as i64;
    assert_eq!(test.only_a as i64 - test.only_b as i64, right(0.48) - right(0.41));

    let Rendered { folder, terminal } = render(&view, &artifact, &[]);
    let (report, html) = (text(&folder, "report.md"), text(&folder, "report.html"));
    let terminal = terminal.replace("\n  ", " ");
    for (output, expected) in [
        (
            &report,
            "**Significance**: 3 of 6 tested differences are significant: SimCLR over Supervised at 5 %, SimCLR over",
        ),
        (&report, "6 of 12 pairs could not be tested."),
        (&report, "Paired t-tests over shared seeds, at the 5 % level, adjusted with Holm's method."),
        (&report, "| 25 % | Rotation − Supervised | 3 | +2.00 ± 7.45 |"),
        (&report, "**Significance**: No difference between methods could be tested."),
        (&report, "It needs at least 5 seeds in every cell"),
        (&html, "<tr class=\"strong\"><td>5 %</td><td>SimCLR − Supervised</td><td>3</td><td>+7.00 ± 0.25</td>"),
        (&html, "n = 1: no interval from one seed"),
        (&terminal, "SimCLR over Supervised at 5 %"),
    ] {
        assert!(output.contains(expected), "no {expected:?} in\n{output}");
    }
    let row = report.lines().find(|line| line.starts_with("| 25 % | Rotation − Supervised | 3 |"));
    assert!(row.is_some_and(|row| row.contains("| not significant |")), "{row:?}");
}

#[test]
fn budgets_are_stated_below_each_table() {
    let report = text(&folder(&view()), "report.md");
    for expected in [
        "**Budget**: Equal: at each label fraction every method takes the same downstream steps and sees the same number",
        "the same steps for all methods that have it. The numbers of images differ",
        "Every fraction takes the same number of steps.",
        "Some counts are planned, not yet measured.",
    ] {
        assert!(report.contains(expected), "no {expected:?} in\n{report}");
    }
}

#[test]
fn test_predictions_become_measures_and_are_missing_where_they_are() {
    let view = view();
    let folder = folder(&view);
    let results: Value = serde_json::from_str(&text(&folder, "results.json")).expect("JSON");
    let supervised = &results["cells"][0];
    assert_eq!(supervised["id"].as_str().map(|id| id.ends_with("/supervised/0.05/scheduler/1")), Some(true));
    let evaluation = &supervised["evaluation"];
    // Always 0.6 for the answer and 0.2 for the others, 41 % of 3,782 right (1,551).
    let right = 1551.0 / 3782.0;
    close(evaluation["nll"].as_f64(), -right * 0.6f64.ln() - (1.0 - right) * 0.2f64.ln());
    close(evaluation["ece15"].as_f64(), 0.6 - right);
    close(evaluation["brier"].as_f64(), right * 0.24 + (1.0 - right) * (0.36 + 0.64 + 0.04));
    assert_eq!((&evaluation["images"], &supervised["split_seed"]), (&3782.into(), &1.into()));
    let always = &results["test_set"]["majority"];
    close(always["balanced_accuracy"].as_f64(), 1.0 / 3.0);
    // The class in question: precision p, recall 1.
    let p = 1876.0 / 3782.0;
    close(always["macro_f1"].as_f64(), 2.0 * p / (1.0 + p) / 3.0);

    let counts: Vec<u64> = text(&folder, "confusion.csv")
        .lines()
        .filter(|line| line.contains("/supervised/0.05/scheduler/1,"))
        .map(|line| line.rsplit(',').next().and_then(|n| n.parse().ok()).expect("a count"))
        .collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (6, 3782), "right or the next class, for three classes");
    assert_eq!(text(&folder, "classes.csv").lines().count(), 1 + 3 * (view.cells.len() - 4));
    assert!(text(&folder, "report.html").contains("class=\"confusion\""));
    assert!(
        text(&folder, "report.md").contains("| Always ADH \\<\\&\\> | — | — | 49.60 | — | — | — | — | 33.33 | 22.10 |")
    );

    let without = render(&view, &|_| None, &[]).folder;
    let results: Value = serde_json::from_str(&text(&without, "results.json")).expect("JSON");
    assert!(results["cells"][0]["evaluation"].is_null() && results["summary"][0]["measures"].is_null());
    assert_eq!(results["comparisons"][0]["mcnemar"], serde_json::json!([]));
    assert!(
        text(&without, "report.md").contains("| Supervised | 5 % | 3 | 43.00 ± 2.00 | ± 4.97 | — | — | — | — | — |")
    );
}

#[test]
fn a_pretext_task_that_is_too_easy_is_warned_of_everywhere() {
    let mut view = view();
    let id = view.cells.iter().find(|cell| cell.key.method == Method::Rotation).and_then(|cell| cell.pretext);
    let stage = view.stages.get_mut(&id.expect("rotation has a pretext stage")).expect("in the view");
    for point in &mut stage.points {
        point.value = if point.metric == pretext_shared::point::Metric::Accuracy { 1.0 } else { point.value };
    }
    let Rendered { folder, terminal } = render(&view, &artifact, &[]);
    let says =
        "Suspiciously easy pretext task: Rotation (5 % of the labels, seed 1) has a validation accuracy of 100.00 %";
    for output in [&text(&folder, "report.html"), &terminal] {
        assert!(output.contains(says), "{output}");
    }
    assert!(text(&folder, "report.md").contains("> **Suspiciously easy pretext task: Rotation (5 %"));
    let results: Value = serde_json::from_str(&text(&folder, "results.json")).expect("JSON");
    assert_eq!((&results["shortcuts"][0]["epoch"], results["warnings"].as_array().map(Vec::len)), (&1.into(), Some(1)));
}

#[test]
fn every_cell_is_counted_once_in_the_tables() {
    let view = view();
    let tables = tables(&view);
    let mut cells: Vec<usize> =
        tables.entries().flat_map(|(_, _, entry)| entry.runs.iter().map(|run| run.cell)).collect();
    cells.sort_unstable();
    assert_eq!(cells, (0..view.cells.len()).collect::<Vec<_>>());
    let all = BTreeMap::from([
        (CellState::Succeeded, view.cells.len() - 4),
        (CellState::Failed, 1),
        (CellState::Cancelled, 1),
        (CellState::Running, 1),
        (CellState::Pending, 1),
    ]);
    assert_eq!(tables.states, all);
}

#[test]
fn markdown_shows_scores_and_everything_that_is_missing() {
    let report = text(&folder(&view()), "report.md");
    for expected in [
        "| Labels | Supervised | Rotation | Rotation + jitter | SimCLR |\n| --- | --- | --- | --- | --- |\n",
        "| 5 % | 1.0000 ± 0.1000 / 43.00 ± 2.00 % (n = 3) | 1.0000 ± 0.1000 / 46.00 ± 2.00 % (n = 3) |",
        "| 5 % | — | 0.9000 / 44.00 % | 0.9000 / 45.00 % | failed (diverged) |\n",
        "| 25 % | 0.9000 / 59.00 % | cancelled | running | pending |\n",
        "31 cells, 27 succeeded, 1 failed, 1 cancelled, 1 running, 1 pending",
        "**Supervised line**: 5 %: 1.0000 ± 0.1000",
        "Supervised cells start from random initial weights and train on the same labels.",
        "SimCLR +7.00 ± 0.00 at 5 %, +5.00 ± 0.00 at 25 %.",
        "**Test set**: 3,782 images. Always answering the largest class (ADH \\<\\&\\>) scores 49.60 %",
        "| SimCLR | 5 % | pretext | 368 + 92 | 72 | 8,832 | 0.9000 / 55.00 % | cosine to 3e-4, warm-up 1 ep. |\n",
        "| Rotation | 25 % | downstream | 1,847 + 461 | 72 planned | 22,164 planned | — | constant 5e-6 |\n",
        "/simclr/0.05/fixed/1 | downstream ",
        "protocol fraction",
    ] {
        assert!(report.contains(expected), "no {expected:?} in\n{report}");
    }
    assert!(!report.contains("REHEARSAL") && !report.contains("<script>"));
}

#[test]
fn a_rehearsal_says_so_everywhere() {
    let mut view = view();
    view.provenance.extent = Extent::Smoke;
    let Rendered { folder, terminal } = render(&view, &artifact, &[]);
    for text in [text(&folder, "report.md"), text(&folder, "report.html"), terminal] {
        assert!(text.contains("REHEARSAL"), "{text}");
    }
    assert!(text(&folder, "results.json").contains("\"extent\": \"smoke\""));
}

#[test]
fn hostile_text_is_only_text() {
    let Rendered { folder, terminal } = render(&view(), &artifact, &[]);
    let html = text(&folder, "report.html");
    assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; | &quot;x&quot; &amp; `y` *z*"));
    assert!(html.contains("ADH &lt;&amp;&gt;") && html.contains("# &lt;b&gt;"));
    assert!(!html.contains("<script"));
    for output in [html, text(&folder, "report.md"), terminal] {
        assert!(!output.chars().any(|c| c.is_control() && c != '\n'));
    }
    let results: Value = serde_json::from_str(&text(&folder, "results.json")).expect("JSON");
    let logs: Vec<&Value> =
        results["cells"].as_array().expect("a list").iter().map(|cell| &cell["error"]["log"][1]).collect();
    assert!(logs.contains(&&Value::from(HOSTILE)), "scripts get the log as it was written");
}

#[test]
fn results_have_every_cell_once_in_the_order_of_the_plan() {
    let view = view();
    let results: Value = serde_json::from_str(&text(&folder(&view), "results.json")).expect("JSON");
    let cells = results["cells"].as_array().expect("a list");
    let ids: Vec<&str> = cells.iter().map(|cell| cell["id"].as_str().expect("text")).collect();
    assert_eq!(ids, view.cells.iter().map(|cell| cell.id(&view.id)).collect::<Vec<_>>());
    assert_eq!((&results["schema"], &results["sweep"]["cancelled"]), (&Value::from(1), &Value::from(false)));

    let cell = |id: &str| cells.iter().find(|cell| cell["id"].as_str().expect("text").ends_with(id)).expect(id);
    let done = cell("/rotation/0.05/scheduler/2");
    assert_eq!(done["fraction"], 0.05);
    assert_eq!(done["test"], serde_json::json!({ "loss": 1.0, "accuracy": 0.46, "seen": 3782 }));
    assert_eq!((&done["selected_epoch"], &done["error"]), (&Value::from(9), &Value::Null));
    assert_eq!((&done["pretext"]["images"], &done["pretext"]["validation"]["seen"]), (&17664.into(), &368.into()));
    assert_eq!((&done["downstream"]["mode"], &done["downstream"]["train_images"]), (&"fine-tune".into(), &368.into()));
    assert_eq!(done["predictions"]["file"], "predictions/rotation_0.05_scheduler_2.csv");
    assert!(cell("/supervised/0.25/fixed/1")["pretext"].is_null());
    let failed = cell("/simclr/0.05/fixed/1");
    assert_eq!((&failed["state"], &failed["error"]["code"]), (&"failed".into(), &"diverged".into()));
    assert_eq!((&failed["test"], &failed["downstream"]["steps"]), (&Value::Null, &Value::Null));

    let summary = results["summary"].as_array().expect("a list");
    assert_eq!(summary.len(), 15);
    let fixed = summary.iter().find(|one| one["lr"] == "fixed" && one["method"] == "supervised").expect("in the sweep");
    assert_eq!((&fixed["n"], &fixed["accuracy"]["mean"]), (&1.into(), &0.59.into()));
    assert!(fixed["accuracy"]["std"].is_null() && fixed["accuracy"]["ci95"].is_null());
}

#[test]
fn points_list_each_stage_once_and_read_back_exactly() {
    let view = view();
    let csv = text(&folder(&view), "points.csv");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("stage,kind,split,metric,epoch,step,value"));
    let expected = view.stages.values().flat_map(|stage| &stage.points).map(|point| point.value);
    let values: Vec<f64> =
        lines.map(|line| line.rsplit(',').next().expect("a column").parse().expect("a number")).collect();
    assert_eq!(values, expected.collect::<Vec<_>>());
    let (id, _) = view.stages.iter().find(|(_, stage)| !stage.points.is_empty()).expect("some stage trained");
    assert!(csv.contains(&format!("\n{id},")), "stages go by their full id");
}

#[test]
fn the_folder_holds_curves_splits_and_predictions_under_safe_names() {
    let view = view();
    let folder = folder(&view);
    let paths: BTreeSet<&str> = folder.iter().map(|(path, _)| path).collect();
    assert!(paths.iter().all(|path| path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))));
    let below = |start: &str| paths.iter().filter(|path| path.starts_with(start)).count();
    let with_pretext = view.cells.iter().filter(|cell| cell.pretext.is_some()).count();
    assert_eq!(below("curves/"), 2 * view.cells.len() + 2 * with_pretext + 2);
    assert!(paths.contains("curves/rotation-jitter_0.25_scheduler_3_pretext-accuracy.svg"));
    assert_eq!(below("predictions/"), view.cells.len() - 4);
    assert_eq!(below("splits/"), 3 + 1, "three seeds have three lists, whatever number of stages used them");

    let nothing_stored = render(&view, &|_| None, &[]).folder;
    let index = text(&nothing_stored, "splits/index.csv");
    assert!(index.lines().skip(1).all(|line| line.ends_with(',')), "lists that are gone keep their hash: {index}");
    let results = text(&nothing_stored, "results.json");
    assert!(results.contains("\"file\": null"));
}

#[test]
fn terminal_tables_align() {
    let output = render(&view(), &artifact, &[]).terminal;
    let expected = "\
  Labels   Supervised         Rotation           Rotation + jitter   SimCLR
  ──────   ────────────────   ────────────────   ─────────────────   ─────────────────
  5 %      —                  0.9000 / 44.00 %   0.9000 / 45.00 %    failed (diverged)
  25 %     0.9000 / 59.00 %   cancelled          running             pending
";
    assert!(output.contains(expected), "{output}");
    assert!(output.contains("  5 %      1.0000 / 43.00 %   1.0000 / 46.00 %"), "{output}");
    assert!(output.contains("Failed cells") && output.contains("/simclr/0.05/fixed/1: downstream "));
    assert!(output.lines().all(|line| line.chars().count() <= 160 || line.contains("the loss is NaN")), "{output}");
}

#[test]
fn writes_the_fixture_where_asked() {
    let target = tempfile::tempdir().expect("a temporary folder");
    let folder = folder(&view());
    let paths = write(&folder, target.path()).expect("a temporary folder can be written");
    assert_eq!(paths.len(), folder.iter().count());
    assert!(paths.iter().all(|path| path.is_file()));
}
