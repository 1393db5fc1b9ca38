//! `reword edit --model` with a model that makes whole pictures: a small LTX-Video with random weights, in the layout in
//! which the public ones come.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod base;
mod dub;
mod latents;
mod refused;
mod regions;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/video_model.rs"]
mod video_model;

use crate::support::Bench;
use crate::video_model::{difference, open, picture};
use serde_json::Value;

/// `arguments` with what all runs here share.
pub(crate) fn with_model<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "edit", "a.mp4", "--model", "model", "--steps", "2", "-o", "out.mp4", "--report", "r.json",
        "--quiet",
    ];
    shared.iter().chain(arguments).copied().collect()
}

pub(crate) fn run(bench: &Bench, arguments: &[&str]) -> Value {
    let output = bench.run(&with_model(arguments));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap()
}

/// What must hold for every edit: all frames told once, recorded ones recorded, made ones made.
pub(crate) fn check(bench: &Bench, report: &Value) -> u64 {
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
