//! `ro-crate-metadata.json`: the description of a bundle for archives, after RO-Crate 1.1
//! (<https://w3id.org/ro/crate/1.1>).

use pretext_shared::sweep::SweepView;
use serde_json::{Value, json};

/// The name of the file.
pub const NAME: &str = "ro-crate-metadata.json";

/// The name of the sweep file in a bundle.
pub const SWEEP: &str = "sweep.yaml";

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Path below the bundle's folder.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Returns the content of the file, for a bundle with `parts` that is published at `date` (ISO 8601).
pub fn metadata(view: &SweepView, parts: &[Part], date: &str) -> String {
    let provenance = &view.provenance;
    let reference = |id: &str| json!({ "@id": id });
    let mut graph = vec![
        json!({
            "@id": NAME,
            "@type": "CreativeWork",
            "conformsTo": reference("https://w3id.org/ro/crate/1.1"),
            "about": reference("./"),
        }),
        json!({
            "@id": "./",
            "@type": "Dataset",
            "name": format!("Label-efficiency study {}", view.name),
            "description": format!(
                "Results of the sweep {} of Pretext: classifiers that were trained on fractions of the labels of {}.",
                view.id, provenance.dataset.key
            ),
            "identifier": view.id.as_str(),
            "datePublished": date,
            "hasPart": parts.iter().map(|part| reference(&part.path)).collect::<Vec<_>>(),
            "mentions": reference("#sweep"),
        }),
        json!({
            "@id": "#sweep",
            "@type": "CreateAction",
            "name": format!("Sweep {}", view.id),
            "instrument": reference("#pretext"),
            "object": [reference(SWEEP), reference("#data")],
            "result": reference("./"),
        }),
        json!({
            "@id": "#pretext",
            "@type": "SoftwareApplication",
            "name": "Pretext",
            "softwareVersion": match provenance.build.as_ref().and_then(|build| build.revision.as_ref()) {
                Some(revision) => format!("{} ({revision})", provenance.version),
                None => provenance.version.clone(),
            },
        }),
        json!({
            "@id": "#data",
            "@type": "CreativeWork",
            "name": provenance.dataset.key,
            "identifier": provenance.dataset.fingerprint,
        }),
    ];
    graph.extend(parts.iter().map(file));
    // The term for hashes is younger than the context of RO-Crate 1.1.
    let context = json!(["https://w3id.org/ro/crate/1.1/context", { "sha256": "https://schema.org/sha256" }]);
    let whole: Value = json!({ "@context": context, "@graph": graph });
    serde_json::to_string_pretty(&whole).expect("JSON has only string keys") + "\n"
}

fn file(part: &Part) -> Value {
    let (kind, about) = about(&part.path);
    json!({
        "@id": part.path,
        "@type": "File",
        "name": part.path,
        "description": about,
        "encodingFormat": kind,
        "contentSize": part.bytes.to_string(),
        "sha256": part.sha256,
    })
}

/// Returns the media type of a file and what it is.
fn about(path: &str) -> (&'static str, &'static str) {
    match path.split_once('/').map_or(path, |(folder, _)| folder) {
        SWEEP => ("application/yaml", "the sweep file, as submitted"),
        "results.json" => ("application/json", "all results, comparisons and their provenance"),
        "report.html" => ("text/html", "the report as a page"),
        "report.md" => ("text/markdown", "the report as text"),
        "report.tex" => ("application/x-tex", "the tables of the report for LaTeX"),
        "cells.parquet" => ("application/vnd.apache.parquet", "every cell"),
        "points.parquet" => ("application/vnd.apache.parquet", "every point of every cell"),
        "points.csv" => ("text/csv", "every point of every stage"),
        "classes.csv" => ("text/csv", "scores by class"),
        "confusion.csv" => ("text/csv", "confusion matrices"),
        "curves" => ("image/svg+xml", "a figure"),
        "predictions" => ("text/csv", "the test predictions of a cell"),
        "splits" => ("text/csv", "images that a stage trained and validated on"),
        "tensorboard" => ("application/octet-stream", "curves of a cell for TensorBoard"),
        "models" => ("application/octet-stream", "weights, named by their content hash; `worker export` reads them"),
        _ => ("application/octet-stream", "a file of the report"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn everything_that_is_named_is_described() {
        let part = |path: &str| Part { path: path.to_owned(), bytes: 3, sha256: "ab".to_owned() };
        let parts = [part(SWEEP), part("results.json"), part("curves/a.svg")];
        let crate_: Value = serde_json::from_str(&metadata(&fixture::view(), &parts, "2026-11-29")).expect("JSON");
        let graph = crate_["@graph"].as_array().expect("a list");
        let ids: Vec<&str> = graph.iter().filter_map(|one| one["@id"].as_str()).collect();
        for entity in graph {
            let names = ["about", "mentions", "instrument", "result"].map(|key| &entity[key]["@id"]);
            let lists = ["hasPart", "object"].map(|key| entity[key].as_array().cloned().unwrap_or_default());
            let listed = lists.iter().flatten().map(|one| &one["@id"]);
            for name in names.into_iter().chain(listed).filter_map(Value::as_str) {
                assert!(ids.contains(&name), "{name} is not described");
            }
        }
        let root = graph.iter().find(|one| one["@id"] == "./").expect("a root");
        assert_eq!((root["hasPart"].as_array().map(Vec::len), &root["datePublished"]), (Some(3), &"2026-11-29".into()));
    }
}
