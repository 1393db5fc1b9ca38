//! Whole denoises of LTX-Video against diffusers' network and scheduler under LTX-Video's
//! guidance (`tools/parity/pipeline.py`), given the same noise.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use diffusion::{CacheConfig, Guidance, GuidanceSchedule, Pass, Schedule, StgMode};
use methods::ltx_video::{BranchCaches, Denoise, Known, second_pass};
use models::lora::LoraStack;
use models::ltx::rope::{grid_positions, latent_seconds};
use models::ltx::vae::Stage;
use models::ltx::{
    Caption, Rope, Transformer, TransformerConfig, Upsampler, UpsamplerConfig, Vae, VaeConfig,
};
use models::{ModelFile, TensorShapes};
use nn::weights::KeyMap;

struct Fixture {
    file: ModelFile,
    transformer: Transformer,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A run of a drawn fixture, as its header tells it.
#[derive(serde::Deserialize)]
struct Run {
    name: String,
    sigmas: Vec<f64>,
    lists: Vec<Entry>,
    star: bool,
    mode: String,
    /// Tokens in front that are there to be looked at only.
    #[serde(default)]
    extra: usize,
}

/// First timestep, scale, perturbed scale, rescale, perturbed blocks.
type Entry = (f64, f64, f64, f64, Vec<usize>);

impl Run {
    fn pass(&self) -> Pass {
        let mode = StgMode::named(&self.mode).unwrap();
        guided(
            &self.lists,
            self.star,
            mode,
            Schedule::List(self.sigmas.clone()),
        )
    }
}

/// A pass with these lists.
fn guided(lists: &[Entry], star: bool, mode: StgMode, schedule: Schedule) -> Pass {
    let entries = lists.iter().map(|entry| Guidance {
        scale: entry.1,
        star,
        perturbed: entry.2,
        rescale: entry.3,
    });
    Pass {
        guidance: GuidanceSchedule {
            timesteps: lists.iter().map(|entry| entry.0).collect(),
            entries: entries.collect(),
        },
        skip_blocks: lists.iter().map(|entry| entry.4.clone()).collect(),
        mode,
        ..Pass::plain(schedule)
    }
}

impl Fixture {
    fn open() -> Self {
        Self::of(&fixtures().join("pipeline.safetensors"))
    }

    fn of(path: &Path) -> Self {
        let file = ModelFile::open(path).unwrap();
        let config = TransformerConfig::from_json(&file.config().unwrap()).unwrap();
        let weights = file
            .renamed(&KeyMap::new().prefix("transformer.", ""))
            .unwrap();
        let transformer = Transformer::load(&weights, &config, DType::F32, &Device::Cpu).unwrap();
        Self { file, transformer }
    }

    fn get(&self, name: &str) -> Tensor {
        let view = self.file.view(DType::F32, &Device::Cpu).unwrap();
        view.get_any(name).unwrap()
    }

    fn caption(&self, name: &str) -> Caption {
        let mask = self.get("in.mask");
        self.transformer
            .caption(&self.get(name), Some(&mask))
            .unwrap()
    }

    fn rope(&self, frames: i64, rows: usize, columns: usize) -> Rope {
        let seconds: Vec<f64> = (0..frames)
            .map(|n| latent_seconds(n, 8, 24.0, true))
            .collect();
        self.transformer
            .rope(&grid_positions(&seconds, rows, columns, 32))
            .unwrap()
    }

    /// The lists of the fixture's header.
    fn pass(&self, mode: StgMode, skip_initial: usize) -> Pass {
        let lists: Vec<Entry> = serde_json::from_str(self.file.metadata("lists").unwrap()).unwrap();
        Pass {
            skip_initial,
            ..guided(&lists, true, mode, Schedule::linear_quadratic(8))
        }
    }
}

/// `[B, C, f, h, w]` to `[B, N, C]`.
fn tokens(latents: &Tensor) -> Tensor {
    let flat = latents.flatten_from(2).unwrap();
    flat.transpose(1, 2).unwrap().contiguous().unwrap()
}

fn error(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let norm = |t: &Tensor| {
        let sum = t.sqr().unwrap().sum_all().unwrap();
        f64::from(sum.to_scalar::<f32>().unwrap()).sqrt()
    };
    norm(&(a - b).unwrap()) / norm(b)
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    flat.into_iter().map(f32::to_bits).collect()
}

#[test]
fn verify_trajectories_in_all_skip_modes() {
    let fixture = Fixture::open();
    let (positive, negative) = (
        fixture.caption("in.caption"),
        fixture.caption("in.negative"),
    );
    let rope = fixture.rope(2, 2, 3);
    let start = tokens(&fixture.get("in.noise"));
    let mut results = Vec::new();
    for (mode, name) in [
        (StgMode::AttentionValues, "attention_values"),
        (StgMode::AttentionSkip, "attention_skip"),
        (StgMode::Residual, "residual"),
        (StgMode::TransformerBlock, "transformer_block"),
    ] {
        assert_eq!(StgMode::named(name), Some(mode));
        let pass = fixture.pass(mode, 0);
        let denoise = Denoise {
            transformer: &fixture.transformer,
            rope: &rope,
            positive: &positive,
            negative: Some(&negative),
            pass: &pass,
            known: None,
            sound: None,
        };
        let found = denoise.run(&start, None).unwrap();
        let error = error(&found, &fixture.get(&format!("out.{name}")));
        println!("{name}: {error:.1e}");
        assert!(error < 1e-3, "{name}: {error}");
        results.push(bits(&found));
    }
    results.dedup();
    assert_eq!(results.len(), 4, "the modes differ");
}

/// Drawn networks, grids and guidance: those of the repository, and of the folder that
/// `REWORD_PIPELINES` names.
#[test]
fn verify_drawn_trajectories() {
    let mut folders = vec![fixtures()];
    folders.extend(std::env::var_os("REWORD_PIPELINES").map(PathBuf::from));
    let mut runs = 0;
    for folder in folders {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("pipeline_") && name.ends_with(".safetensors")
            })
            .collect();
        paths.sort();
        for path in paths {
            let fixture = Fixture::of(&path);
            let list = fixture.file.metadata("runs").unwrap();
            for run in serde_json::from_str::<Vec<Run>>(list).unwrap() {
                let error = drawn(&fixture, &run);
                println!("{} {}: {error:.1e}", path.display(), run.name);
                assert!(error < 1e-3, "{} {}: {error}", path.display(), run.name);
                runs += 1;
            }
        }
    }
    assert!(runs >= 4, "{runs} runs");
}

/// The relative error of a drawn run.
fn drawn(fixture: &Fixture, run: &Run) -> f64 {
    let named = |part: &str| format!("in.{}.{part}", run.name);
    let start = fixture.get(&named("start"));
    // What is kept stands in its place already.
    let known = fixture
        .file
        .shapes()
        .contains_key(&named("strength"))
        .then(|| {
            let strength = fixture.get(&named("strength")).flatten_all().unwrap();
            let strength = strength.to_vec1::<f32>().unwrap();
            Known {
                latents: start.clone(),
                strength: strength.into_iter().map(f64::from).collect(),
            }
        });
    let pass = run.pass();
    assert_eq!(pass.times().unwrap().len(), 8);
    let coords = fixture.get(&named("coords"));
    let denoise = Denoise {
        transformer: &fixture.transformer,
        rope: &Rope::of_coords(fixture.transformer.config(), &coords).unwrap(),
        positive: &fixture.caption("in.caption"),
        negative: Some(&fixture.caption("in.negative")),
        pass: &pass,
        known: known.as_ref(),
        sound: None,
    };
    let found = denoise.run(&start, None).unwrap();
    let made = found.dim(1).unwrap() - run.extra;
    let found = found.narrow(1, run.extra, made).unwrap();
    error(&found, &fixture.get(&format!("out.{}", run.name)))
}

/// An autoencoder that is there for its statistics.
fn statistics(fixture: &Fixture) -> Vae {
    let config = VaeConfig {
        latent_channels: 4,
        encoder_base_channels: 2,
        decoder_base_channels: 2,
        patch_size: 1,
        encoder_blocks: vec![Stage::Residual { layers: 0 }],
        decoder_blocks: vec![Stage::Residual { layers: 0 }],
        timestep_conditioning: false,
        ..VaeConfig::ltx()
    };
    let shapes: TensorShapes = config.shapes();
    let mut tensors: BTreeMap<String, Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let tensor = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect();
    for (name, stored) in [("mean-of-means", "in.mean"), ("std-of-means", "in.std")] {
        tensors.insert(
            format!("per_channel_statistics.{name}"),
            fixture.get(stored),
        );
    }
    let file = ModelFile::from_tensors("statistics", tensors, BTreeMap::new());
    Vae::load(&file, &config, DType::F32, &Device::Cpu).unwrap()
}

#[test]
fn verify_second_pass_parity() {
    let fixture = Fixture::open();
    let json = serde_json::from_str(fixture.file.metadata("upsampler").unwrap()).unwrap();
    let weights = fixture
        .file
        .renamed(&KeyMap::new().prefix("upsampler.", ""))
        .unwrap();
    let config = UpsamplerConfig::from_json(&json).unwrap();
    let upsampler = Upsampler::load(&weights, &config, &Device::Cpu).unwrap();
    let first = fixture.get("out.attention_values");
    let first = first
        .transpose(1, 2)
        .unwrap()
        .reshape((1, 4, 2, 2, 3))
        .unwrap();
    let pass = fixture.pass(StgMode::AttentionValues, 5);
    let second = second_pass(&first, &statistics(&fixture), &upsampler, &pass, |shape| {
        assert_eq!(shape, [1, 4, 2, 4, 6]);
        Ok(fixture.get("in.second"))
    })
    .unwrap();
    let upsampled = error(&second.latents, &fixture.get("out.upsampled"));
    assert!(upsampled < 1e-4, "{upsampled}");
    let denoise = Denoise {
        transformer: &fixture.transformer,
        rope: &fixture.rope(2, 4, 6),
        positive: &fixture.caption("in.caption"),
        negative: Some(&fixture.caption("in.negative")),
        pass: &pass,
        known: None,
        sound: None,
    };
    let found = denoise.run(&tokens(&second.start), None).unwrap();
    let error = error(&found, &fixture.get("out.second"));
    println!("upsampled {upsampled:.1e}, second pass {error:.1e}");
    assert!(error < 1e-3, "{error}");
}

#[test]
fn a_cache_with_threshold_zero_changes_nothing_and_a_larger_one_spares_steps() {
    let fixture = Fixture::open();
    let pass = fixture.pass(StgMode::AttentionValues, 0);
    let denoise = Denoise {
        transformer: &fixture.transformer,
        rope: &fixture.rope(2, 2, 3),
        positive: &fixture.caption("in.caption"),
        negative: Some(&fixture.caption("in.negative")),
        pass: &pass,
        known: None,
        sound: None,
    };
    let start = tokens(&fixture.get("in.noise"));
    let plain = denoise.run(&start, None).unwrap();
    let with = |threshold: f64| {
        let config = CacheConfig {
            coefficients: vec![1.0, 0.0],
            threshold,
        };
        let mut caches = BranchCaches::new(&config, 8);
        let found = denoise.run(&start, Some(&mut caches)).unwrap();
        (found, caches.reused())
    };
    let (off, reused) = with(0.0);
    assert_eq!((bits(&off), reused), (bits(&plain), 0));
    let (loose, reused) = with(0.2);
    assert!(reused > 0);
    let moved = error(&loose, &plain);
    assert!(moved > 0.0 && moved < 0.5, "{moved}");
}

#[test]
fn known_tokens_stay_and_others_are_made() {
    let fixture = Fixture::open();
    let pass = Pass::plain(Schedule::linear_quadratic(8));
    let rope = fixture.rope(2, 2, 3);
    let caption = fixture.caption("in.caption");
    let start = tokens(&fixture.get("in.noise"));
    let clean = (tokens(&fixture.get("in.noise")) * 0.3).unwrap();
    let run = |strength: Option<Vec<f64>>| {
        let known = strength.map(|strength| Known {
            latents: clean.clone(),
            strength,
        });
        let denoise = Denoise {
            transformer: &fixture.transformer,
            rope: &rope,
            positive: &caption,
            negative: None,
            pass: &pass,
            known: known.as_ref(),
            sound: None,
        };
        denoise.run(&start, None).unwrap()
    };
    let plain = run(None);
    // The same up to the timesteps' way through the network.
    assert!(error(&run(Some(vec![0.0; 12])), &plain) < 1e-6);
    let mut strength = vec![0.0; 12];
    for token in [0, 1, 2, 3, 4, 5] {
        strength[token] = 1.0;
    }
    strength[7] = 0.5;
    let made = run(Some(strength));
    let part = |t: &Tensor, from: usize| bits(&t.narrow(1, from, 6).unwrap().contiguous().unwrap());
    assert_eq!(part(&made, 0), part(&clean, 0));
    assert_ne!(part(&made, 6), part(&plain, 6));
    let all = run(Some(vec![1.0; 12]));
    assert_eq!(bits(&all), bits(&clean));
}

#[test]
fn a_run_without_adapters_is_a_plain_run() {
    let fixture = Fixture::open();
    let pass = Pass::plain(Schedule::linear_quadratic(8)).from_strength(0.9);
    assert_eq!(pass.times().unwrap().len(), 2);
    let denoise = Denoise {
        transformer: &fixture.transformer,
        rope: &fixture.rope(2, 2, 3),
        positive: &fixture.caption("in.caption"),
        negative: None,
        pass: &pass,
        known: None,
        sound: None,
    };
    let start = tokens(&fixture.get("in.noise"));
    let plain = denoise.run(&start, None).unwrap();
    let found = denoise
        .run_with_loras(&start, &mut LoraStack::default())
        .unwrap();
    assert_eq!(bits(&found), bits(&plain));
}
