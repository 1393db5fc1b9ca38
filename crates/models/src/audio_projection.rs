//! From audio features to tokens for the cross-attention.
//!
//! EditYourself 3.2: windows by eq. 3, positions by eq. 4, then (our choice, where the
//! paper says projection and pooling by convolutions) a mix of the encoder's outputs, two depthwise
//! convolutions that halve the window, a linear layer and a layer norm.

use candle_core::{DType, Device, Tensor};
use nn::layers::{Conv1d, Linear};
use nn::ops::{self, Conv1dOptions};
use nn::weights::KeyMap;

use crate::error::{ModelError, Result};
use crate::file::{ModelFile, TensorShapes, conv_shapes, linear_shapes};
use crate::ltx::AudioConfig;
use crate::ltx::keys::TRANSFORMER_PREFIX;

const PREFIX: &str = "audio_projection.";
const EPS: f64 = 1e-5;

/// What one feature of a window is interpolated from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tap {
    /// The earlier of two neighbouring features, clamped to the sound.
    pub low: usize,
    /// The later one, clamped to the sound.
    pub high: usize,
    /// Weight of the later one.
    pub weight: f64,
}

/// Eq. 3: the window of `window` features around video frame `frame`, at `feature_rate`
/// features and `frame_rate` frames a second; `count` is how many features there are.
///
/// # Errors
/// When there are none.
pub fn window_taps(
    frame: u64,
    window: usize,
    feature_rate: f64,
    frame_rate: f64,
    count: usize,
) -> Result<Vec<Tap>> {
    let Some(last) = count.checked_sub(1) else {
        return Err(ModelError::input("features", "there are none"));
    };
    let centre = frame as f64 * feature_rate / frame_rate;
    Ok((0..window)
        .map(|n| {
            let u = centre + n as f64 - (window as f64 - 1.0) / 2.0;
            let k = u.floor();
            let clamp = |k: f64| k.clamp(0.0, last as f64) as usize;
            Tap {
                low: clamp(k),
                high: clamp(k + 1.0),
                weight: u - k,
            }
        })
        .collect())
}

/// Windows of many frames: `features` `[L, B, C]` holds features `first..` of `count`;
/// the result is `[frames, W, B, C]`.
///
/// # Errors
/// When a window needs a feature that is not held.
pub fn windows(
    features: &Tensor,
    (first, count): (usize, usize),
    frames: &[u64],
    config: &AudioConfig,
    frame_rate: f64,
) -> Result<Tensor> {
    let (held, states, channels) = features.dims3()?;
    let mut low = Vec::new();
    let mut high = Vec::new();
    let mut weights = Vec::new();
    for frame in frames {
        for tap in window_taps(
            *frame,
            config.window,
            config.feature_rate,
            frame_rate,
            count,
        )? {
            for (index, list) in [(tap.low, &mut low), (tap.high, &mut high)] {
                let local = index.checked_sub(first).filter(|i| *i < held);
                list.push(local.ok_or_else(|| {
                    ModelError::input(
                        "features",
                        format!(
                            "frame {frame} needs feature {index}, held are {first}..{}",
                            first + held
                        ),
                    )
                })? as u32);
            }
            weights.push(tap.weight as f32);
        }
    }
    let taps = weights.len();
    let device = features.device();
    let pick = |list: Vec<u32>| features.index_select(&Tensor::from_vec(list, taps, device)?, 0);
    let weights = Tensor::from_vec(weights, (taps, 1, 1), device)?;
    let (low, high) = (pick(low)?, pick(high)?);
    let mixed = (&low + (high - &low)?.broadcast_mul(&weights)?)?;
    Ok(mixed.reshape((frames.len(), config.window, states, channels))?)
}

/// Features that the windows of frames `first..=last` need, clamped to `count`.
pub fn needed_features(
    (first, last): (u64, u64),
    config: &AudioConfig,
    frame_rate: f64,
    count: usize,
) -> Result<std::ops::Range<usize>> {
    let ends = |frame| window_taps(frame, config.window, config.feature_rate, frame_rate, count);
    let start = ends(first)?.first().map_or(0, |tap| tap.low);
    let end = ends(last)?.last().map_or(0, |tap| tap.high);
    Ok(start..end + 1)
}

/// Names and shapes of the projection's tensors.
pub fn shapes(config: &AudioConfig) -> TensorShapes {
    let (c, d) = (config.channels, config.dim);
    let mut shapes = TensorShapes::new();
    shapes.insert(
        "position".to_owned(),
        vec![config.window, config.hidden_states, c],
    );
    shapes.insert("mix".to_owned(), vec![config.hidden_states]);
    conv_shapes(&mut shapes, "pool.0", &[c, 1, 2]);
    conv_shapes(&mut shapes, "pool.1", &[c, 1, 2]);
    linear_shapes(&mut shapes, "proj", c, d);
    shapes.insert("norm.weight".to_owned(), vec![d]);
    shapes.insert("norm.bias".to_owned(), vec![d]);
    shapes
}

/// The projection, shared by all blocks. Kept in `f32`: it is small.
#[derive(Debug, Clone)]
pub struct AudioProjection {
    config: AudioConfig,
    position: Tensor,
    mix: Tensor,
    pool: [Conv1d; 2],
    proj: Linear,
    norm: (Tensor, Tensor),
}

impl AudioProjection {
    /// Reads the weights from a single file or from one that holds nothing else.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for.
    pub fn load(file: &ModelFile, config: &AudioConfig, device: &Device) -> Result<Self> {
        let prefixes = [format!("{TRANSFORMER_PREFIX}{PREFIX}"), PREFIX.to_owned()];
        let shapes_in_file = file.shapes();
        let keys = prefixes
            .iter()
            .find(|prefix| shapes_in_file.keys().any(|name| name.starts_with(*prefix)))
            .map_or_else(
                || KeyMap::new().keep_others(),
                |prefix| KeyMap::new().prefix(prefix, ""),
            );
        let file = file.renamed(&keys)?;
        file.check(&shapes(config), |_| false)?;
        if config.window == 0 || !config.window.is_multiple_of(4) {
            return Err(ModelError::config(
                "audio projection",
                format!("window is {}, wanted a multiple of 4", config.window),
            ));
        }
        let view = file.view(DType::F32, device)?;
        let (c, d) = (config.channels, config.dim);
        let options = Conv1dOptions {
            stride: 2,
            dilation: 1,
            groups: c,
            padding: (0, 0),
        };
        let pool = |index: usize| Conv1d::load(&view.at("pool").at(index), &[c, 1, 2], options);
        Ok(Self {
            position: view.get((config.window, config.hidden_states, c), "position")?,
            mix: view.get(config.hidden_states, "mix")?,
            pool: [pool(0)?, pool(1)?],
            proj: Linear::load(&view.at("proj"), c, d)?,
            norm: (view.get(d, "norm.weight")?, view.get(d, "norm.bias")?),
            config: config.clone(),
        })
    }

    pub fn config(&self) -> &AudioConfig {
        &self.config
    }

    /// Tokens that one frame becomes.
    pub fn tokens_per_frame(&self) -> usize {
        self.config.window / 4
    }

    /// Windows `[F, W, B, C]` to tokens `[F, W / 4, D_a]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, windows: &Tensor) -> Result<Tensor> {
        let states = self.config.hidden_states;
        let x = windows
            .to_dtype(DType::F32)?
            .broadcast_add(&self.position)?;
        let x = x
            .broadcast_mul(&self.mix.reshape((1, 1, states, 1))?)?
            .sum(2)?;
        let mut x = ops::swap(&x)?;
        for pool in &self.pool {
            x = pool.forward(&x)?;
        }
        let x = self.proj.forward(&ops::swap(&x)?)?;
        let (weight, bias) = &self.norm;
        Ok(ops::layer_norm(&x, Some(weight), Some(bias), EPS)?)
    }
}
