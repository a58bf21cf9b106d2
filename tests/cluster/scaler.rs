//! An autoscaler's client of a coordinator's scaler, from an empty queue over a busy one to a drained one.

use std::collections::HashMap;

use pretext_proto::externalscaler as keda;
use pretext_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use pretext_tests::stub::Stub;
use pretext_tests::{Scratch, Server};
use tonic::Code;
use tonic::transport::Channel;

const SWEEP: &str = "
name: scaled
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

struct Scaler {
    client: ExternalScalerClient<Channel>,
    object: keda::ScaledObjectRef,
}

impl Scaler {
    async fn connect(url: &str, metadata: &[(&str, &str)]) -> Self {
        let scaler_metadata: HashMap<String, String> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let object =
            keda::ScaledObjectRef { name: "workers".to_owned(), namespace: "pretext".to_owned(), scaler_metadata };
        let client = ExternalScalerClient::connect(url.to_owned()).await.expect("a coordinator");
        Self { client, object }
    }

    async fn is_active(&mut self) -> bool {
        self.client.is_active(self.object.clone()).await.expect("an answer").into_inner().result
    }

    /// Returns the metric's value, under the name that the scaler itself gives.
    async fn wanted(&mut self) -> (i64, f64) {
        let spec = self.client.get_metric_spec(self.object.clone()).await.expect("an answer").into_inner();
        let [spec] = &spec.metric_specs[..] else { panic!("one metric: {spec:?}") };
        assert_eq!(spec.target_size as f64, spec.target_size_float);
        let request = keda::GetMetricsRequest {
            scaled_object_ref: Some(self.object.clone()),
            metric_name: spec.metric_name.clone(),
        };
        let values = self.client.get_metrics(request).await.expect("an answer").into_inner().metric_values;
        let [value] = &values[..] else { panic!("one value: {values:?}") };
        assert_eq!((&value.metric_name, value.metric_value as f64), (&spec.metric_name, value.metric_value_float));
        (value.metric_value, spec.target_size_float)
    }
}

#[tokio::test]
async fn an_autoscaler_sees_empty_busy_and_drained() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut cpu = Scaler::connect(&server.url, &[("class", "cpu"), ("slotsPerWorker", "2")]).await;
    let mut eager = Scaler::connect(&server.url, &[("class", "cpu"), ("scaleDown", "eager")]).await;
    let mut gpu = Scaler::connect(&server.url, &[("class", "gpu")]).await;
    let mut stream = cpu.client.stream_is_active(cpu.object.clone()).await.expect("a stream").into_inner();
    let mut next = async || stream.message().await.expect("an open stream").expect("a message").result;

    // Empty: no worker is wanted, and the stream says so at once.
    assert!(!next().await);
    assert_eq!((cpu.is_active().await, cpu.wanted().await), (false, (0, 2.0)));

    // Two stages can run at once: rotation's pretext stage and the supervised one. The others wait for them.
    let mut worker = Stub::register(&server.url, "stub", 4).await;
    let file = folder.file("sweep.yaml", SWEEP);
    server.ask(&folder, &["submit", file.to_str().expect("text")]).expect(0);
    assert!(next().await, "told without being asked");
    assert_eq!((cpu.is_active().await, cpu.wanted().await), (true, (2, 2.0)));
    assert_eq!((gpu.is_active().await, gpu.wanted().await), (false, (0, 1.0)), "no stage is for a gpu");

    // Busy: while one stage runs, none of the four slots is given up unless that was asked for.
    let grant = worker.lease("1").await.expect("work");
    assert_eq!((cpu.wanted().await.0, eager.wanted().await.0), (4, 2));
    worker.complete(grant).await;

    // To the end; the last running stage keeps all slots.
    let mut done = 1;
    while let Some(grant) = worker.lease(&format!("more {done}")).await {
        assert_eq!(cpu.wanted().await.0, 4);
        worker.complete(grant).await;
        done += 1;
    }
    assert_eq!(done, 5);

    // Drained.
    assert!(!next().await);
    assert_eq!((cpu.is_active().await, cpu.wanted().await), (false, (0, 2.0)));

    let mut bad = Scaler::connect(&server.url, &[("class", "tpu")]).await;
    let status = bad.client.is_active(bad.object.clone()).await.expect_err("no such class");
    assert_eq!(status.code(), Code::InvalidArgument);
}
