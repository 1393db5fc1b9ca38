//! From a real clip to latents, shards, a `LoRA`: on the sample that ships with the program.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use media::Sandbox;
use models::ModelFile;
use models::mel_encoder::MelEncoder;
use train::adapt::{AdaptOptions, adapt};
use train::data::curate::{Filter, Funnel, Thresholds, curate, examine};
use train::data::pack::{PackOptions, pack};
use train::data::{Footage, PrepareOptions, faces_of};
use train::engine::{StepReport, Watcher};
use train::stage::Validation;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tiny() -> ModelFile {
    ModelFile::open(root().join("assets/models/tiny.safetensors")).unwrap()
}

fn options(cache: &Path) -> PrepareOptions {
    PrepareOptions {
        seconds: 4.0,
        least_frames: 25,
        cache: Some(cache.to_owned()),
        sandbox: Sandbox::InProcess,
        side: 256,
    }
}

fn encoder(file: &ModelFile) -> MelEncoder {
    let config = file.config().unwrap()["audio_encoder"].clone();
    MelEncoder::load(file, &serde_json::from_value(config).unwrap(), &Device::Cpu).unwrap()
}

#[test]
fn a_clip_becomes_a_face_with_a_sound_and_the_cache_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let clip = root().join("assets/sample/sample.mp4");
    let options = options(folder.path());
    let first = faces_of(&clip, &options).unwrap();
    assert!(
        first.len() >= 90 && first.mel.len() >= 400 * 80,
        "{}",
        first.len()
    );
    let again = faces_of(&clip, &options).unwrap();
    assert_eq!(
        (&first.openings, &first.shapes, &first.mel),
        (&again.openings, &again.shapes, &again.mel)
    );
    // The lips lie where the template puts them, and crops show them.
    let [x, y] = first.lips_at(10, 256.0);
    assert!(
        (100.0..156.0).contains(&x) && (140.0..190.0).contains(&y),
        "{x} {y}"
    );
    let crops = first.crops(&clip, 3..6, 256, Sandbox::InProcess).unwrap();
    assert_eq!((crops.len(), crops[0].width), (3, 256));
}

#[test]
fn a_folder_is_curated_packed_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let clips = folder.path().join("clips");
    std::fs::create_dir(&clips).unwrap();
    let sample = std::fs::read(root().join("assets/sample/sample.mp4")).unwrap();
    std::fs::write(clips.join("a.mp4"), &sample).unwrap();
    std::fs::write(clips.join("b.mp4"), &sample).unwrap();
    std::fs::write(clips.join("cut.mp4"), &sample[..sample.len() / 2]).unwrap();
    std::fs::write(clips.join("text.mp4"), "no clip").unwrap();
    let footage = Footage::of_folder(&clips).unwrap().clips;
    assert_eq!(footage.len(), 4);
    let thresholds = Thresholds {
        bit_rate: 100_000,
        // The embedded encoder knows recorded mouths, not drawn ones.
        agreement: -1.0,
        offset: 1.0,
        ..Thresholds::default()
    };
    let encoder = encoder(&tiny());
    let options = options(&folder.path().join("cache"));
    let look = |clip: &_| examine(clip, &thresholds, &options, Some(&encoder));
    let log = folder.path().join("log.jsonl");
    let verdicts = curate(&footage, &thresholds, &log, &look, &|_, _| {}, &|| false).unwrap();
    let fallen: Vec<_> = verdicts
        .iter()
        .map(|v| (v.failed, v.reason.clone()))
        .collect();
    assert_eq!(fallen[0], (None, None), "{:?}", verdicts[0]);
    assert_eq!(fallen[1].0, Some(Filter::Duplicate));
    assert_eq!(
        (fallen[2].0, fallen[3].0),
        (Some(Filter::Corrupt), Some(Filter::Corrupt)),
        "{fallen:?}"
    );
    assert_eq!(Funnel::of(&verdicts).steps.last().unwrap().left, 1);
    let shards = folder.path().join("shards");
    let how = PackOptions {
        most: 1 << 30,
        prefix: "clips-0000".to_owned(),
        sandbox: Sandbox::InProcess,
    };
    let known = verdicts.iter().map(|v| (v.id.clone(), v.clone())).collect();
    let entries = pack(
        &footage[..1],
        &known,
        &std::collections::BTreeMap::new(),
        &shards,
        &how,
        |_, _| {},
    )
    .unwrap();
    assert_eq!(entries[0].agreement, verdicts[0].examined.agreement);
    let packed = Footage::of_folder(&shards).unwrap().clips;
    let back = packed[0].unpacked(&folder.path().join("taken")).unwrap();
    assert_eq!(std::fs::read(&back.path).unwrap(), sample);
}

/// First and last losses.
#[derive(Default)]
struct Watch(Vec<f64>);

impl Watcher for Watch {
    fn step(&mut self, report: &StepReport) {
        self.0.push(report.loss);
    }
    fn validated(&mut self, _: u64, _: &Validation) {}
    fn stopped(&self) -> bool {
        false
    }
    fn seconds(&self) -> f64 {
        0.0
    }
}

#[test]
fn a_speaker_is_adapted_to() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("speaker.safetensors");
    let options = AdaptOptions {
        steps: 4,
        rank: 2,
        seconds: 1.5,
        seed: 0,
    };
    let mut watch = Watch::default();
    let clip = root().join("assets/sample/sample.mp4");
    adapt(
        &clip,
        &tiny(),
        &output,
        options,
        Sandbox::InProcess,
        &mut watch,
    )
    .unwrap();
    assert_eq!(watch.0.len(), 4);
    // The file is one that the program's own loader takes, and it changes the model.
    models::lora::LoraFile::open(&output).unwrap();
    let file = ModelFile::open(&output).unwrap();
    let up = file.view(DType::F32, &Device::Cpu).unwrap();
    let name = "model.diffusion_model.transformer_blocks.0.attn1.to_q.lora_B.weight";
    let moved = up.get_any(name).unwrap().abs().unwrap().max_all().unwrap();
    assert!(moved.to_scalar::<f32>().unwrap() > 0.0);
}
