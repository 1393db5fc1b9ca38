//! The face detector: MediaPipe's full-range model (dense), 192x192, one anchor a cell of 4x4 px.
//!
//! Source: `mediapipe/modules/face_detection/face_detection_full_range.tflite` (Apache-2.0), as
//! shipped in the npm package `@mediapipe/face_detection`. A trunk of 15 residual blocks down to
//! 6x6, a feature pyramid back up to 48x48, and two heads there.

use super::layers::{Activation, Dense, Separable, check_chain};
use super::map::Map;
use super::weights::{Weights, WeightsError};

/// How much each block of the trunk shrinks its map.
const STRIDES: [usize; 15] = [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1];
/// The trunk's outputs that enter the pyramid, from its top (12x12) to its base (48x48).
const LATERALS: [usize; 3] = [10, 7, 4];
/// Blocks a level of the pyramid.
const LEVEL_BLOCKS: [usize; 3] = [2, 2, 1];
/// Side of the input picture in pixels.
pub(crate) const INPUT: usize = 192;
/// Side of the grid of anchors.
pub(crate) const GRID: usize = 48;

/// Two separable convolutions around a bottleneck, added to the input:
/// `relu(x + pw(dw(relu(pw(dw(x))))))`, the skip pooled and zero-extended where shapes change.
struct Block {
    depthwise: [Separable; 2],
    pointwise: [Dense; 2],
    stride: usize,
}

impl Block {
    fn read(weights: &Weights, name: &str, stride: usize) -> Result<Self, WeightsError> {
        let dense = |i: usize| {
            let name = format!("{name}.pointwise.{i}");
            Dense::read(weights, &name, 2, Activation::Relu, "")
        };
        let block = Self {
            depthwise: [
                Separable::read(weights, &format!("{name}.depthwise.0"), stride)?,
                Separable::read(weights, &format!("{name}.depthwise.1"), 1)?,
            ],
            pointwise: [dense(0)?, dense(1)?],
            stride,
        };
        let [first, second] = &block.depthwise;
        let [narrow, wide] = &block.pointwise;
        check_chain(weights, name, first.channels(), narrow.input_channels())?;
        check_chain(weights, name, narrow.output_channels(), second.channels())?;
        check_chain(weights, name, second.channels(), wide.input_channels())?;
        Ok(block)
    }

    fn run(&self, input: &Map) -> Map {
        let [first, second] = &self.depthwise;
        let [narrow, wide] = &self.pointwise;
        let inner = second.run(&narrow.run(&first.run(input), None));
        if self.stride == 2 {
            wide.run(&inner, Some(&input.pooled()))
        } else {
            wide.run(&inner, Some(input))
        }
    }
}

struct Level {
    from_above: Dense,
    lateral: Dense,
    blocks: Vec<Block>,
}

/// The network.
pub(crate) struct DetectorNet {
    stem: Dense,
    trunk: Vec<Block>,
    pyramid: Vec<Level>,
    score: Dense,
    boxes: Dense,
}

/// What the heads say about each of the [`GRID`]² anchors.
pub(crate) struct RawDetections {
    /// Logit of a face, one an anchor.
    pub(crate) scores: Vec<f32>,
    /// Centre x, y, width, height, then x, y of six keypoints, in input pixels from the anchor.
    pub(crate) boxes: Vec<[f32; 16]>,
}

impl DetectorNet {
    /// Builds it from a safetensors file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let w = Weights::parse("the face detector", bytes)?;
        let relu = |name: &str| Dense::read(&w, name, 2, Activation::Relu, "");
        let stem =
            Dense::read(&w, "stem", 4, Activation::Relu, "")?.expect_inputs(&w, "stem", 27)?;
        let mut channels = stem.output_channels();
        let mut trunk = Vec::with_capacity(STRIDES.len());
        for (i, stride) in STRIDES.into_iter().enumerate() {
            let block = Block::read(&w, &format!("blocks.{i}"), stride)?;
            check_chain(
                &w,
                &format!("blocks.{i}"),
                channels,
                block.depthwise[0].channels(),
            )?;
            channels = block.pointwise[1].output_channels();
            trunk.push(block);
        }
        let mut pyramid = Vec::new();
        for (level, (blocks, lateral)) in LEVEL_BLOCKS.into_iter().zip(LATERALS).enumerate() {
            let name = format!("pyramid.{level}");
            let part = Level {
                from_above: relu(&format!("{name}.from_above"))?,
                lateral: relu(&format!("{name}.lateral"))?,
                blocks: (0..blocks)
                    .map(|i| Block::read(&w, &format!("{name}.blocks.{i}"), 1))
                    .collect::<Result<_, _>>()?,
            };
            let side = trunk
                .get(lateral)
                .map_or(0, |block| block.pointwise[1].output_channels());
            check_chain(&w, &name, channels, part.from_above.input_channels())?;
            check_chain(&w, &name, side, part.lateral.input_channels())?;
            channels = part.from_above.output_channels();
            check_chain(&w, &name, channels, part.lateral.output_channels())?;
            for block in &part.blocks {
                check_chain(&w, &name, channels, block.depthwise[0].channels())?;
                check_chain(&w, &name, channels, block.pointwise[1].output_channels())?;
            }
            pyramid.push(part);
        }
        let head = |name: &str| Dense::read(&w, name, 2, Activation::None, "");
        let (score, boxes) = (head("score")?, head("box")?);
        check_chain(&w, "score", channels, score.input_channels())?;
        check_chain(&w, "box", channels, boxes.input_channels())?;
        check_chain(&w, "box", 16, boxes.output_channels())?;
        Ok(Self {
            stem,
            trunk,
            pyramid,
            score,
            boxes,
        })
    }

    /// Runs it on a picture `[192, 192, 3]` in -1..1.
    pub(crate) fn run(&self, picture: &[f32]) -> RawDetections {
        let mut map = self.stem.run_stem(picture, INPUT, INPUT);
        let mut laterals = Vec::new();
        for (i, block) in self.trunk.iter().enumerate() {
            map = block.run(&map);
            if let Some(level) = LATERALS.iter().position(|&at| at == i) {
                let side = self.pyramid.get(level).map(|l| l.lateral.run(&map, None));
                laterals.extend(side);
            }
        }
        for level in &self.pyramid {
            map = level.from_above.run(&map, None).doubled();
            if let Some(side) = laterals.pop() {
                map.add(&side);
            }
            for block in &level.blocks {
                map = block.run(&map);
            }
        }
        let scores = self.score.run(&map, None);
        let boxes = self.boxes.run(&map, None);
        RawDetections {
            scores: scores
                .data
                .iter()
                .step_by(scores.channels)
                .copied()
                .collect(),
            boxes: boxes.data.as_chunks().0.to_vec(),
        }
    }
}
