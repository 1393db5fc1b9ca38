//! Whole runs on clips made by formula: they learn, resume, and share work.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first fault")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use train::data::{ClipLatents, Library, Pose};
use train::engine::{Run, StepReport, Unwatched, Watcher};
use train::log::Journal;
use train::params::Parameters;
use train::random::{Draw, Purpose};
use train::ranks::{Meeting, Ranks};
use train::recipe::{Recipe, TeacherRecipe};
use train::stage::{Cells, EditYourselfStage, Network, Stage as _, Teacher, Validation};
use train::{TrainError, init};

/// The fixture's sizes, wide enough to learn by heart.
fn config(one_way: bool) -> serde_json::Value {
    serde_json::json!({
        "transformer": {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 32, "in_channels": 6, "out_channels": 6,
            "caption_channels": 8, "cross_attention_dim": 64, "norm_eps": 1e-6, "positional_embedding_theta": 100.0,
            "positional_embedding_max_pos": [4, 256, 256], "timestep_scale_multiplier": 1000, "causal_temporal_positioning": true,
            "audio": {"dim": 16, "window": 16, "hidden_states": 1, "channels": 16, "feature_rate": 50.0},
            "one_way_attention": one_way, "context_window": 17},
        "vae": {"_class_name": "CausalVideoAutoencoder", "dims": 3, "in_channels": 3, "out_channels": 3, "latent_channels": 6,
            "patch_size": 2, "norm_layer": "pixel_norm", "latent_log_var": "uniform", "causal_decoder": false,
            "timestep_conditioning": true, "encoder_base_channels": 4, "decoder_base_channels": 4,
            "encoder_blocks": [["compress_all_res", {"multiplier": 2}]],
            "decoder_blocks": [["compress_all", {"multiplier": 2, "residual": true}]]},
        "audio_encoder": {"channels": 16, "dilations": [1, 2], "mel_bands": 80},
        "edit_yourself": {"crop": 256, "mask_cells": {"rows": [5, 8], "columns": [2, 6]}, "context_fill": 0.0, "references": 2,
            "block_latents": 4, "block_local_times": true, "decode_timestep": 0.05, "decode_noise_scale": 0.0,
            "spatial_stride": 32, "temporal_stride": 4}
    })
}

fn recipe(text: &str) -> Recipe {
    let text = format!(
        r#"
        version = 1
        stage = "edit-yourself"
        seed = 3
        {text}
        [data]
        sources = [{{ path = "none" }}]
        "#
    );
    Recipe::parse("test", &text).unwrap()
}

/// A clip whose mouth is a level that the sound tells: mel frames and masked latents follow one sine.
fn clip(number: u64, cells: &Cells) -> ClipLatents {
    let latents = 8_usize;
    let frames = 4 * (latents - 1) + 1;
    let mut draw = Draw::new(11, Purpose::Weights, 7, number);
    let look = draw.normals(&[64, 6]).unwrap();
    let opening = |frame: f64| 0.5 + 0.5 * (frame * 0.5 + number as f64).sin();
    let mel: Vec<f32> = (0..frames * 4 + 8)
        .flat_map(|n| {
            let level = opening(n as f64 / 4.0) as f32;
            (0..80).map(move |band| level * (1.0 + band as f32 / 80.0) - 0.75)
        })
        .collect();
    let mut clean = Vec::new();
    for n in 0..latents {
        let frame = if n == 0 { 0.0 } else { 4.0 * n as f64 - 1.5 };
        let mut cells_of = look.to_vec2::<f32>().unwrap();
        for cell in &cells.inside {
            for (channel, value) in cells_of[*cell as usize].iter_mut().enumerate() {
                *value +=
                    (2.0 * opening(frame) - 1.0) as f32 * if channel % 2 == 0 { 1.5 } else { -1.5 };
            }
        }
        clean.extend(cells_of.into_iter().flatten());
    }
    let clean = Tensor::from_vec(clean, (latents, 64, 6), &Device::Cpu).unwrap();
    let inside = Tensor::new(cells.inside.as_slice(), &Device::Cpu).unwrap();
    let index = Tensor::new(&[1_u32, 3, 5, 7], &Device::Cpu).unwrap();
    ClipLatents {
        id: format!("clip {number}"),
        identity: format!("person {number}"),
        weight: 1.0,
        rate: 25.0,
        shown: vec![clean.clone()],
        references: clean
            .index_select(&index, 0)
            .unwrap()
            .index_select(&inside, 1)
            .unwrap(),
        reference_frames: vec![2, 10, 18, 26],
        clean,
        mel: Arc::new(mel),
        offset: 0,
        openings: (0..frames).map(|f| opening(f as f64) as f32).collect(),
        shapes: (0..frames)
            .map(|f| vec![opening(f as f64) as f32, (f as f32 * 0.1).cos(), 1.0])
            .collect(),
        poses: vec![
            Pose {
                nose: [[0.5, 0.5]; 3],
            };
            frames
        ],
        readings: None,
    }
}

fn stage(recipe: &Recipe) -> EditYourselfStage {
    stage_of(recipe, &config(true))
}

fn stage_of(recipe: &Recipe, config: &serde_json::Value) -> EditYourselfStage {
    let file = init::fresh(config, 3, 5).unwrap();
    let mut parameters =
        Parameters::of_file(&file, &recipe.model.train, &recipe.model.freeze).unwrap();
    if let Some(lora) = &recipe.model.lora {
        lora.add(&mut parameters, recipe.seed).unwrap();
    }
    let network =
        Network::of_parameters(&parameters, &parameters.tracked(), None, DType::F32).unwrap();
    let library = Library {
        train: (0..4).map(|n| clip(n, &network.cells)).collect(),
        held_out: Vec::new(),
        cells: network.cells,
    };
    EditYourselfStage::new(recipe.clone(), parameters, library).unwrap()
}

/// Losses of all steps; stops after `stop`.
#[derive(Default)]
struct Losses {
    steps: Vec<f64>,
    stop: Option<usize>,
    validations: Vec<Validation>,
}

impl Watcher for Losses {
    fn step(&mut self, report: &StepReport) {
        self.steps.push(report.loss);
    }
    fn validated(&mut self, _: u64, validation: &Validation) {
        self.validations.push(validation.clone());
    }
    fn stopped(&self) -> bool {
        self.stop == Some(self.steps.len())
    }
    fn seconds(&self) -> f64 {
        1.0e9
    }
}

fn run(recipe: &Recipe, folder: Option<&Path>, stop: Option<usize>) -> (Losses, train::Result<()>) {
    let mut stage = stage(recipe);
    let mut ranks = Ranks::alone();
    let mut watcher = Losses {
        stop,
        ..Losses::default()
    };
    let result = Run::start(recipe, &mut stage, &mut ranks, folder)
        .and_then(|mut run| run.finish(&mut watcher))
        .map(|_| ());
    (watcher, result)
}

const LEARN: &str = r#"
    steps = 250
    batch = { samples = 4, copies = 2, latents = [4, 5] }
    timesteps = { mean = 1.0, pure = 0.3 }
    conditions = { audio = 0.9, first_frame = 0.1, video = 1.0, identity = 1.0 }
    rate = { warm_up = 10, fall = "linear", fall_from = 0.5, end = 0.1 }
    objective = { readout = 0.3, follow = 0.2, head = 0.1, reader = { ridge = 10.0, shape = 1 } }
    log = { validate_every = 250, validate = 4 }
    [model]
    config = "in memory"
    train = ["model.diffusion_model.*", "audio_encoder.*"]
    freeze = ["*.attn2.*", "*caption*"]
    [optimiser]
    rate = 3e-3
    muon_rate = 0.02
    muon_scale = "like-adamw"
    average = 0.95
"#;

/// The bound of CI: in 250 steps the loss of four clips falls below a fifth of its start (0.09 when this was written),
/// and made mouths follow their sound.
#[test]
fn a_tiny_run_overfits_four_clips() {
    let recipe = recipe(LEARN);
    let (watcher, result) = run(&recipe, None, None);
    result.unwrap();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (start, end) = (mean(&watcher.steps[..10]), mean(&watcher.steps[240..]));
    let measures = &watcher.validations[0].measures;
    println!("loss {start:.3} to {end:.3}, {measures:?}");
    assert!(end < start / 5.0, "the loss went from {start} to {end}");
    assert!(measures["training/own"] > 0.8, "{measures:?}");
    assert!(
        measures["training/leak"] < 0.5 * measures["training/own"],
        "{measures:?}"
    );
}

const SHORT: &str = r#"
    steps = 8
    batch = { samples = 2, copies = 2, latents = [3, 4] }
    objective = { contrastive = 0.05, immiscible = 4, readout = 0.3, reader = { ridge = 10.0, shape = 1 } }
    log = { every = 1, checkpoint_every = 3, validate_every = 4, validate = 2 }
    [model]
    config = "in memory"
    train = ["model.diffusion_model.*", "audio_encoder.*"]
    [optimiser]
    rate = 1e-3
"#;

#[test]
fn a_killed_run_goes_on_with_the_same_losses() {
    let recipe = recipe(SHORT);
    let folder = tempfile::tempdir().unwrap();
    let (whole, result) = run(&recipe, Some(&folder.path().join("whole")), None);
    result.unwrap();
    let cut = folder.path().join("cut");
    // Stopped by hand after step 5, which writes a checkpoint.
    let (first, result) = run(&recipe, Some(&cut), Some(5));
    assert!(matches!(result, Err(TrainError::Stopped { step: 5 })));
    // Killed: what came after the checkpoint of step 3 is lost, and half a log line is there.
    std::fs::remove_dir_all(cut.join("step-00000005")).unwrap();
    let log = cut.join("log.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, &text[..text.len() - 20]).unwrap();
    let (second, result) = run(&recipe, Some(&cut), None);
    result.unwrap();
    assert_eq!(first.steps, whole.steps[..5]);
    assert_eq!(second.steps, whole.steps[3..]);
    let lines = |name: &str| Journal::read(&cut.with_file_name(name).join("log.jsonl")).unwrap();
    assert_eq!(lines("cut"), lines("whole"));
    for file in ["trained", "average", "optimiser"] {
        let read = |name: &str| {
            let path = format!("{name}/step-00000008/{file}.safetensors");
            std::fs::read(folder.path().join(path)).unwrap()
        };
        assert_eq!(read("cut"), read("whole"), "{file}");
    }
    assert!(cut.join("train.png").exists() && cut.join("tensorboard").exists());
    // Another recipe does not take over these checkpoints.
    let other = Recipe { seed: 4, ..recipe };
    let (_, result) = run(&other, Some(&cut), None);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("the recipe has changed")
    );
}

#[test]
fn blocks_that_are_run_again_learn_the_same() {
    let (kept, result) = run(&recipe(SHORT), None, None);
    result.unwrap();
    let text = SHORT.replace("[model]", "[model]\ncheckpoint_blocks = true");
    let (again, result) = run(&recipe(&text), None, None);
    result.unwrap();
    // Gradients are added in another order.
    for (a, b) in again.steps.iter().zip(&kept.steps) {
        let (again, kept) = (&again.steps, &kept.steps);
        assert!((a / b - 1.0).abs() < 1e-4, "{again:?} {kept:?}");
    }
}

#[test]
fn low_rank_additions_leave_the_rest_alone() {
    let recipe = recipe(
        r#"
        steps = 3
        batch = { samples = 2, latents = [3] }
        log = { validate_every = 0 }
        [model]
        config = "in memory"
        # The output starts at zero: without it, nothing before it has a gradient.
        train = ["*.audio_attn.*", "*.proj_out.*"]
        lora = { rank = 2, alpha = 2.0, targets = ["*.attn1.to_*", "*.ff.net.*"] }
        [optimiser]
        rate = 1e-3
        "#,
    );
    // Dense attention, as the published weights have it.
    let mut stage = stage_of(&recipe, &config(false));
    let before = stage.parameters().frozen_digest().unwrap();
    let values = |p: &Parameters, name: &str| {
        p.trained()[name]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let up = "model.diffusion_model.transformer_blocks.1.attn1.to_q.lora_B.weight";
    assert!(values(stage.parameters(), up).iter().all(|v| *v == 0.0));
    let first = stage.parameters().clone();
    let mut ranks = Ranks::alone();
    Run::start(&recipe, &mut stage, &mut ranks, None)
        .unwrap()
        .finish(&mut Unwatched)
        .unwrap();
    assert_eq!(stage.parameters().frozen_digest().unwrap(), before);
    assert!(values(stage.parameters(), up).iter().any(|v| *v != 0.0));
    // Everything that is trained is an audio layer or an addition.
    let meant = ["audio_attn", "proj_out", ".lora_"];
    assert!(
        first
            .trained()
            .keys()
            .all(|n| meant.iter().any(|m| n.contains(m)))
    );
}

#[test]
fn two_ranks_move_as_one_with_the_doubled_batch() {
    let text = |samples: usize| {
        format!(
            r#"
            steps = 4
            batch = {{ samples = {samples}, latents = [3] }}
            conditions = {{ audio = 1.0, first_frame = 0.0, video = 1.0, identity = 1.0 }}
            log = {{ validate_every = 0 }}
            [model]
            config = "in memory"
            train = ["model.diffusion_model.*", "audio_encoder.*"]
            freeze = ["audio_encoder.mouth.*"]
            [optimiser]
            rate = 1e-3
            "#
        )
    };
    let (alone, result) = run(&recipe(&text(4)), None, None);
    result.unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let rank = move |rank: usize, text: String| {
        let recipe = recipe(&text);
        let mut stage = stage(&recipe);
        let meeting = Meeting {
            rank,
            world: 2,
            address: format!("127.0.0.1:{port}"),
        };
        let mut ranks = Ranks::meet(&meeting, &recipe.key().unwrap()).unwrap();
        let mut watcher = Losses::default();
        Run::start(&recipe, &mut stage, &mut ranks, None)
            .unwrap()
            .finish(&mut watcher)
            .unwrap();
        watcher.steps
    };
    let other = {
        let text = text(2);
        std::thread::spawn(move || rank(1, text))
    };
    let first = rank(0, text(2));
    assert_eq!(first, other.join().unwrap());
    for (step, (two, one)) in first.iter().zip(&alone.steps).enumerate() {
        assert!(
            (two / one - 1.0).abs() < 1e-4,
            "step {step}: {two} and {one}"
        );
    }
}

#[test]
fn half_precision_sees_the_same_losses() {
    let text = |dtype: &str| {
        format!(
            r#"
            steps = 5
            batch = {{ samples = 4, copies = 2, latents = [4] }}
            log = {{ validate_every = 0 }}
            [model]
            config = "in memory"
            dtype = "{dtype}"
            train = ["model.diffusion_model.*", "audio_encoder.*"]
            freeze = ["audio_encoder.mouth.*"]
            [optimiser]
            rate = 3e-3
            muon_rate = 0.02
            muon_scale = "like-adamw"
            "#
        )
    };
    let (whole, result) = run(&recipe(&text("f32")), None, None);
    result.unwrap();
    let (half, result) = run(&recipe(&text("bf16")), None, None);
    result.unwrap();
    for (a, b) in half.steps.iter().zip(&whole.steps) {
        assert!(
            (a / b - 1.0).abs() < 0.03,
            "{:?} {:?}",
            half.steps,
            whole.steps
        );
    }
}

#[test]
fn features_are_moved_to_what_the_picture_shows() {
    let file = init::fresh(&config(true), 3, 5).unwrap();
    let network = Network::of_file(&file, DType::F32).unwrap();
    let library = Library {
        train: (0..4).map(|n| clip(n, &network.cells)).collect(),
        held_out: Vec::new(),
        cells: network.cells.clone(),
    };
    let options = TeacherRecipe {
        shape: 2,
        ridge: 1e-3,
        ..TeacherRecipe::default()
    };
    let teacher = Teacher::fit(&library, &network.encoder, &options).unwrap();
    let clip = &library.train[1];
    let frames = clip.mel.len() / 80;
    let mel = Tensor::from_slice(&clip.mel, (1, frames, 80), &Device::Cpu).unwrap();
    let features = network.encoder.forward(&mel).unwrap().squeeze(0).unwrap();
    let truth = teacher.truth(clip, None).unwrap();
    assert_eq!(truth.dim(0).unwrap(), features.dim(0).unwrap());
    let apart = |features: &Tensor| {
        let said = teacher.read(features).unwrap();
        let truth = truth.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let squares = said.iter().zip(&truth).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f32>() / truth.len() as f32
    };
    let moved = teacher.moved(&features, &truth).unwrap();
    // The way back is damped a little, so a rest remains.
    assert!(
        apart(&moved) < 0.05 * apart(&features).max(0.02),
        "{} of {}",
        apart(&moved),
        apart(&features)
    );
    let mut draw = Draw::new(1, Purpose::Augment, 0, 0);
    let noisy = teacher.truth(clip, Some(&mut draw)).unwrap();
    let off = (noisy - &truth).unwrap().sqr().unwrap().mean_all().unwrap();
    let off = off.to_scalar::<f32>().unwrap().sqrt();
    assert!(off > 0.15 && off < 0.6, "{off}");
}

#[test]
fn a_model_that_sees_a_mouth_learns_from_counterparts() {
    let mut config = config(true);
    config["edit_yourself"]["recorded_context"] = true.into();
    config["edit_yourself"]["context_cells"] =
        serde_json::json!({"rows": [4, 8], "columns": [1, 7]});
    let recipe = recipe(
        r#"
        steps = 6
        batch = { samples = 4, copies = 2, latents = [4] }
        conditions = { audio = 1.0, first_frame = 0.0, video = 1.0, identity = 1.0 }
        log = { validate_every = 6, validate = 2 }
        [model]
        config = "in memory"
        train = ["model.diffusion_model.*"]
        [optimiser]
        rate = 3e-3
        muon_rate = 0.02
        muon_scale = "like-adamw"
        [objective]
        readout = 0.3
        references = "alike"
        reader = { ridge = 10.0, shape = 1 }
        estimate = { floor = 0.1 }
        teacher = { shape = 2, ridge = 1.0 }
        "#,
    );
    let file = init::fresh(&config, 3, 5).unwrap();
    let parameters = Parameters::of_file(&file, &recipe.model.train, &recipe.model.freeze).unwrap();
    let network =
        Network::of_parameters(&parameters, &parameters.tracked(), None, DType::F32).unwrap();
    // The lower half of the grid without its outer columns, less the mouth.
    assert_eq!(network.cells.context.len(), 4 * 6 - 12);
    let mut train: Vec<ClipLatents> = (0..4).map(|n| clip(n, &network.cells)).collect();
    // Each is shown the latents of a later moment.
    for clip in &mut train {
        let order: Vec<u32> = (0..8).map(|n| (n + 3) % 8).collect();
        let order = Tensor::new(order, &Device::Cpu).unwrap();
        clip.shown = vec![clip.clean.index_select(&order, 0).unwrap()];
    }
    let library = Library {
        train,
        held_out: Vec::new(),
        cells: network.cells,
    };
    let mut stage = EditYourselfStage::new(recipe.clone(), parameters, library).unwrap();
    let mut ranks = Ranks::alone();
    let mut watcher = Losses::default();
    Run::start(&recipe, &mut stage, &mut ranks, None)
        .unwrap()
        .finish(&mut watcher)
        .unwrap();
    assert!(watcher.steps.iter().all(|loss| loss.is_finite()));
    let measures = &watcher.validations[0].measures;
    for group in ["training", "training/recorded", "training/taught"] {
        for name in ["own", "leak", "follow"] {
            assert!(
                measures.contains_key(&format!("{group}/{name}")),
                "{measures:?}"
            );
        }
    }
    // The encoder that is taught past has to stand still.
    let text = recipe
        .text()
        .unwrap()
        .replace("\"model.diffusion_model.*\"", "\"audio_encoder.*\"");
    let moving = Recipe::parse("moving", &text).unwrap();
    let parameters = Parameters::of_file(&file, &moving.model.train, &moving.model.freeze).unwrap();
    let library = Library {
        train: vec![],
        held_out: vec![],
        cells: Network::of_file(&file, DType::F32).unwrap().cells,
    };
    let reader = train::recipe::Objective {
        readout: 0.0,
        ..moving.objective.clone()
    };
    let moving = Recipe {
        objective: reader,
        ..moving
    };
    let error = EditYourselfStage::new(moving, parameters, library).unwrap_err();
    assert!(error.to_string().contains("stays as it is"), "{error}");
}
