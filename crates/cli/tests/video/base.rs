//! The model by itself, which does not hear: removals, additions, its cache.

use crate::video_model::{self, bench, difference, open, picture};
use crate::{check, run, with_model};
use diffusion::{ChaChaNoise, NoiseKey, NoiseSource as _, Purpose};
use nn::Device;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;

#[test]
fn a_removal_is_bridged_and_a_killed_run_goes_on_to_the_same_bytes() {
    let whole = bench();
    let arguments = ["--remove", "um"];
    let report = run(&whole, &arguments);
    // One latent of eight frames each side.
    assert_eq!(check(&whole, &report), 16);
    assert_eq!(report["model"]["steps"], 2);
    assert_eq!(report["model"]["name"], "model");
    assert_eq!(report["model"]["sha256"].as_str().unwrap().len(), 64);
    let expected = std::fs::read(whole.path().join("out.mp4")).unwrap();
    let prompts = whole.path().join(".cache/reword/prompts");
    assert_eq!(
        std::fs::read_dir(&prompts).unwrap().count(),
        2,
        "the prompt and the negative one"
    );

    // The embedded prompts are found again.
    let written = || -> Vec<_> {
        let files = std::fs::read_dir(&prompts).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().modified().unwrap())
            .collect()
    };
    let before = written();
    run(&whole, &arguments);
    assert!(
        std::fs::read(whole.path().join("out.mp4")).unwrap() == expected,
        "the same seed"
    );
    assert_eq!(written(), before);

    // How much memory there is changes nothing.
    run(&whole, &["--remove", "um", "--memory", "1900MiB"]);
    assert!(
        std::fs::read(whole.path().join("out.mp4")).unwrap() == expected,
        "other memory"
    );

    // Killed after the first step.
    std::fs::remove_file(whole.path().join("out.mp4")).unwrap();
    let mut child = whole
        .reword()
        .args(with_model(&arguments))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let state = whole.path().join(".out.mp4.reword/spans.state");
    while !state.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state.exists(), "the run was over too soon to be killed");
    run(&whole, &["--remove", "um", "--resume"]);
    assert!(
        std::fs::read(whole.path().join("out.mp4")).unwrap() == expected,
        "resumed"
    );
}

#[test]
fn an_addition_is_filled_and_adapters_prompts_and_seeds_count() {
    let bench = bench();
    let arguments = ["--replace", "Tuesday=Wednesday"];
    let report = run(&bench, &arguments);
    let made = check(&bench, &report);
    assert!(made > 5, "{made} frames were made");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("does not hear"), "{warnings}");
    // Made pictures are the model's, not the recorded ones.
    let span = report["spans"]
        .as_array()
        .unwrap()
        .iter()
        .find(|span| span["kind"] == "generated")
        .unwrap();
    let [start, end] = [0, 1].map(|index| span["out"][index].as_u64().unwrap());
    let middle = start.midpoint(end);
    let first = picture(&open(&bench, "out.mp4"), middle);
    let near: Vec<f64> = [middle - 3, middle, middle + 3]
        .iter()
        .map(|frame| difference(&first, &picture(&open(&bench, "a.mp4"), *frame)))
        .collect();
    assert!(near.iter().all(|change| *change > 3.0), "{near:?}");

    let adapter = bench.path().join("adapter.safetensors");
    video_model::write_adapter(&adapter, 24);
    for other in [
        vec!["--prompt", "a house on fire"],
        vec!["--seed", "3"],
        vec!["--lora", "adapter.safetensors:8"],
    ] {
        run(&bench, &[&arguments[..], &other[..]].concat());
        let change = difference(&first, &picture(&open(&bench, "out.mp4"), middle));
        assert!(change > 0.05, "{other:?}: {change}");
    }
}

#[test]
fn a_fitted_cache_spares_steps() {
    let bench = bench();
    let noise = |index, shape: &[usize]| {
        let key = NoiseKey {
            purpose: Purpose::Start,
            index,
        };
        ChaChaNoise::new(11)
            .normal(key, shape, &Device::Cpu)
            .unwrap()
    };
    let mut inputs = Vec::new();
    for index in 0..2 {
        let name = format!("in{index}.safetensors");
        let tensors = BTreeMap::from([
            ("latents".to_owned(), noise(index, &[1, 24, 8])),
            ("caption".to_owned(), noise(10 + index, &[1, 5, 16])),
            (
                "coords".to_owned(),
                (noise(20 + index, &[1, 3, 24]).abs().unwrap() * 3.0).unwrap(),
            ),
        ]);
        nn::weights::save(bench.path().join(&name), &tensors, &BTreeMap::new()).unwrap();
        inputs.push(name);
    }
    let mut arguments = vec![
        "models",
        "fit-cache",
        "--weights",
        "model/small.safetensors",
    ];
    for input in &inputs {
        arguments.extend(["--inputs", input]);
    }
    arguments.extend(["--cache-steps", "12", "--degree", "2", "-o", "cache.json"]);
    let output = bench.run(&arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = bench.path().join("cache.json");
    let mut cache: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(cache["pairs"], 2 * 11);
    let output = || std::fs::read(bench.path().join("out.mp4")).unwrap();
    let edit = ["--remove", "um", "--steps", "6"];
    let edit: Vec<&str> = with_model(&edit);
    // The later of two flags of a name counts, so the shared number of steps is left out.
    let edit: Vec<&str> = edit
        .iter()
        .enumerate()
        .filter(|(i, _)| !(4..6).contains(i))
        .map(|(_, a)| *a)
        .collect();
    let run = |more: &[&str]| {
        let done = bench.run(&[&edit[..], more].concat());
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    run(&[]);
    let plain = output();
    run(&["--step-cache", "cache.json"]);
    assert!(output() == plain, "a threshold of 0 changes nothing");
    cache["threshold"] = 1e9.into();
    std::fs::write(&path, cache.to_string()).unwrap();
    run(&["--step-cache", "cache.json"]);
    assert!(output() != plain, "what is taken again differs");
}
