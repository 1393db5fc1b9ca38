//! Seams and whole latents.

use crate::video_model::{self, bench};
use crate::{check, run};
use serde_json::Value;

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
