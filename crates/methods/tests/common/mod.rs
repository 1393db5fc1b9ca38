//! A small LTX-Video with EditYourself's parts and random weights, a moving picture and a sound.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use diffusion::{
    ChaChaNoise, NoiseKey, NoiseSource, Pass, Purpose, Schedule, ShiftedWindows, State,
};
use methods::BoxError;
use methods::ltx_video::{
    Captions, LtxVideo, MadePicture, Order, Parts, PictureSource, SpanInputs, SpanJob,
    SpanObserver, SpanProgress, SpanRange,
};
use models::ltx::{Residence, TransformerConfig, UpsamplerConfig, VaeConfig};
use models::whisper::WhisperConfig;
use models::{ModelFile, TensorShapes};
use serde_json::{Value, json};
use units::{FrameIndex, FrameRate};

/// How a test model differs from the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Build {
    /// Windows of so many latents; 0 for the paper's.
    pub width: usize,
    pub fill: Option<f64>,
    pub references: Option<usize>,
    pub upsampler: bool,
    pub deaf: bool,
}

fn config(build: Build) -> Value {
    let mut own = json!({"picture": "whole", "mask_margin": 0.0});
    if build.width > 0 {
        own["windows"] =
            json!({"width": build.width, "shift": 1, "ends": "averaged", "still": 0.5});
    }
    if let Some(fill) = build.fill {
        own["context_fill"] = fill.into();
    }
    if let Some(references) = build.references {
        own["references"] = references.into();
    }
    json!({
        "transformer": {
            "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 8, "out_channels": 8,
            "cross_attention_dim": 24, "caption_channels": 16, "causal_temporal_positioning": true,
            "audio": {"dim": 12, "window": 8, "hidden_states": 3, "channels": 8, "feature_rate": 50.0},
        },
        "vae": {
            "in_channels": 3, "out_channels": 3, "latent_channels": 8, "patch_size": 4,
            "encoder_base_channels": 8, "decoder_base_channels": 8, "timestep_conditioning": true,
            "causal_decoder": false, "norm_layer": "pixel_norm", "latent_log_var": "uniform", "dims": 3,
            "encoder_blocks": [
                ["compress_space_res", {"multiplier": 2}], ["compress_time_res", {"multiplier": 2}],
                ["compress_all_res", {"multiplier": 2}], ["compress_all_res", {"multiplier": 2}],
            ],
            "decoder_blocks": [
                ["compress_all", {"residual": true, "multiplier": 2}],
                ["compress_all", {"residual": true, "multiplier": 2}],
                ["compress_all", {"residual": true, "multiplier": 2}], ["res_x", {"num_layers": 1}],
            ],
        },
        "audio_encoder": {
            "d_model": 8, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 12, "num_mel_bins": 80,
            "max_source_positions": 60,
        },
        "edit_yourself": own,
    })
}

/// Random values, small enough to keep every layer's output near its input's size.
pub fn values(index: u64, name: &str, shape: &[usize]) -> Tensor {
    let inputs: usize = shape.iter().skip(1).product::<usize>().max(1);
    let key = NoiseKey {
        purpose: Purpose::Step,
        index,
    };
    let noise = ChaChaNoise::new(3)
        .normal(key, shape, &Device::Cpu)
        .unwrap();
    if name.ends_with("norm.weight") {
        return noise.affine(0.1, 1.0).unwrap();
    }
    (noise * (1.0 / inputs as f64).sqrt()).unwrap()
}

fn add(tensors: &mut BTreeMap<String, Tensor>, shapes: &TensorShapes, prefix: &str) {
    for (name, shape) in shapes {
        let index = tensors.len() as u64;
        tensors.insert(format!("{prefix}{name}"), values(index, name, shape));
    }
}

/// The model.
pub fn model(build: Build) -> LtxVideo {
    let config = config(build);
    let transformer = TransformerConfig::from_json(&config).unwrap();
    let mut tensors = BTreeMap::new();
    add(
        &mut tensors,
        &transformer.shapes(),
        "model.diffusion_model.",
    );
    let audio = models::audio_projection::shapes(transformer.audio.as_ref().unwrap());
    add(
        &mut tensors,
        &audio,
        "model.diffusion_model.audio_projection.",
    );
    let vae = VaeConfig::from_json(&config).unwrap();
    add(&mut tensors, &vae.shapes(), "vae.");
    let whisper = WhisperConfig::from_json(&config["audio_encoder"]).unwrap();
    add(&mut tensors, &whisper.shapes(), "audio_encoder.");
    for (name, value) in [("mean-of-means", 0.1), ("std-of-means", 0.8)] {
        let ones = Tensor::ones(8, DType::F32, &Device::Cpu).unwrap();
        tensors.insert(
            format!("vae.per_channel_statistics.{name}"),
            (ones * value).unwrap(),
        );
    }
    let metadata = BTreeMap::from([("config".to_owned(), config.to_string())]);
    let file = ModelFile::from_tensors("small", tensors, metadata);
    let device = Device::Cpu;
    let mut model = LtxVideo::load(&file, &file, DType::F32, &device, Residence::Memory).unwrap();
    if !build.deaf {
        model.add_parts(Parts::load(&file, None, DType::F32, &device).unwrap());
    }
    if build.upsampler {
        let config = UpsamplerConfig {
            in_channels: 8,
            mid_channels: 32,
            num_blocks_per_stage: 1,
            ..UpsamplerConfig::default()
        };
        let mut tensors = BTreeMap::new();
        add(&mut tensors, &config.shapes(), "");
        let text = serde_json::to_string(&config).unwrap();
        let metadata = BTreeMap::from([("config".to_owned(), text)]);
        let file = ModelFile::from_tensors("upsampler", tensors, metadata);
        model.add_upsampler(&file).unwrap();
    }
    model
}

/// A picture whose every pixel moves, in rows and columns.
pub struct Moving {
    pub size: (usize, usize),
    /// Recorded frame of each shown one.
    pub order: Vec<u64>,
}

impl Moving {
    pub fn new(size: (usize, usize), frames: u64) -> Self {
        Self {
            size,
            order: (0..frames).collect(),
        }
    }

    pub fn pixels(&self, recorded: u64) -> Vec<f32> {
        let (rows, columns) = self.size;
        let mut pixels = Vec::new();
        for channel in 0..3_usize {
            for y in 0..rows {
                for x in 0..columns {
                    let phase = (x * (channel + 1)) as f32 * 0.06 + y as f32 * 0.04;
                    pixels.push(0.5 + 0.4 * (phase + recorded as f32 * 0.21).sin());
                }
            }
        }
        pixels
    }
}

impl PictureSource for Moving {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn picture(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        Ok(self.pixels(self.order[frame.as_usize()]))
    }

    fn recorded_before(
        &mut self,
        frame: FrameIndex,
        back: u64,
    ) -> Result<Option<Vec<f32>>, BoxError> {
        let earlier = self.order[frame.as_usize()].checked_sub(back);
        Ok(earlier.map(|earlier| self.pixels(earlier)))
    }
}

/// Mel frames of a sound.
pub fn sound(seed: u64, frames: usize) -> Vec<[f32; 80]> {
    let mel = values(seed + 700, "", &[frames, 80]);
    let rows = (mel * 4.0).unwrap().to_vec2::<f32>().unwrap();
    rows.into_iter()
        .map(|row| row.try_into().unwrap())
        .collect()
}

/// Keeps everything.
#[derive(Default)]
pub struct Kept {
    pub pictures: Vec<MadePicture>,
    /// States, each with the number of pictures that were handed over before.
    pub states: Vec<(usize, Vec<u8>)>,
    pub steps: usize,
}

impl SpanObserver for Kept {
    fn picture(&mut self, made: MadePicture) -> Result<(), BoxError> {
        self.pictures.push(made);
        Ok(())
    }

    fn kept(&mut self, progress: SpanProgress, state: Option<&State>) -> Result<(), BoxError> {
        self.steps += usize::from(progress.steps.0 > 0);
        if let Some(state) = state {
            self.states.push((self.pictures.len(), state.to_bytes()?));
        }
        Ok(())
    }
}

/// Some steps on spans.
pub fn job(model: &LtxVideo, spans: Vec<SpanRange>, steps: usize) -> SpanJob {
    SpanJob {
        spans,
        rate: FrameRate::new(25, 1).unwrap(),
        seed: 5,
        pass: Pass::plain(Schedule::Uniform { steps }),
        second: None,
        windows: model
            .parts()
            .map_or_else(ShiftedWindows::paper, |parts| parts.config().windows),
        order: Order::Pixels,
        cache: None,
        decode_timestep: 0.05,
        decode_noise_scale: 0.025,
    }
}

/// Runs a job, from a state where one is given.
pub fn run(
    model: &LtxVideo,
    job: &SpanJob,
    source: &mut Moving,
    mel: Option<&Vec<[f32; 80]>>,
    resume: Option<&[u8]>,
) -> Kept {
    let captions = Captions {
        positive: model
            .transformer()
            .caption(&values(600, "", &[1, 4, 16]), None)
            .unwrap(),
        negative: None,
    };
    let mut kept = Kept::default();
    let inputs = SpanInputs {
        captions: &captions,
        source,
        sound: mel.map(|mel| mel as &dyn methods::edit_yourself::MelSource),
    };
    model.fill(job, inputs, &mut kept, resume).unwrap();
    kept
}

/// A state at every place gives the same pictures as no stop at all, to the last bit.
pub fn goes_on_everywhere(
    model: &LtxVideo,
    job: &SpanJob,
    source: &mut Moving,
    mel: Option<&Vec<[f32; 80]>>,
) -> Kept {
    let whole = run(model, job, source, mel, None);
    for (before, state) in &whole.states {
        let rest = run(model, job, source, mel, Some(state));
        let pictures = [&whole.pictures[..*before], &rest.pictures[..]].concat();
        assert_eq!(pictures, whole.pictures, "after {before} pictures");
    }
    whole
}
