//! `reword edit --model` with a model that makes whole pictures: a small LTX-Video with random weights, in the layout in
//! which the public ones come.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod support;
#[path = "support/video_model.rs"]
mod video_model;

use diffusion::{ChaChaNoise, NoiseKey, NoiseSource, Purpose};
use nn::Device;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use support::Bench;
use video_model::{bench, difference, open, picture};

/// `arguments` with what all runs here share.
fn with_model<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "edit", "a.mp4", "--model", "model", "--steps", "2", "-o", "out.mp4", "--report", "r.json",
        "--quiet",
    ];
    shared.iter().chain(arguments).copied().collect()
}

fn run(bench: &Bench, arguments: &[&str]) -> Value {
    let output = bench.run(&with_model(arguments));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap()
}

/// What must hold for every edit: all frames told once, recorded ones recorded, made ones made.
fn check(bench: &Bench, report: &Value) -> u64 {
    let (was, is) = (open(bench, "a.mp4"), open(bench, "out.mp4"));
    let frames = is.video().unwrap().frames;
    assert_eq!(report["output"]["frames"].as_u64().unwrap(), frames);
    let (mut next, mut made) = (0, 0);
    for span in report["spans"].as_array().unwrap() {
        let out = |end: usize| span["out"][end].as_u64().unwrap();
        assert_eq!(out(0), next);
        next = out(1);
        match span["kind"].as_str().unwrap() {
            "generated" => made += out(1) - out(0),
            kind => {
                assert_ne!(kind, "lipsynced", "this model makes no mouths");
                let from = span["source"][0].as_u64().unwrap();
                for offset in [0, out(1) - out(0) - 1] {
                    let change = difference(
                        &picture(&was, from + offset),
                        &picture(&is, out(0) + offset),
                    );
                    // Bit for bit where packets were copied, within the encoder's reach elsewhere.
                    let bound = if kind == "copied" { 0.0 } else { 1.5 };
                    assert!(
                        change <= bound,
                        "{kind} frame {}: {change}",
                        out(0) + offset
                    );
                }
            }
        }
    }
    assert_eq!(next, frames);
    made
}

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

#[test]
fn with_the_parts_that_hear_it_makes_mouths() {
    let bench = bench();
    video_model::write_parts(&bench.path().join("parts.safetensors"));
    let output = bench.run(&[
        "sync",
        "a.mp4",
        "--speech",
        "a.mp4",
        "--model",
        "model",
        "--adapter",
        "parts.safetensors",
        "--from",
        "1",
        "--to",
        "2",
        "-o",
        "out.mp4",
        "--report",
        "r.json",
        "--quiet",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value =
        serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap();
    let kinds: Vec<&str> = report["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"lipsynced") && !kinds.contains(&"generated"),
        "{kinds:?}"
    );
    assert_eq!(report["model"]["name"], "model with parts.safetensors");
    let (was, is) = (open(&bench, "a.mp4"), open(&bench, "out.mp4"));
    assert!(difference(&picture(&was, 37), &picture(&is, 37)) > 0.05);
}

/// `sync` of the second second with parts that work on whole pictures.
fn sync_region<'a>(region: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "sync",
        "a.mp4",
        "--speech",
        "a.mp4",
        "--model",
        "model",
        "--adapter",
        "whole.safetensors",
        "--from",
        "1",
        "--to",
        "2",
        "-o",
        "out.mp4",
        "--report",
        "r.json",
        "--quiet",
        "--region",
        region,
    ];
    [&shared[..], more].concat()
}

#[test]
fn parts_for_whole_pictures_make_lips_faces_heads_and_everything() {
    let bench = bench();
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    let was = picture(&open(&bench, "a.mp4"), 37);
    let mut before = 0.0;
    for region in ["lip", "face", "head", "whole"] {
        let output = bench.run(&sync_region(region, &[]));
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{region}: {err}");
        let report: Value =
            serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap();
        assert_eq!(report["model"]["name"], "model with whole.safetensors");
        let kinds = report["spans"].to_string();
        assert!(
            kinds.contains("lipsynced") && !kinds.contains("generated"),
            "{kinds}"
        );
        let is = picture(&open(&bench, "out.mp4"), 37);
        // Pixels that differ by more than the encoder's own error.
        let changed = was
            .chunks(3)
            .zip(is.chunks(3))
            .filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 24))
            .count();
        let share = changed as f64 / (192.0 * 192.0);
        assert!(share > before, "{region}: {share} after {before}");
        before = share;
        if region != "whole" {
            // The lowest rows to the left belong to nobody's head.
            let corner = |data: &[u8]| -> Vec<u8> {
                (160..192)
                    .flat_map(|y| data[y * 576..y * 576 + 60].to_vec())
                    .collect()
            };
            let change = difference(&corner(&was), &corner(&is));
            assert!(change < 1.5, "{region}: {change}");
        }
    }
    assert!(before > 0.5, "{before}");

    // The same again after a stop in the middle of a denoise.
    let expected = std::fs::read(bench.path().join("out.mp4")).unwrap();
    std::fs::remove_file(bench.path().join("out.mp4")).unwrap();
    let mut child = bench
        .reword()
        .args(sync_region("whole", &[]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let state = bench.path().join(".out.mp4.reword/spans.state");
    while !state.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state.exists(), "the run was over too soon to be killed");
    let output = bench.run(&sync_region("whole", &["--resume"]));
    assert!(output.status.success());
    assert!(
        std::fs::read(bench.path().join("out.mp4")).unwrap() == expected,
        "resumed"
    );
}

#[test]
fn parts_that_hear_fill_insertions_dub_and_work_in_two_passes() {
    let bench = bench();
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    video_model::write_upsampler(&bench.path().join("model"));
    let adapter = ["--adapter", "whole.safetensors"];
    let edit = ["--replace", "Tuesday=Wednesday"];
    let report = run(&bench, &[&edit[..], &adapter].concat());
    let kinds = report["spans"].to_string();
    assert!(
        kinds.contains("generated") && kinds.contains("lipsynced"),
        "{kinds}"
    );
    assert!(!report["warnings"].to_string().contains("does not hear"));
    let one = std::fs::read(bench.path().join("out.mp4")).unwrap();
    for other in [
        vec!["--two-pass"],
        vec!["--order", "latents"],
        vec!["--guidance", "4"],
        vec!["--stg", "1"],
        vec!["--audio-guidance", "3"],
    ] {
        run(&bench, &[&edit[..], &adapter, &other].concat());
        let two = std::fs::read(bench.path().join("out.mp4")).unwrap();
        assert!(one != two, "{other:?} changes nothing");
    }
    // The base model by itself has two passes too.
    let report = run(&bench, &["--remove", "um", "--two-pass"]);
    assert_eq!(check(&bench, &report), 16);

    // A track that is longer by a third: pictures are retimed on whole frames, every mouth follows.
    let longer = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(bench.path().join("a.mp4"))
        .args(["-vn", "-af", "atempo=0.8"])
        .arg(bench.path().join("long.wav"))
        .status()
        .unwrap();
    assert!(longer.success());
    let output = bench.run(&[
        "dub",
        "a.mp4",
        "--speech",
        "long.wav",
        "--model",
        "model",
        "--adapter",
        "whole.safetensors",
        "-o",
        "out.mp4",
        "--report",
        "r.json",
        "--quiet",
    ]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    let frames = |name: &str| open(&bench, name).video().unwrap().frames;
    let ratio = frames("out.mp4") as f64 / frames("a.mp4") as f64;
    assert!((ratio - 1.25).abs() < 0.02, "{ratio}");
}

#[test]
fn a_plan_for_a_video_model_has_its_seams() {
    let bench = bench();
    let seam = |model: &[&str]| {
        let mut arguments = vec!["plan", "a.mp4", "--remove", "um", "--format", "json"];
        arguments.extend(model);
        let output = bench.run(&arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let pictures = plan["pictures"].as_array().unwrap().clone();
        let seam = pictures.iter().find(|run| run["kind"] == "seam").unwrap();
        seam["frames"].as_array().unwrap().len()
    };
    assert_eq!(seam(&[]), 8);
    assert_eq!(seam(&["--model", "model"]), 16);
    // By name, it needs not be here.
    assert_eq!(seam(&["--model", "ltx-13b"]), 16);
}

/// By whole latents: cuts move to frames 8k + 1, new speech is padded, and the plan says so.
#[test]
fn edits_by_whole_latents_keep_and_make_whole_ones() {
    let bench = bench();
    let latents = ["--model", "model", "--order", "latents"];
    let plan = |edit: &[&str], more: &[&str]| {
        let output = bench.run(&[&["plan", "a.mp4"], edit, &latents, more].concat());
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{err}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (removal, insertion) = (["--remove", "um"], ["--replace", "Tuesday=Wednesday"]);
    let table = plan(&removal, &[]);
    assert!(
        table.contains("--remove \"um\": begins at 3.56 s, not 3.4")
            && table.contains("to be whole latents"),
        "{table}"
    );
    let both = [&removal[..], &insertion].concat();
    let json: Value = serde_json::from_str(&plan(&both, &["--format", "json"])).unwrap();
    let snapped = json["snapped"].as_array().unwrap();
    for part in ["start", "end", "length"] {
        assert!(
            snapped.iter().any(|one| one["part"] == part),
            "{part}: {snapped:?}"
        );
    }
    let mut end = 0;
    for run in json["pictures"].as_array().unwrap() {
        if run["kind"] == "source" {
            let source = ["start", "end"].map(|end| run["source"][end].as_u64().unwrap());
            assert!(source[0] == 0 || source[0] % 8 == 1, "{run}");
            assert!(source[1] == 120 || source[1] % 8 == 1, "{run}");
            let out = [0, 1].map(|end| run["out"][end].as_u64().unwrap());
            assert!((out[0] - end).is_multiple_of(8), "{run}");
            end = out[1];
        }
    }

    let order = ["--order", "latents"];
    let report = run(&bench, &[&removal[..], &order].concat());
    assert_eq!(check(&bench, &report), 16);
    assert!(
        report["warnings"]
            .to_string()
            .contains("to be whole latents")
    );
    let report = run(&bench, &[&insertion[..], &order].concat());
    let made = check(&bench, &report);
    assert!(made >= 16 && made.is_multiple_of(8), "{made}");

    // With parts that hear, the mouths beside new frames are whole latents too.
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    let hears = ["--adapter", "whole.safetensors"];
    let report = run(&bench, &[&insertion[..], &order, &hears].concat());
    let mut lips = 0;
    for span in report["spans"].as_array().unwrap() {
        if span["kind"] == "lipsynced" {
            let [start, end] = [0, 1].map(|end| span["source"][end].as_u64().unwrap());
            assert!(start % 8 == 1 && (end % 8 == 1 || end == 120), "{span}");
            lips += 1;
        }
    }
    assert_eq!(lips, 2, "{}", report["spans"]);
}

#[test]
fn what_does_not_fit_is_told() {
    let bench = bench();
    let told = |arguments: &[&str]| {
        let output = bench.run(arguments);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), err)
    };
    let adapter = bench.path().join("wide.safetensors");
    video_model::write_adapter(&adapter, 32);
    let (code, err) = told(&with_model(&[
        "--remove",
        "um",
        "--lora",
        "wide.safetensors",
    ]));
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("is for [32, 32], the model's is") && err.contains("adapter fits the model"),
        "{err}"
    );
    let (code, err) = told(&with_model(&["--remove", "um", "--memory", "700MiB"]));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("MiB with them left in the file"), "{err}");
    let (code, err) = told(&[
        "sync", "a.mp4", "--speech", "a.mp4", "--model", "model", "-o", "out.mp4",
    ]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("does not hear"), "{err}");
    let (code, err) = told(&[
        "edit", "a.mp4", "--remove", "um", "--prompt", "x", "-o", "out.mp4",
    ]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--prompt is for models"), "{err}");
    let (code, err) = told(&["plan", "a.mp4", "--remove", "um", "--order", "latents"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--order is for models"), "{err}");
    let order = ["--model", "model", "--order", "latents", "-o", "out.mp4"];
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    let hears = ["--adapter", "whole.safetensors"];
    let dub = [&["dub", "a.mp4", "--speech", "a.mp4"], &order[..], &hears].concat();
    let (code, err) = told(&dub);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("retimes on single frames"), "{err}");
    let (code, err) = told(&with_model(&["--remove", "um", "--two-pass"]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("no latent upsampler beside it"), "{err}");
    let (code, err) = told(&with_model(&["--remove", "um", "--region", "head"]));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--adapter, make regions"), "{err}");
    std::fs::remove_dir_all(bench.path().join("model/tokenizer")).unwrap();
    let (code, err) = told(&with_model(&["--remove", "um"]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("no tokenizer beside it"), "{err}");
    assert!(!Path::new(&bench.path().join("out.mp4")).exists());
}

/// The edits of the next test: all that a model can be given at once.
fn everything<'a>(model: &'a str, adapter: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "edit",
        "a.mp4",
        "--model",
        model,
        "--adapter",
        adapter,
        "--lora",
        "queries.safetensors",
        "--remove",
        "um",
        "--steps",
        "2",
        "-o",
        "out.mp4",
        "--report",
        "r.json",
        "--quiet",
    ];
    shared.iter().chain(more).copied().collect()
}

/// Both layouts hold one model, so that with an adapter and a `LoRA` on top they make the same pictures.
#[test]
fn both_layouts_with_parts_and_loras_make_the_same_pictures() {
    let bench = bench();
    let at = |name: &str| bench.path().join(name);
    video_model::write_both(&at("official"), &at("diffusers"));
    video_model::write_whole_parts(&at("whole.safetensors"));
    video_model::write_adapter(&at("queries.safetensors"), 24);
    let run = |arguments: &[&str]| {
        let output = bench.run(arguments);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{err}");
        let report: Value = serde_json::from_slice(&std::fs::read(at("r.json")).unwrap()).unwrap();
        let made = report["spans"]
            .as_array()
            .unwrap()
            .iter()
            .find(|span| span["kind"] == "generated")
            .unwrap();
        let frames = made["out"][0].as_u64().unwrap()..made["out"][1].as_u64().unwrap();
        let clip = open(&bench, "out.mp4");
        let pictures: Vec<Vec<u8>> = frames.map(|frame| picture(&clip, frame)).collect();
        (report["model"]["name"].clone(), pictures)
    };
    let (name, official) = run(&everything("official", "whole.safetensors", &[]));
    assert_eq!(name, "official with whole.safetensors");
    let (name, diffusers) = run(&everything("diffusers", "whole.safetensors", &[]));
    assert_eq!(name, "diffusers with whole.safetensors");
    assert!(
        !official.is_empty() && official == diffusers,
        "the layouts differ"
    );
    let plain: Vec<&str> = everything("diffusers", "whole.safetensors", &[])
        .into_iter()
        .filter(|argument| !["--lora", "queries.safetensors"].contains(argument))
        .collect();
    assert!(run(&plain).1 != diffusers, "the LoRA changes nothing");

    // Each has a flag of its own.
    for (adapter, lora, told) in [
        (
            "queries.safetensors",
            "queries.safetensors",
            "a LoRA is given with --lora",
        ),
        (
            "whole.safetensors",
            "whole.safetensors",
            "parts are given with --adapter",
        ),
    ] {
        let arguments: Vec<&str> = everything("diffusers", adapter, &[])
            .into_iter()
            .map(|argument| match argument {
                "queries.safetensors" => lora,
                other => other,
            })
            .collect();
        let output = bench.run(&arguments);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{err}");
        assert!(err.contains(told), "{err}");
    }

    // Parts of another model are refused with what differs.
    for (blocks, head, told) in [
        (2, 16, "2 blocks and width 32"),
        (3, 12, "3 blocks and width 24"),
    ] {
        video_model::write_whole_parts_for(&at("other.safetensors"), blocks, head);
        for model in ["official", "diffusers"] {
            let output = bench.run(&everything(model, "other.safetensors", &[]));
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{err}");
            assert!(
                err.contains("other.safetensors") && err.contains(told),
                "{err}"
            );
            assert!(err.contains("has 2 of 24"), "{err}");
            assert_eq!(err.lines().count(), 1, "{err}");
        }
    }
}
