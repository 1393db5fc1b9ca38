//! `reword rerender`: a region of a stretch made anew by a small LTX-Video with random weights, and everything else as
//! recorded.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod support;
#[path = "support/video_model.rs"]
mod video_model;

use serde_json::Value;
use std::ops::Range;
use std::process::{Command, Stdio};
use support::Bench;
use video_model::{bench, difference, open, picture};

/// Side of the test clip's pictures, pixels.
const SIDE: usize = 192;

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "rerender", "a.mp4", "--model", "model", "--steps", "2", "-o", "out.mp4", "--report",
        "r.json", "--quiet",
    ];
    shared.iter().chain(more).copied().collect()
}

fn run(bench: &Bench, more: &[&str]) -> Value {
    let output = bench.run(&arguments(more));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap()
}

/// What went wrong: exit code and message.
fn told(bench: &Bench, arguments: &[&str]) -> (i32, String) {
    let output = bench.run(arguments);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), err)
}

/// The frames that were made, which must be those of the recording at their own place.
fn generated(report: &Value) -> Vec<[u64; 2]> {
    let spans = report["spans"].as_array().unwrap();
    let made = spans.iter().filter(|span| span["kind"] == "generated");
    made.map(|span| {
        assert_eq!(span["out"], span["source"]);
        [0, 1].map(|end| span["out"][end].as_u64().unwrap())
    })
    .collect()
}

/// The mean difference inside and outside of columns and rows of a frame.
fn changes(bench: &Bench, frame: u64, columns: &Range<usize>, rows: &Range<usize>) -> (f64, f64) {
    let was = picture(&open(bench, "a.mp4"), frame);
    let is = picture(&open(bench, "out.mp4"), frame);
    let part = |data: &[u8], wanted: bool| -> Vec<u8> {
        let pixels = data.chunks(3).enumerate().filter(|(index, _)| {
            let (x, y) = (index % SIDE, index / SIDE);
            (columns.contains(&x) && rows.contains(&y)) == wanted
        });
        pixels.flat_map(|(_, pixel)| pixel.to_vec()).collect()
    };
    (
        difference(&part(&was, true), &part(&is, true)),
        difference(&part(&was, false), &part(&is, false)),
    )
}

/// Checksums of the packets of a file's sound.
fn packets(bench: &Bench, name: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(bench.path().join(name))
        .args(["-map", "0:a", "-c", "copy", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn a_box_is_made_anew_and_nothing_else() {
    let bench = bench();
    let report = run(&bench, &["--span", "1.6-2.0", "--region", "40,70,50,40"]);
    // Frames 40 to 49 of 25 a second, grown to two latents of eight.
    assert_eq!(generated(&report), [[37, 53]]);
    assert_eq!(report["edits"][0]["kind"], "rerender");
    assert_eq!(
        report["edits"][0]["source"],
        serde_json::json!([1.48, 2.12])
    );
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("frames 37 to 52"), "{warnings}");
    assert!(!warnings.contains("does not hear"), "{warnings}");
    assert_eq!(report["model"]["steps"], 2);
    // The box grows to the model's cells of 32 pixels.
    let (columns, rows) = (32..96, 64..128);
    for frame in [37, 45, 52] {
        let (inside, outside) = changes(&bench, frame, &columns, &rows);
        assert!(
            inside > 3.0 && outside < 1.5,
            "{frame}: {inside}, {outside}"
        );
    }
    for frame in [36, 53, 100] {
        let (inside, outside) = changes(&bench, frame, &columns, &rows);
        assert!(inside.max(outside) < 1.5, "{frame}: {inside}, {outside}");
    }
    let (was, is) = (packets(&bench, "a.mp4"), packets(&bench, "out.mp4"));
    assert!(
        is.len() > 100 && is.len() + 3 > was.len(),
        "{} of {}",
        is.len(),
        was.len()
    );
    assert_eq!(is, was[..is.len()], "the sound's packets");

    // A stretch of whole latents stays as it is; the prompt counts.
    let made = |more: &[&str]| {
        let shared = ["--span", "1.6-1.92", "--region", "40,70,50,40"];
        let report = run(&bench, &[&shared[..], more].concat());
        assert_eq!(generated(&report), [[40, 48]]);
        assert!(!report["warnings"].to_string().contains("latents"));
        std::fs::read(bench.path().join("out.mp4")).unwrap()
    };
    let plain = made(&[]);
    assert!(made(&[]) == plain, "one seed, one file");
    assert!(made(&["--prompt", "a raised hand"]) != plain);
    assert!(made(&["--seed", "3"]) != plain);
}

#[test]
fn faces_heads_and_everything_grow_and_follow_the_clips_own_sound_with_parts() {
    let bench = bench();
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    let mut before = 0.0;
    for region in ["lip", "face", "head", "whole"] {
        let report = run(&bench, &["--span", "1.6-1.92", "--region", region]);
        assert_eq!(generated(&report), [[40, 48]], "{region}");
        let (all, _) = changes(&bench, 44, &(0..SIDE), &(0..SIDE));
        assert!(all > before, "{region}: {all} after {before}");
        before = all;
    }
    let base = std::fs::read(bench.path().join("out.mp4")).unwrap();
    let hears = [
        "--span",
        "1.6-1.92",
        "--region",
        "whole",
        "--adapter",
        "whole.safetensors",
    ];
    let report = run(&bench, &hears);
    assert_eq!(generated(&report), [[40, 48]]);
    assert_eq!(report["model"]["name"], "model with whole.safetensors");
    assert!(std::fs::read(bench.path().join("out.mp4")).unwrap() != base);
    let (was, is) = (packets(&bench, "a.mp4"), packets(&bench, "out.mp4"));
    assert_eq!(is, was[..is.len()], "the sound's packets");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes_and_the_ends_of_a_clip_work() {
    let bench = bench();
    // All of the clip: longer than a block, from its first to its last frame.
    let more = ["--span", "0-4.8", "--region", "32,32,64,64", "--preview"];
    let report = run(&bench, &more);
    assert_eq!(generated(&report), [[0, 120]]);
    let expected = std::fs::read(bench.path().join("out.mp4")).unwrap();
    std::fs::remove_file(bench.path().join("out.mp4")).unwrap();
    let mut child = bench
        .reword()
        .args(arguments(&more))
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
    run(&bench, &[&more[..], &["--resume"]].concat());
    assert!(
        std::fs::read(bench.path().join("out.mp4")).unwrap() == expected,
        "resumed"
    );
}

#[test]
fn clips_without_sound_or_face_are_worked_on_where_that_makes_sense() {
    let bench = bench();
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=192x192:rate=25:duration=2",
        ])
        .args(["-pix_fmt", "yuv420p"])
        .arg(bench.path().join("wall.mp4"))
        .status()
        .unwrap();
    assert!(made.success());
    let wall = |more: &[&'static str]| -> Vec<&'static str> {
        let shared = [
            "rerender", "wall.mp4", "--model", "model", "--span", "0.4-0.72", "-o", "out.mp4",
        ];
        shared
            .iter()
            .chain(["--steps", "2"].iter())
            .chain(more)
            .copied()
            .collect()
    };
    let (code, err) = told(&bench, &wall(&["--region", "0,0,64,64"]));
    assert_eq!(code, 0, "{err}");
    let frames = |name: &str| open(&bench, name).video().unwrap().frames;
    assert_eq!(frames("wall.mp4"), frames("out.mp4"));
    assert!(packets(&bench, "out.mp4").is_empty());
    let (code, err) = told(&bench, &wall(&["--region", "face"]));
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("there is no face near that span") && err.contains("--region x,y,w,h"),
        "{err}"
    );
    let hears = ["--region", "0,0,64,64", "--adapter", "whole.safetensors"];
    let (code, err) = told(&bench, &wall(&hears));
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("no sound that the new pictures could follow"),
        "{err}"
    );
}

#[test]
fn what_cannot_be_made_anew_is_told() {
    let bench = bench();
    let refused = |more: &[&str], code: i32, wanted: &str| {
        let shared = ["rerender", "a.mp4", "-o", "out.mp4"];
        let (found, err) = told(&bench, &[&shared[..], more].concat());
        assert!(found == code && err.contains(wanted), "{found}: {err}");
        assert!(!bench.path().join("out.mp4").exists());
        assert!(!bench.path().join(".out.mp4.reword").exists());
    };
    let face = ["--region", "face"];
    let model = ["--model", "model"];
    // The embedded model moves mouths.
    refused(
        &[&face[..], &["--span", "1-2"]].concat(),
        2,
        "give one with --model, such as ltx-13b",
    );
    refused(
        &["--region", "lip", "--span", "1-2"],
        2,
        "reword sync CLIP --speech CLIP --from 1 --to 2",
    );
    let absent = ["--region", "face", "--span", "1-2", "--model", "ltx-13b"];
    refused(&absent, 4, "reword models pull ltx-13b");
    refused(
        &[&model[..], &["--span", "1-2"]].concat(),
        2,
        "say it with --region",
    );
    let hands = ["--region", "hands", "--span", "1-2", "--model", "model"];
    refused(&hands, 2, "nothing here finds hands in a picture");
    refused(
        &["--region", "ears", "--span", "1-2"],
        2,
        "there is no region `ears`",
    );
    for (span, wanted) in [
        ("2-1", "covers no time"),
        ("1-1", "covers no time"),
        ("7-8", "outside of the clip, which lasts 4.80"),
        ("4-8", "outside of the clip"),
        ("soon", "is not a span of seconds"),
    ] {
        refused(&[&model[..], &face, &["--span", span]].concat(), 2, wanted);
    }
    for (region, wanted) in [
        ("0,0,0,10", "is empty"),
        ("100,0,100,10", "reaches out of the picture of 192 x 192"),
        ("4294967295,0,4294967295,10", "reaches out"),
    ] {
        refused(
            &[&model[..], &["--span", "1-2", "--region", region]].concat(),
            2,
            wanted,
        );
    }
    let ranged = ["--span", "1-2", "--from", "1"];
    refused(
        &[&model[..], &face, &ranged].concat(),
        2,
        "has no --from and --to",
    );
    let order = ["--span", "1-2", "--order", "latents"];
    refused(&[&model[..], &face, &order].concat(), 2, "has no --order");
    // A box is no region that the base model could make speak.
    let (code, err) = told(
        &bench,
        &[
            "edit",
            "a.mp4",
            "--remove",
            "um",
            "--model",
            "model",
            "--region",
            "0,0,64,64",
            "-o",
            "out.mp4",
        ],
    );
    assert!(
        code == 2 && err.contains("not the region 0,0,64,64"),
        "{code}: {err}"
    );
}
