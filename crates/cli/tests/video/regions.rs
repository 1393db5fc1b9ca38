//! With parts that hear: mouths, regions, two passes, both layouts.

use crate::video_model::{self, bench, difference, open, picture};
use crate::{check, run};
use serde_json::Value;
use std::process::Stdio;

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
fn parts_that_hear_fill_insertions_and_work_in_two_passes() {
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
