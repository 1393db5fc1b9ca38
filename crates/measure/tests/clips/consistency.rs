//! `VBench`'s consistencies from weight files to scores, with small random networks: clips made from the sample.

use crate::support;
use measure::{
    FeatureSets, LpipsNet, Networks, PairOptions, PairReport, Silent, Weights, find, measure_pair,
};
use media::image::Rgb8;
use media::{Clip, OpenOptions};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use units::FrameIndex;

const METRICS: [&str; 2] = ["subject-consistency", "background-consistency"];
const WIDTH: usize = 8;
const PATCH: usize = 32;

/// Names and shapes of a network of one block.
fn shapes(clip: bool) -> Vec<(String, Vec<usize>)> {
    let side = 224 / PATCH;
    let w = WIDTH;
    let mut shapes = vec![
        ("cls_token", vec![1, 1, w]),
        ("pos_embed", vec![1, 1 + side * side, w]),
        ("patch_embed.proj.weight", vec![w, 3, PATCH, PATCH]),
        ("blocks.0.attn.qkv.weight", vec![3 * w, w]),
        ("blocks.0.attn.qkv.bias", vec![3 * w]),
        ("blocks.0.attn.proj.weight", vec![w, w]),
        ("blocks.0.attn.proj.bias", vec![w]),
        ("blocks.0.mlp.fc1.weight", vec![2 * w, w]),
        ("blocks.0.mlp.fc1.bias", vec![2 * w]),
        ("blocks.0.mlp.fc2.weight", vec![w, 2 * w]),
        ("blocks.0.mlp.fc2.bias", vec![w]),
    ];
    let norms = ["blocks.0.norm1", "blocks.0.norm2", "norm"];
    let mut all: Vec<(String, Vec<usize>)> = norms
        .into_iter()
        .chain(clip.then_some("norm_pre"))
        .flat_map(|norm| [format!("{norm}.weight"), format!("{norm}.bias")])
        .map(|name| (name, vec![w]))
        .collect();
    shapes.push(if clip {
        ("head.weight", vec![6, w])
    } else {
        ("patch_embed.proj.bias", vec![w])
    });
    all.extend(shapes.into_iter().map(|(name, s)| (name.to_owned(), s)));
    all
}

fn write_weights(path: &Path, clip: bool) {
    let mut state = 7_u32;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes(clip)
        .into_iter()
        .map(|(name, shape)| {
            let bytes = (0..shape.iter().product())
                .flat_map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = (state >> 8) as f32 / 8_388_608.0 - 1.0;
                    value.to_le_bytes()
                })
                .collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    let metadata = HashMap::from([("heads".to_owned(), "2".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path).unwrap();
}

fn write(path: &Path, pictures: &[Rgb8]) -> PathBuf {
    support::write(path, pictures, (25, 1), false)
}

fn measured(made: &Path, reference: &Path, weights: &Path) -> PairReport {
    let options = PairOptions::new(METRICS.map(|name| find(name).unwrap()).to_vec());
    let weights = Weights::new([weights.to_owned()]);
    let networks = Networks::load(&weights, &options.metrics, LpipsNet::Alex);
    let mut sets = FeatureSets::default();
    measure_pair(made, reference, &options, &networks, &mut sets, &mut Silent).unwrap()
}

#[test]
fn a_still_clip_is_consistent_a_changing_one_less_and_one_frame_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sample/sample.mp4");
    let clip = Clip::open(sample, &OpenOptions::default()).unwrap();
    let frames = clip.frames(FrameIndex(30)..FrameIndex(34)).unwrap();
    let pictures: Vec<Rgb8> = frames
        .map(|frame| frame.unwrap().to_rgb8_scaled(320, 240))
        .collect();
    let still = write(&at("still.mp4"), &vec![pictures[0].clone(); 4]);
    let mut changing = pictures;
    for picture in changing.iter_mut().skip(2) {
        for value in &mut picture.data {
            *value = 255 - *value;
        }
    }
    let changing = write(&at("changing.mp4"), &changing);
    let single = write(&at("one.mp4"), &[Rgb8::filled(320, 240, [90, 80, 70])]);

    // Without weights there is a reason for each.
    for score in &measured(&still, &still, folder.path()).scores {
        assert_eq!(score.value, None);
        assert!(score.reason.as_ref().unwrap().contains("no weights"));
    }
    write_weights(&at("dino_vitb16.safetensors"), false);
    // With one file, its metric runs and the other says what is missing.
    let report = measured(&still, &still, folder.path());
    assert!(report.value(METRICS[0]).is_some() && report.value(METRICS[1]).is_none());
    write_weights(&at("clip_vitb32.safetensors"), true);
    let (still, changing, single) = (
        measured(&still, &still, folder.path()),
        measured(&changing, &still, folder.path()),
        measured(&single, &still, folder.path()),
    );
    for metric in METRICS {
        let (rest, change) = (
            still.value(metric).unwrap(),
            changing.value(metric).unwrap(),
        );
        assert!(rest > 0.999 && rest < 1.000_01, "{metric}: {rest}");
        assert!(
            change >= 0.0 && change < rest - 1e-3,
            "{metric}: {change} {rest}"
        );
        let score = single.scores.iter().find(|s| s.metric == metric).unwrap();
        assert!(score.reason.as_ref().unwrap().contains("single frame"));
    }
    // A file of another network counts as missing, and the reason says so.
    std::fs::copy(at("clip_vitb32.safetensors"), at("dino_vitb16.safetensors")).unwrap();
    let report = measured(&at("one.mp4"), &at("one.mp4"), folder.path());
    let reason = report.scores[0].reason.clone().unwrap();
    assert!(reason.contains("broken weights"), "{reason}");
}
