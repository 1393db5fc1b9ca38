//! What does not fit is told.

use crate::video_model::{self, bench};
use crate::with_model;
use std::path::Path;

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
