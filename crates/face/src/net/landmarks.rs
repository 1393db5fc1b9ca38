//! The face mesh: MediaPipe's landmark model (without attention), 192x192 to 468 points.
//!
//! Source: `mediapipe/modules/face_landmark/face_landmark.tflite` (Apache-2.0), as shipped in the
//! Python package `mediapipe` 0.10.21. A shared trunk down to 6x6, then one head for the mesh and
//! one for the presence of a face.

use super::layers::{Activation, Dense, Separable, check_chain};
use super::map::Map;
use super::weights::{Weights, WeightsError};

/// How much each block of the trunk shrinks its map.
const TRUNK: [usize; 14] = [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1];
const MESH: [usize; 3] = [2, 1, 1];
const PRESENCE: [usize; 1] = [2];
/// Side of the input picture in pixels.
pub(crate) const INPUT: usize = 192;
/// Points of the mesh.
pub(crate) const POINTS: usize = 468;

/// A separable convolution added to its input: `prelu(x + pw(dw(x)))`, the skip pooled and
/// zero-extended where shapes change.
struct Block {
    depthwise: Separable,
    pointwise: Dense,
    stride: usize,
}

impl Block {
    fn read(weights: &Weights, name: &str, stride: usize) -> Result<Self, WeightsError> {
        let pointwise = format!("{name}.pointwise");
        let block = Self {
            depthwise: Separable::read(weights, &format!("{name}.depthwise"), stride)?,
            pointwise: Dense::read(weights, &pointwise, 2, Activation::Prelu, name)?,
            stride,
        };
        let (given, taken) = (block.depthwise.channels(), block.pointwise.input_channels());
        check_chain(weights, &pointwise, given, taken)?;
        Ok(block)
    }

    fn run(&self, input: &Map) -> Map {
        let inner = self.depthwise.run(input);
        if self.stride == 2 {
            self.pointwise.run(&inner, Some(&input.pooled()))
        } else {
            self.pointwise.run(&inner, Some(input))
        }
    }
}

/// Blocks, a bottleneck, one more block, and a convolution as large as what is left (3x3).
struct Head {
    blocks: Vec<Block>,
    narrow: Dense,
    last: Block,
    out: Dense,
}

impl Head {
    fn read(
        weights: &Weights,
        name: &str,
        strides: &[usize],
        channels: usize,
    ) -> Result<Self, WeightsError> {
        let blocks = chain(weights, name, strides, channels)?;
        let narrow = format!("{name}.narrow");
        let out = format!("{name}.out");
        let head = Self {
            narrow: Dense::read(weights, &narrow, 2, Activation::Prelu, &narrow)?,
            last: Block::read(weights, &format!("{name}.last"), 1)?,
            out: Dense::read(weights, &out, 4, Activation::None, "")?,
            blocks,
        };
        let width = head.last.pointwise.output_channels();
        check_chain(weights, &narrow, channels, head.narrow.input_channels())?;
        check_chain(
            weights,
            &narrow,
            head.narrow.output_channels(),
            head.last.depthwise.channels(),
        )?;
        check_chain(weights, &out, 9 * width, head.out.input_channels())?;
        Ok(head)
    }

    fn run(&self, trunk: &Map) -> Vec<f32> {
        let mut map = trunk.clone();
        for block in &self.blocks {
            map = block.run(&map);
        }
        let map = self.last.run(&self.narrow.run(&map, None));
        self.out.run_whole(&map)
    }
}

/// Blocks `NAME.0`, `NAME.1`, … that pass `channels` channels on (or widen them).
fn chain(
    weights: &Weights,
    name: &str,
    strides: &[usize],
    mut channels: usize,
) -> Result<Vec<Block>, WeightsError> {
    let mut blocks = Vec::with_capacity(strides.len());
    for (i, &stride) in strides.iter().enumerate() {
        let name = format!("{name}.{i}");
        let block = Block::read(weights, &name, stride)?;
        check_chain(weights, &name, channels, block.depthwise.channels())?;
        channels = block.pointwise.output_channels();
        blocks.push(block);
    }
    Ok(blocks)
}

/// The network.
pub(crate) struct LandmarkNet {
    stem: Dense,
    trunk: Vec<Block>,
    mesh: Head,
    presence: Head,
}

/// What the two heads say.
pub(crate) struct RawLandmarks {
    /// x, y (input pixels) and z (same scale, smaller is nearer) of each point.
    pub(crate) points: Vec<[f32; 3]>,
    /// Logit of a face being there.
    pub(crate) presence: f32,
}

impl LandmarkNet {
    /// Builds it from a safetensors file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let w = Weights::parse("the face mesh", bytes)?;
        let stem =
            Dense::read(&w, "stem", 4, Activation::Prelu, "stem")?.expect_inputs(&w, "stem", 27)?;
        let trunk = chain(&w, "trunk", &TRUNK, stem.output_channels())?;
        let channels = trunk
            .last()
            .map_or(0, |block| block.pointwise.output_channels());
        let net = Self {
            mesh: Head::read(&w, "mesh", &MESH, channels)?,
            presence: Head::read(&w, "presence", &PRESENCE, channels)?,
            stem,
            trunk,
        };
        let outputs = net.mesh.out.output_channels();
        check_chain(&w, "mesh.out", super::map::padded(3 * POINTS), outputs)?;
        Ok(net)
    }

    /// Runs it on a picture `[192, 192, 3]` in 0..1.
    pub(crate) fn run(&self, picture: &[f32]) -> RawLandmarks {
        let mut map = self.stem.run_stem(picture, INPUT, INPUT);
        for block in &self.trunk {
            map = block.run(&map);
        }
        let mut points = self.mesh.run(&map).as_chunks().0.to_vec();
        points.truncate(POINTS);
        RawLandmarks {
            points,
            presence: self.presence.run(&map).first().copied().unwrap_or(f32::MIN),
        }
    }
}
