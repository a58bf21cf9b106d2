//! A sweep that a stub has trained: every stage has curves, and every cell a result.

use std::collections::BTreeMap;

use pretext_proto::v1 as pb;
use pretext_shared::outcome::{Score, StageResult};
use pretext_tests::stub::{Stub, result};
use pretext_tests::until;
use serde_json::Value;

use super::wire::Site;

/// A sweep of eight cells: two methods, two fractions, two seeds.
pub(crate) const STUDY: &str = "
name: trained
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0, 1]
pretext: {data: all, epochs: 6, batch: 8}
downstream: {epochs: 6, batch: 8}
";

/// Epochs of every curve.
const EPOCHS: u32 = 6;

/// Returns the accuracy of a cell: rotation is ten points ahead of supervised, and the second seed half a point.
pub(crate) fn accuracy(cell: &Value) -> f64 {
    let method = if cell["method"] == "rotation" { 0.1 } else { 0.0 };
    0.5 + method + 0.005 * cell["seed"].as_f64().expect("a number")
}

/// Trains all stages of `sweep`, whose cells the read API lists for the session `cookie`.
pub(crate) async fn train(site: &Site, stub: &mut Stub, sweep: &str, cookie: &str) {
    let cells = site.get(&format!("/api/v1/sweeps/{sweep}/cells"), cookie).json()["cells"].clone();
    let cells = cells.as_array().expect("a list");
    let by = |stage: &str| -> BTreeMap<String, &Value> {
        cells.iter().filter_map(|cell| Some((cell[stage].as_str()?.to_owned(), cell))).collect()
    };
    let (of_test, of_downstream) = (by("test_stage"), by("downstream"));
    let mut request = 0;
    while let Some(grant) = stub.lease(&format!("train-{sweep}-{request}")).await {
        request += 1;
        let id = grant.attempt.as_ref().expect("a grant has an attempt").stage.clone();
        let accuracy = of_test.get(&id).map(|cell| accuracy(cell));
        if accuracy.is_none() {
            let is_supervised = of_downstream.get(&id).is_some_and(|cell| cell["method"] == "supervised");
            points(stub, &grant, if is_supervised { 0.3 } else { 0.0 }).await;
        }
        let steps = u64::from(EPOCHS) * 5;
        let score = Score { accuracy: accuracy.unwrap_or(0.5), ..result().score };
        let done = StageResult { selected_epoch: 4, steps, seconds: 60.0, score, ..result() };
        let result_json = serde_json::to_string(&done).expect("plain data");
        let next_sequence = u64::from(accuracy.is_none());
        let request = pb::CompleteRequest { attempt: grant.attempt, result_json, next_sequence };
        stub.client.complete(request).await.expect("the holder completes");
    }
    assert!(request > 0, "there was work");
    // The read API may be a moment behind.
    until("the read API shows the results", || {
        let cells = site.get(&format!("/api/v1/sweeps/{sweep}/cells"), cookie).json()["cells"].clone();
        cells.as_array().expect("a list").iter().all(|cell| cell["state"] == "succeeded").then_some(())
    });
}

/// Sends falling losses, higher by `worse`, and rising accuracies, for training and validation.
async fn points(stub: &mut Stub, grant: &pb::Grant, worse: f64) {
    let of = |part: &str, metric: &str, epoch: u32, value: f64| pb::Point {
        part: part.to_owned(),
        metric: metric.to_owned(),
        epoch,
        step: u64::from(epoch) * 5,
        value,
    };
    let points = (1..=EPOCHS).flat_map(|epoch| {
        let far = f64::from(epoch);
        ["train", "validation"].into_iter().flat_map(move |part| {
            [of(part, "loss", epoch, 2.0 / far + worse), of(part, "accuracy", epoch, 1.0 - 0.6 / far)]
        })
    });
    let rates = (1..=EPOCHS * 5).map(|step| pb::Point {
        part: "train".to_owned(),
        metric: "learning-rate".to_owned(),
        epoch: step.div_ceil(5),
        step: u64::from(step),
        value: 0.01,
    });
    let batch = pb::PointBatch { attempt: grant.attempt.clone(), sequence: 0, points: points.chain(rates).collect() };
    let mut acks = stub.client.points(tokio_stream::iter([batch])).await.expect("a stream").into_inner();
    assert_eq!(acks.message().await.expect("a coordinator").expect("an answer").refused, "");
}
