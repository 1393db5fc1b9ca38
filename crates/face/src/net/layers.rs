//! Layers: parameters of one convolution each, and how they are read.

use super::kernels::{Depthwise, Product};
use super::map::{LANES, Map, padded};
use super::weights::{Weights, WeightsError};

/// What follows a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0) + slope * min(x, 0)` with the learned slope of `NAME.slope`.
    Prelu,
}

/// A convolution of one tap, or of all taps at once: a matrix product over positions.
pub(crate) struct Dense {
    inputs: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    slope: Vec<f32>,
}

impl Dense {
    /// Reads `NAME.weight` (`[inputs, outputs]`, or `[kh, kw, inputs, outputs]` at rank 4) and
    /// `NAME.bias`; for [`Activation::Prelu`] the slope of `slope_name`.
    pub(crate) fn read(
        weights: &Weights,
        name: &str,
        rank: usize,
        activation: Activation,
        slope_name: &str,
    ) -> Result<Self, WeightsError> {
        let (weight, inputs) = weights.rows(&format!("{name}.weight"), rank)?;
        let (bias, _) = weights.rows(&format!("{name}.bias"), 1)?;
        let slope = match activation {
            Activation::None => vec![1.0; bias.len()],
            Activation::Relu => vec![0.0; bias.len()],
            Activation::Prelu => weights.rows(&format!("{slope_name}.slope"), 1)?.0,
        };
        if weight.len() != inputs * bias.len() || slope.len() != bias.len() {
            return Err(weights.shape_error(
                name,
                format!(
                    "{inputs} inputs, {} biases, {} slopes",
                    bias.len(),
                    slope.len()
                ),
                "one bias and one slope an output".to_owned(),
            ));
        }
        Ok(Self {
            inputs,
            weight,
            bias,
            slope,
        })
    }

    /// The product at every position, plus `skip` (of at most as many channels), activated.
    pub(crate) fn run(&self, input: &Map, skip: Option<&Map>) -> Map {
        let mut out = Map::to_fill(input.height, input.width, self.bias.len());
        Product {
            input: &input.data,
            stride: input.channels,
            inputs: self.inputs,
            weight: &self.weight,
            bias: &self.bias,
            slope: &self.slope,
            skip: skip.map(|map| (map.data.as_slice(), map.channels)),
            out: &mut out.data,
        }
        .run();
        out
    }

    /// The map's values taken as one row: a convolution as large as the map itself.
    pub(crate) fn run_whole(&self, input: &Map) -> Vec<f32> {
        let mut out = vec![0.0; self.bias.len()];
        Product {
            input: &input.data,
            stride: input.data.len(),
            inputs: self.inputs,
            weight: &self.weight,
            bias: &self.bias,
            slope: &self.slope,
            skip: None,
            out: &mut out,
        }
        .run();
        out
    }

    /// A 3x3 convolution of stride 2 over an RGB picture `[height, width, 3]` of even size, zeros
    /// after the end (the networks' first layer).
    pub(crate) fn run_stem(&self, picture: &[f32], height: usize, width: usize) -> Map {
        let mut out = Map::to_fill(height / 2, width / 2, self.bias.len());
        let row = out.width * out.channels;
        let mut patches = vec![0.0; out.width * self.inputs];
        for (y, target) in out.data.chunks_exact_mut(row).enumerate() {
            for (x, patch) in patches.chunks_exact_mut(self.inputs).enumerate() {
                for (k, taps) in patch.chunks_exact_mut(9).enumerate() {
                    let line = 2 * y + k;
                    let columns = (width - 2 * x).min(3) * 3;
                    taps.fill(0.0);
                    if line < height {
                        let start = (line * width + 2 * x) * 3;
                        taps[..columns].copy_from_slice(&picture[start..start + columns]);
                    }
                }
            }
            Product {
                input: &patches,
                stride: self.inputs,
                inputs: self.inputs,
                weight: &self.weight,
                bias: &self.bias,
                slope: &self.slope,
                skip: None,
                out: target,
            }
            .run();
        }
        out
    }

    /// Checks the number of inputs, which the code that follows relies on.
    pub(crate) fn expect_inputs(
        self,
        weights: &Weights,
        name: &str,
        inputs: usize,
    ) -> Result<Self, WeightsError> {
        if self.inputs == inputs {
            return Ok(self);
        }
        let found = format!("{} inputs", self.inputs);
        Err(weights.shape_error(name, found, format!("{inputs} inputs")))
    }

    /// Channels of the input map that it takes, rounded up as maps are.
    pub(crate) fn input_channels(&self) -> usize {
        padded(self.inputs)
    }

    /// Channels of the result, rounded up as maps are.
    pub(crate) fn output_channels(&self) -> usize {
        self.bias.len()
    }
}

/// A 3x3 depthwise convolution without activation.
pub(crate) struct Separable {
    weight: Vec<f32>,
    bias: Vec<f32>,
    stride: usize,
}

impl Separable {
    /// Reads `NAME.weight` `[3, 3, channels]` and `NAME.bias`.
    pub(crate) fn read(weights: &Weights, name: &str, stride: usize) -> Result<Self, WeightsError> {
        let (weight, taps) = weights.rows(&format!("{name}.weight"), 3)?;
        let (bias, _) = weights.rows(&format!("{name}.bias"), 1)?;
        if taps != 9 || weight.len() != 9 * bias.len() || bias.len() % LANES != 0 {
            return Err(weights.shape_error(
                name,
                format!("{taps} taps, {} biases", bias.len()),
                "9 taps and one bias a channel".to_owned(),
            ));
        }
        Ok(Self {
            weight,
            bias,
            stride,
        })
    }

    /// The convolved map, `stride` times smaller.
    pub(crate) fn run(&self, input: &Map) -> Map {
        let mut out = Map::to_fill(
            input.height.div_ceil(self.stride),
            input.width.div_ceil(self.stride),
            input.channels,
        );
        Depthwise {
            input: &input.data,
            height: input.height,
            width: input.width,
            weight: &self.weight,
            bias: &self.bias,
            stride: self.stride,
            out: &mut out.data,
        }
        .run();
        out
    }

    /// Channels that it works on, rounded up as maps are.
    pub(crate) fn channels(&self) -> usize {
        self.bias.len()
    }
}

/// Fails unless a chain's neighbours agree on their channels.
pub(crate) fn check_chain(
    weights: &Weights,
    name: &str,
    given: usize,
    taken: usize,
) -> Result<(), WeightsError> {
    if given == taken {
        return Ok(());
    }
    let found = format!("{taken} channels in");
    Err(weights.shape_error(name, found, format!("{given} channels in")))
}
