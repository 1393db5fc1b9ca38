//! Windows over latents against plain denoises of the same network and noise.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use diffusion::{
    CacheConfig, ChaChaNoise, Ends, Guidance, GuidanceSchedule, NoiseKey, NoiseSource, Pass,
    Purpose, Schedule, ShiftedWindows, State,
};
use methods::ltx_video::{Beside, Denoise, Grid, Known, LatentMask, Sequence};
use models::ModelFile;
use models::ltx::{Caption, Transformer, TransformerConfig};
use nn::weights::KeyMap;

struct Fixture {
    transformer: Transformer,
    positive: Caption,
    negative: Caption,
}

const GRID: Grid = Grid {
    rows: 2,
    columns: 3,
    spatial_stride: 32,
    temporal_stride: 8,
    first: 0,
    rate: 24.0,
};

impl Fixture {
    fn open() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline.safetensors");
        let file = ModelFile::open(path).unwrap();
        let config = TransformerConfig::from_json(&file.config().unwrap()).unwrap();
        let weights = file
            .renamed(&KeyMap::new().prefix("transformer.", ""))
            .unwrap();
        let transformer = Transformer::load(&weights, &config, DType::F32, &Device::Cpu).unwrap();
        let view = file.view(DType::F32, &Device::Cpu).unwrap();
        let mask = view.get_any("in.mask").unwrap();
        let caption = |name| {
            transformer
                .caption(&view.get_any(name).unwrap(), Some(&mask))
                .unwrap()
        };
        Self {
            positive: caption("in.caption"),
            negative: caption("in.negative"),
            transformer,
        }
    }

    fn noise(&self, seed: u64, latents: usize) -> Tensor {
        let key = NoiseKey {
            purpose: Purpose::Start,
            index: 0,
        };
        let channels = self.transformer.config().in_channels;
        ChaChaNoise::new(seed)
            .normal(key, &[latents, GRID.cells(), channels], &Device::Cpu)
            .unwrap()
    }
}

fn pass() -> Pass {
    Pass {
        guidance: GuidanceSchedule {
            timesteps: vec![1.0, 0.9],
            entries: vec![
                Guidance {
                    scale: 4.0,
                    star: true,
                    perturbed: 1.0,
                    rescale: 0.5,
                },
                Guidance::default(),
            ],
        },
        skip_blocks: vec![vec![1], vec![]],
        ..Pass::plain(Schedule::linear_quadratic(6))
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    flat.into_iter().map(f32::to_bits).collect()
}

struct Case<'a> {
    fixture: &'a Fixture,
    pass: Pass,
    windows: ShiftedWindows,
    known: Vec<bool>,
    masks: Vec<LatentMask>,
    clean: Tensor,
    cache: Option<CacheConfig>,
}

impl<'a> Case<'a> {
    fn new(fixture: &'a Fixture, windows: ShiftedWindows, known: Vec<bool>) -> Self {
        Self {
            fixture,
            pass: pass(),
            windows,
            clean: fixture.noise(7, known.len()),
            masks: known
                .iter()
                .map(|known| {
                    if *known {
                        LatentMask::Known
                    } else {
                        LatentMask::Whole
                    }
                })
                .collect(),
            known,
            cache: None,
        }
    }

    fn sequence(&self) -> Sequence<'_> {
        Sequence {
            transformer: &self.fixture.transformer,
            positive: &self.fixture.positive,
            negative: Some(&self.fixture.negative),
            pass: &self.pass,
            windows: self.windows,
            grid: GRID,
            clean: &self.clean,
            masks: &self.masks,
            beside: Beside::Keyframes,
            faces: None,
            sound: None,
            cache: self.cache.as_ref(),
        }
    }

    fn run(&self) -> Tensor {
        let noise = self.fixture.noise(1, self.known.len());
        self.sequence().run(&noise, None, |_, _| Ok(())).unwrap()
    }

    /// The same tokens through [`Denoise::run`].
    fn plain(&self) -> Tensor {
        let noise = self.fixture.noise(1, self.known.len());
        let (latents, cells, channels) = noise.dims3().unwrap();
        let shape = (1, latents * cells, channels);
        let all: Vec<usize> = (0..latents).collect();
        let transformer = &self.fixture.transformer;
        let causal = transformer.config().causal_temporal_positioning;
        let rope = transformer.rope(&GRID.positions(&all, causal)).unwrap();
        let known = self.known.iter().any(|k| *k).then(|| Known {
            latents: self.clean.reshape(shape).unwrap(),
            strength: self
                .known
                .iter()
                .flat_map(|known| vec![f64::from(u8::from(*known)); cells])
                .collect(),
        });
        let denoise = Denoise {
            transformer,
            rope: &rope,
            positive: &self.fixture.positive,
            negative: Some(&self.fixture.negative),
            pass: &self.pass,
            known: known.as_ref(),
            sound: None,
        };
        denoise
            .run(&noise.reshape(shape).unwrap(), None)
            .unwrap()
            .reshape((latents, cells, channels))
            .unwrap()
    }
}

#[test]
fn one_block_that_stands_still_is_a_plain_denoise() {
    let fixture = Fixture::open();
    for known in [
        vec![false; 3],
        vec![true, false, false],
        vec![true, false, true],
    ] {
        let paper = ShiftedWindows {
            shift: 0,
            ..ShiftedWindows::paper()
        };
        let mut case = Case::new(&fixture, paper, known);
        let wanted = bits(&case.plain());
        assert_eq!(bits(&case.run()), wanted);
        // One block is one block, wherever its partition would move.
        case.windows = ShiftedWindows::paper();
        assert_eq!(bits(&case.run()), wanted);
        case.windows = ShiftedWindows::plain(3);
        assert_eq!(bits(&case.run()), wanted);
        case.cache = Some(CacheConfig {
            coefficients: vec![1.0, 0.0],
            threshold: 0.0,
        });
        assert_eq!(bits(&case.run()), wanted);
    }
}

#[test]
fn known_latents_stay_and_the_others_depend_on_the_windows() {
    let fixture = Fixture::open();
    let windows = |shift, ends| ShiftedWindows {
        width: 3,
        shift,
        ends,
        still: 0.0,
    };
    let known = vec![true, true, false, false, false, false, false, true];
    let mut seen = Vec::new();
    for strategy in [
        windows(0, Ends::Averaged),
        windows(1, Ends::Averaged),
        windows(1, Ends::Circular),
    ] {
        let case = Case::new(&fixture, strategy, known.clone());
        let made = case.run();
        for (latent, known) in known.iter().enumerate() {
            let own = bits(&made.get(latent).unwrap());
            let same = own == bits(&case.clean.get(latent).unwrap());
            assert_eq!(same, *known, "latent {latent}");
        }
        seen.push(bits(&made));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn windows_without_a_known_latent_see_the_nearest_ones() {
    let fixture = Fixture::open();
    // The windows 0..2, 2..4 and 4..6: the middle one holds nothing known.
    let known = vec![true, false, false, false, false, true];
    let mut case = Case::new(&fixture, ShiftedWindows::plain(2), known);
    let middle = |made: &Tensor| bits(&made.narrow(0, 2, 2).unwrap());
    let with = middle(&case.run());
    let noise = fixture.noise(1, 6);
    let alone = Sequence {
        beside: Beside::Nothing,
        ..case.sequence()
    };
    let alone = middle(&alone.run(&noise, None, |_, _| Ok(())).unwrap());
    assert_ne!(with, alone);
    case.clean = (&case.clean * 0.5).unwrap();
    assert_ne!(with, middle(&case.run()));
}

#[test]
fn a_walk_goes_on_from_any_step() {
    let fixture = Fixture::open();
    let windows = ShiftedWindows {
        width: 3,
        shift: 1,
        ..ShiftedWindows::paper()
    };
    let case = Case::new(
        &fixture,
        windows,
        vec![true, false, false, false, false, true],
    );
    let noise = fixture.noise(1, 6);
    let mut states = Vec::new();
    let whole = case
        .sequence()
        .run(&noise, None, |walk, _| {
            states.push(walk.save().to_bytes().unwrap());
            Ok(())
        })
        .unwrap();
    for state in &states {
        let state = State::from_bytes(state).unwrap();
        let resumed = case
            .sequence()
            .run(&noise, Some(&state), |_, _| Ok(()))
            .unwrap();
        assert_eq!(bits(&resumed), bits(&whole));
    }
    assert_eq!(states.len(), 6);
}
