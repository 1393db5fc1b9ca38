//! Whole jobs with a small model and weights by formula: what comes out, in what order,
//! and that a resumed job equals an undisturbed one.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use diffusion::{Schedule, State};
use methods::BoxError;
use methods::edit_yourself::{
    CropSource, EditYourself, LipJob, LipObserver, LipRange, MadeCrop, Progress, References,
};
use models::audio_projection;
use models::ltx::{TransformerConfig, VaeConfig};
use models::mel_encoder::MelEncoderConfig;
use models::{ModelFile, TensorShapes};
use serde_json::{Value, json};
use units::{FrameIndex, FrameRate};

fn config() -> Value {
    json!({
        "transformer": {
            "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 6, "out_channels": 6,
            "caption_channels": 5, "cross_attention_dim": 24, "positional_embedding_theta": 100.0,
            "positional_embedding_max_pos": [4, 64, 64], "one_way_attention": true, "context_window": 17,
            "audio": {"dim": 8, "window": 8, "hidden_states": 1, "channels": 6, "feature_rate": 50.0}
        },
        "vae": {
            "latent_channels": 6, "patch_size": 4, "timestep_conditioning": true,
            "encoder_base_channels": 8, "decoder_base_channels": 8,
            "encoder_blocks": [["compress_all_res", {"multiplier": 1}], ["res_x", {"num_layers": 1}]],
            "decoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all", {"multiplier": 1, "residual": true}], ["res_x", {"num_layers": 1}]]
        },
        "scheduler": {"sampler": "Shifted", "shift": 3.0, "steps": 3},
        "audio_encoder": {"channels": 6, "dilations": [1, 2], "mel_bands": 80},
        "edit_yourself": {
            "crop": 32, "mask_cells": {"rows": [2, 4], "columns": [1, 3]}, "context_fill": 0.0, "references": 2,
            "block_latents": 5, "decode_timestep": 0.05, "decode_noise_scale": 0.0, "spatial_stride": 8, "temporal_stride": 2
        }
    })
}

fn model_of(config: &Value) -> EditYourself {
    let mut shapes = TensorShapes::new();
    let mut add = |prefix: &str, part: TensorShapes| {
        shapes.extend(
            part.into_iter()
                .map(|(name, shape)| (format!("{prefix}{name}"), shape)),
        );
    };
    let transformer = TransformerConfig::from_json(config).unwrap();
    let dit = "model.diffusion_model.";
    add(dit, transformer.shapes());
    add(
        dit,
        TensorShapes::from([("empty_caption".to_owned(), vec![1, 5])]),
    );
    let audio = transformer.audio.as_ref().unwrap();
    add(
        &format!("{dit}audio_projection."),
        audio_projection::shapes(audio),
    );
    add("vae.", VaeConfig::from_json(config).unwrap().shapes());
    let statistics = ["mean-of-means", "std-of-means"].map(|name| (name.to_owned(), vec![6]));
    add(
        "vae.per_channel_statistics.",
        TensorShapes::from(statistics),
    );
    let mel: MelEncoderConfig = serde_json::from_value(config["audio_encoder"].clone()).unwrap();
    add("audio_encoder.", mel.shapes());
    let tensors: BTreeMap<String, Tensor> = shapes
        .into_iter()
        .enumerate()
        .map(|(k, (name, shape))| {
            let count: usize = shape.iter().product();
            let one = name.ends_with("norm.weight") || name.ends_with("std-of-means");
            let values: Vec<f32> = (0..count)
                .map(|j| {
                    let wave = 0.25 * (0.1 + 0.37 * j as f32 + 1.7 * k as f32).sin();
                    if name.ends_with("timestep_scale_multiplier") {
                        1000.0
                    } else if one {
                        1.0 + wave
                    } else {
                        wave
                    }
                })
                .collect();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    let metadata = BTreeMap::from([("config".to_owned(), config.to_string())]);
    let file = ModelFile::from_tensors("small model", tensors, metadata);
    EditYourself::from_file(&file, DType::F32, &Device::Cpu).unwrap()
}

fn model() -> EditYourself {
    model_of(&config())
}

/// A model that sees the recorded mouth.
fn seeing_model() -> EditYourself {
    let mut config = config();
    config["edit_yourself"]["recorded_context"] = true.into();
    config["edit_yourself"]["context_cells"] = json!({"rows": [1, 4], "columns": [0, 4]});
    model_of(&config)
}

/// A model that is shown counterparts, and hands over what it changes about them.
fn changing_model() -> EditYourself {
    let mut config = config();
    config["edit_yourself"]["recorded_context"] = true.into();
    config["edit_yourself"]["counterparts"] = true.into();
    model_of(&config)
}

/// A picture that moves; what lies in the masked box can be changed.
struct Crops {
    mouth: f32,
    /// The mouth of counterparts.
    lent: f32,
    asked: Vec<u64>,
}

impl CropSource for Crops {
    fn crop(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        self.asked.push(frame.0);
        Ok((0..3 * 32 * 32)
            .map(|i| {
                let (row, column) = (i / 32 % 32, i % 32);
                if (16..32).contains(&row) && (8..24).contains(&column) {
                    self.mouth
                } else {
                    0.5 + 0.4 * (i as f32 * 0.05 + frame.0 as f32 * 0.3).sin()
                }
            })
            .collect())
    }

    fn counterpart(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let recorded = std::mem::replace(&mut self.mouth, self.lent);
        let crop = self.crop(frame);
        self.mouth = recorded;
        crop
    }
}

impl Crops {
    fn of(mouth: f32) -> Self {
        Self {
            mouth,
            lent: mouth,
            asked: Vec::new(),
        }
    }
}

#[derive(Default)]
struct Kept {
    crops: Vec<MadeCrop>,
    states: Vec<(usize, Vec<u8>)>,
    progress: Vec<Progress>,
    stop_after: Option<usize>,
}

impl LipObserver for Kept {
    fn crop(&mut self, made: MadeCrop) -> Result<(), BoxError> {
        self.crops.push(made);
        Ok(())
    }

    fn block(&mut self, progress: Progress, state: &State) -> Result<(), BoxError> {
        self.progress.push(progress);
        self.states.push((self.crops.len(), state.to_bytes()?));
        if self.stop_after == Some(self.states.len()) {
            return Err("stopped".into());
        }
        Ok(())
    }
}

fn mel(shift: f32) -> Vec<[f32; 80]> {
    (0..400)
        .map(|t| std::array::from_fn(|band| (t as f32 * 0.21 + band as f32 * 0.1 + shift).sin()))
        .collect()
}

fn range(frames: std::ops::Range<u64>, available: std::ops::Range<u64>) -> LipRange {
    LipRange {
        frames: FrameIndex(frames.start)..FrameIndex(frames.end),
        available: FrameIndex(available.start)..FrameIndex(available.end),
    }
}

fn job(ranges: Vec<LipRange>) -> LipJob {
    LipJob {
        ranges,
        rate: FrameRate::new(25, 1).unwrap(),
        references: References::Fixed(vec![FrameIndex(3), FrameIndex(40), FrameIndex(50)]),
        said: Vec::new(),
        seed: 5,
        schedule: None,
        audio_guidance: None,
        margin: 3,
    }
}

fn run(model: &EditYourself, job: &LipJob, sound: f32, mouth: f32) -> Kept {
    let mut kept = Kept::default();
    let mut crops = Crops::of(mouth);
    let report = model
        .run(job, &mut crops, &mel(sound), &mut kept, None)
        .unwrap();
    assert_eq!(report.frames, job.frames());
    kept
}

#[test]
fn frames_come_in_order_with_the_box_and_its_margin() {
    let model = model();
    let job = job(vec![
        range(0..23, 0..23),
        range(31..34, 25..60),
        range(40..41, 40..41),
    ]);
    let kept = run(&model, &job, 0.0, 0.2);
    let frames: Vec<u64> = kept.crops.iter().map(|made| made.frame.0).collect();
    let wanted: Vec<u64> = (0..23).chain(31..34).chain(40..41).collect();
    assert_eq!(frames, wanted);
    for made in &kept.crops {
        // Box 16..32 x 8..24, margin 3, on the patch grid of 4, within the crop.
        assert_eq!((made.x, made.y, made.width, made.height), (4, 12, 24, 20));
        assert_eq!(made.pixels.len(), 3 * 24 * 20);
        assert!(made.pixels.iter().all(|v| (0.0..=1.0).contains(v)));
    }
    let last = kept.progress.last().unwrap();
    assert_eq!((last.blocks.0, last.frames), (last.blocks.1, (27, 27)));
}

fn pixels(kept: &Kept) -> Vec<u32> {
    kept.crops
        .iter()
        .flat_map(|m| m.pixels.iter().map(|v| v.to_bits()))
        .collect()
}

#[test]
fn the_same_job_gives_the_same_crops_and_sound_and_seed_change_them() {
    let model = model();
    let job = job(vec![range(0..12, 0..12)]);
    let first = pixels(&run(&model, &job, 0.0, 0.2));
    assert_eq!(first, pixels(&run(&model, &job, 0.0, 0.2)));
    assert_ne!(first, pixels(&run(&model, &job, 0.9, 0.2)));
    let other = LipJob {
        seed: 6,
        ..job.clone()
    };
    assert_ne!(first, pixels(&run(&model, &other, 0.0, 0.2)));
    let guided = LipJob {
        audio_guidance: Some(2.0),
        ..job
    };
    assert_ne!(first, pixels(&run(&model, &guided, 0.0, 0.2)));
}

/// The masked box is filled before encoding, so without references and recorded
/// neighbours the old mouth cannot be read from anywhere.
#[test]
fn the_recorded_mouth_does_not_leak() {
    let model = model();
    let mut job = job(vec![range(0..12, 0..12)]);
    job.references = References::Fixed(Vec::new());
    let one = pixels(&run(&model, &job, 0.0, 0.2));
    assert_eq!(one, pixels(&run(&model, &job, 0.0, 0.9)));
    job.references = References::Fixed(vec![FrameIndex(0)]);
    assert_ne!(
        pixels(&run(&model, &job, 0.0, 0.2)),
        pixels(&run(&model, &job, 0.0, 0.9))
    );
}

#[test]
fn a_model_that_sees_the_recorded_mouth_uses_it() {
    let model = seeing_model();
    let mut job = job(vec![range(0..12, 0..12)]);
    job.references = References::Fixed(Vec::new());
    let one = pixels(&run(&model, &job, 0.0, 0.2));
    assert_eq!(one, pixels(&run(&model, &job, 0.0, 0.2)));
    assert_ne!(one, pixels(&run(&model, &job, 0.0, 0.9)));
}

#[test]
fn a_model_of_counterparts_hands_over_its_change_of_them() {
    let mut job = job(vec![range(0..12, 0..12)]);
    job.references = References::Fixed(Vec::new());
    let made = |model: &EditYourself, recorded: f32, lent: f32| {
        let mut kept = Kept::default();
        let mut crops = Crops {
            lent,
            ..Crops::of(recorded)
        };
        model
            .run(&job, &mut crops, &mel(0.0), &mut kept, None)
            .unwrap();
        kept.crops
    };
    // The lent mouth is what it sees, the recorded one is not.
    let changing = changing_model();
    let changes = made(&changing, 0.2, 0.6);
    assert_eq!(changes, made(&changing, 0.9, 0.6));
    assert_ne!(changes, made(&changing, 0.2, 0.5));
    // What a model that sees the same mouth makes, less the change, is that mouth as the
    // autoencoder knows it, whatever the sound was.
    let seeing = {
        let mut config = config();
        config["edit_yourself"]["recorded_context"] = true.into();
        model_of(&config)
    };
    let base = |sound: f32| -> Vec<Option<f32>> {
        let whole = run(&seeing, &job, sound, 0.6).crops;
        let changes = run(&changing, &job, sound, 0.6).crops;
        let pixels = |kept: Vec<MadeCrop>| kept.into_iter().flat_map(|made| made.pixels);
        pixels(whole)
            .zip(pixels(changes))
            .map(|(whole, change)| (0.01..0.99).contains(&whole).then_some(whole - change))
            .collect()
    };
    let mut compared = 0;
    for (one, other) in base(0.0).into_iter().zip(base(1.7)) {
        if let (Some(one), Some(other)) = (one, other) {
            assert!((one - other).abs() < 1e-4, "{one} {other}");
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn a_resumed_job_equals_an_undisturbed_one_bit_for_bit() {
    for model in [model(), seeing_model(), changing_model()] {
        resumed_equals_undisturbed(&model);
    }
}

fn resumed_equals_undisturbed(model: &EditYourself) {
    let job = job(vec![range(2..30, 0..33), range(50..61, 44..61)]);
    let whole = run(model, &job, 0.0, 0.2);
    let blocks = whole.states.len();
    assert!(blocks >= 6, "{blocks}");
    for stop in 1..=blocks {
        let mut kept = Kept {
            stop_after: Some(stop),
            ..Kept::default()
        };
        let mut crops = Crops::of(0.2);
        let stopped = model.run(&job, &mut crops, &mel(0.0), &mut kept, None);
        assert!(stopped.is_err());
        let (held, state) = kept.states.pop().unwrap();
        kept.crops.truncate(held);
        kept.stop_after = None;
        let mut crops = Crops::of(0.2);
        let report = model
            .run(&job, &mut crops, &mel(0.0), &mut kept, Some(&state))
            .unwrap();
        assert_eq!(report.blocks, blocks - stop);
        assert_eq!(kept.crops, whole.crops, "stopped after block {stop}");
    }
    let other = LipJob { seed: 6, ..job };
    let state = &whole.states[0].1;
    let mut crops = Crops::of(0.2);
    let error = model
        .run(
            &other,
            &mut crops,
            &mel(0.0),
            &mut Kept::default(),
            Some(state),
        )
        .unwrap_err();
    assert!(error.to_string().contains("another job"), "{error}");
}

#[test]
fn other_kinds_of_models_run_too() {
    let job = job(vec![range(3..20, 0..25)]);
    let plain = pixels(&run(&model(), &job, 0.0, 0.2));
    let mut dense = config();
    dense["transformer"]["one_way_attention"] = false.into();
    let dense = pixels(&run(&model_of(&dense), &job, 0.0, 0.2));
    let mut clean = config();
    clean["edit_yourself"]["carry"] = "clean".into();
    clean["edit_yourself"]["decode_noise_scale"] = 0.025.into();
    let clean = pixels(&run(&model_of(&clean), &job, 0.0, 0.2));
    assert!(plain != dense && plain != clean && plain.len() == dense.len());
    let schedule = LipJob {
        schedule: Some(Schedule::linear_quadratic(4)),
        ..job
    };
    assert_ne!(plain, pixels(&run(&model(), &schedule, 0.0, 0.2)));
}

#[test]
fn jobs_that_make_no_sense_are_refused_with_their_numbers() {
    let model = model();
    for (ranges, wanted) in [
        (vec![range(5..5, 0..9)], "5..5 is empty"),
        (
            vec![range(0..9, 0..9), range(8..12, 0..12)],
            "before frame 9",
        ),
        (vec![range(0..9, 2..9)], "2..9 have crops"),
    ] {
        let mut crops = Crops::of(0.2);
        let error = model
            .run(
                &job(ranges),
                &mut crops,
                &mel(0.0),
                &mut Kept::default(),
                None,
            )
            .unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(crops.asked.is_empty());
    }
}

#[test]
fn a_file_without_the_method_says_what_is_missing() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("edit_yourself");
    let metadata = BTreeMap::from([("config".to_owned(), config.to_string())]);
    let file = ModelFile::from_tensors("w.safetensors", BTreeMap::new(), metadata);
    let error = EditYourself::from_file(&file, DType::F32, &Device::Cpu).unwrap_err();
    assert!(
        error.to_string().contains("no 'edit_yourself' object"),
        "{error}"
    );
    let error =
        EditYourself::from_bytes("embedded", b"nothing", DType::F32, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("embedded"), "{error}");
}

/// A model whose blocks move over the whole of a range.
fn moving_model(width: usize, shift: usize) -> EditYourself {
    let mut config = config();
    config["edit_yourself"]["windows"] =
        json!({"width": width, "shift": shift, "ends": "averaged", "still": 0.0});
    model_of(&config)
}

#[test]
fn one_block_that_stands_still_is_plain_sampling() {
    // Five latents, then two carried ones and one to make: each a single block.
    let job = job(vec![range(0..9, 0..9), range(20..22, 10..22)]);
    let plain = run(&model(), &job, 0.0, 0.2);
    let still = run(&moving_model(5, 0), &job, 0.0, 0.2);
    assert_eq!(pixels(&plain), pixels(&still));
    // One block is one block, wherever its partition would move.
    assert_eq!(
        pixels(&plain),
        pixels(&run(&moving_model(5, 2), &job, 0.0, 0.2))
    );
}

#[test]
fn moving_blocks_make_every_frame_once() {
    let job = job(vec![range(0..33, 0..40), range(50..52, 45..60)]);
    let made: Vec<Kept> = [0, 2]
        .map(|shift| run(&moving_model(5, shift), &job, 0.0, 0.2))
        .into();
    for kept in &made {
        let frames: Vec<u64> = kept.crops.iter().map(|made| made.frame.0).collect();
        assert_eq!(frames, (0..33).chain(50..52).collect::<Vec<u64>>());
        let last = kept.progress.last().unwrap();
        assert_eq!((last.blocks.0, last.frames), (last.blocks.1, (35, 35)));
    }
    let [still, moving] = [0, 1].map(|index| pixels(&made[index]));
    assert_ne!(still, moving);
    assert_eq!(
        moving,
        pixels(&run(&moving_model(5, 2), &job, 0.0, 0.2)),
        "the same job, the same crops"
    );
}
