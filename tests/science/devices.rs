//! The GPU path, on Mesa's software Vulkan if there is no GPU.

use std::process::Command;

use pretext_tests::processes::{coordinator_command, program};
use pretext_tests::{Output, Scratch, turn};
use serde_json::Value;

fn devices() -> Vec<Value> {
    let output: Output = Command::new(program("worker")).args(["devices", "--json"]).output().expect("starts").into();
    output.expect(0).json().as_array().expect("a list").clone()
}

#[test]
fn auto_takes_a_real_gpu_or_the_cpu_never_software() {
    let devices = devices();
    assert!(devices.iter().any(|device| device["name"] == "cpu"), "{devices:?}");
    let auto: Vec<&Value> = devices.iter().filter(|device| device["auto"] == true).collect();
    assert_eq!(auto.len(), 1, "{devices:?}");
    assert_eq!(auto[0]["real"], true, "{devices:?}");
    let real_gpu = devices.iter().any(|device| device["class"] == "gpu" && device["real"] == true);
    assert_eq!(auto[0]["class"] == "gpu", real_gpu, "{devices:?}");
}

#[test]
fn a_vulkan_device_trains() {
    let _turn = turn::training();
    let devices = devices();
    let Some(vulkan) = devices.iter().find(|device| device["name"].as_str().is_some_and(|n| n.starts_with("vulkan")))
    else {
        return println!("skipped: this machine has no Vulkan device, not even Mesa's (mesa-vulkan-drivers)");
    };
    let folder = Scratch::new();
    // The smallest network and two steps a stage: on software Vulkan, choosing kernels takes longer than training.
    folder.file(
        "sweep.yaml",
        "
name: tiny
dataset: {kind: procedural, train_per_class: 12, test_per_class: 4, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 1}
methods: [rotation]
fractions: [100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
pretext: {data: all, steps: 2, batch: 4}
downstream: {steps: 2, batch: 4}
",
    );
    let device = vulkan["name"].as_str().expect("a name");
    let output: Output =
        coordinator_command(&folder, &["run", "sweep.yaml", "--device", device, "--workers", "1", "--json"])
            .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
            .output()
            .expect("starts")
            .into();
    let worker_log = pretext_tests::processes::read(&folder.path(".pretext/worker.log"));
    assert_eq!(output.code, 0, "{output:?}\n{worker_log}");
    let cell = &output.json()["results"]["cells"][0];
    assert_eq!(cell["state"], "succeeded");
    let loss = cell["test"]["loss"].as_f64().expect("a loss");
    assert!(loss.is_finite() && loss < 10.0, "{loss}");
}
