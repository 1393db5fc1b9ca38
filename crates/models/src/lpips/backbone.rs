//! The three image networks of LPIPS, as far as their last tapped stage.

use candle_core::Tensor;
use nn::ops::Conv2dOptions;
use nn::weights::View;

use crate::error::Result;
use crate::vision::ConvNorm2d;
use crate::vision::pool::{Window, max_pool};

/// Which backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LpipsNet {
    /// `AlexNet`, the usual choice for evaluation.
    Alex,
    /// `SqueezeNet` 1.1.
    Squeeze,
    /// VGG 16, the usual choice for losses.
    Vgg,
}

impl LpipsNet {
    /// Its name in file names: `alex`, `squeeze`, `vgg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alex => "alex",
            Self::Squeeze => "squeeze",
            Self::Vgg => "vgg",
        }
    }

    /// Channels of each tapped stage.
    pub fn channels(self) -> &'static [usize] {
        match self {
            Self::Alex => &[64, 192, 384, 256, 256],
            Self::Squeeze => &[64, 128, 256, 384, 384, 512, 512],
            Self::Vgg => &[64, 128, 256, 512, 512],
        }
    }

    /// The layers, by their index in torchvision's `features`.
    fn layers(self) -> Vec<Layer> {
        use Layer::{Conv, Fire, Pool, Tap};
        match self {
            Self::Alex => vec![
                Conv(0, 4, 2),
                Tap,
                Pool(Window::new(3, 2, 0)),
                Conv(3, 1, 2),
                Tap,
                Pool(Window::new(3, 2, 0)),
                Conv(6, 1, 1),
                Tap,
                Conv(8, 1, 1),
                Tap,
                Conv(10, 1, 1),
                Tap,
            ],
            Self::Squeeze => {
                let pool = Pool(Window::ceil(3, 2));
                vec![
                    Conv(0, 2, 0),
                    Tap,
                    pool,
                    Fire(3),
                    Fire(4),
                    Tap,
                    pool,
                    Fire(6),
                    Fire(7),
                    Tap,
                    pool,
                    Fire(9),
                    Tap,
                    Fire(10),
                    Tap,
                    Fire(11),
                    Tap,
                    Fire(12),
                    Tap,
                ]
            }
            Self::Vgg => {
                let mut layers = Vec::new();
                let blocks: [&[usize]; 5] = [
                    &[0, 2],
                    &[5, 7],
                    &[10, 12, 14],
                    &[17, 19, 21],
                    &[24, 26, 28],
                ];
                for (number, block) in blocks.into_iter().enumerate() {
                    if number > 0 {
                        layers.push(Pool(Window::new(2, 2, 0)));
                    }
                    layers.extend(block.iter().map(|index| Conv(*index, 1, 1)));
                    layers.push(Tap);
                }
                layers
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Layer {
    /// Index, stride, padding; with `max(x, 0)`.
    Conv(usize, usize, usize),
    /// `SqueezeNet`'s module: squeeze to few channels, then 1x1 and 3x3 side by side.
    Fire(usize),
    Pool(Window),
    /// A stage that the distance reads.
    Tap,
}

#[derive(Debug, Clone)]
enum Loaded {
    Conv(ConvNorm2d),
    Fire {
        squeeze: ConvNorm2d,
        narrow: ConvNorm2d,
        wide: ConvNorm2d,
    },
    Pool(Window),
    Tap,
}

#[derive(Debug, Clone)]
pub(super) struct Backbone {
    layers: Vec<Loaded>,
}

impl Backbone {
    pub(super) fn load(net: LpipsNet, view: &View) -> Result<Self> {
        let view = view.at("features");
        let layers = net
            .layers()
            .into_iter()
            .map(|layer| {
                Ok(match layer {
                    Layer::Conv(index, stride, padding) => Loaded::Conv(ConvNorm2d::load(
                        &view.at(index),
                        None,
                        Conv2dOptions::new(stride, padding),
                        true,
                    )?),
                    Layer::Fire(index) => {
                        let fire = view.at(index);
                        let part =
                            |name: &str| ConvNorm2d::load_same(&fire.at(name), None, 1, true);
                        Loaded::Fire {
                            squeeze: part("squeeze")?,
                            narrow: part("expand1x1")?,
                            wide: part("expand3x3")?,
                        }
                    }
                    Layer::Pool(window) => Loaded::Pool(window),
                    Layer::Tap => Loaded::Tap,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// The tapped stages of images `[B, 3, H, W]`.
    pub(super) fn stages(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = x.clone();
        let mut stages = Vec::new();
        for layer in &self.layers {
            match layer {
                Loaded::Conv(conv) => x = conv.forward(&x)?,
                Loaded::Fire {
                    squeeze,
                    narrow,
                    wide,
                } => {
                    let squeezed = squeeze.forward(&x)?;
                    x = Tensor::cat(&[narrow.forward(&squeezed)?, wide.forward(&squeezed)?], 1)?;
                }
                Loaded::Pool(window) => x = max_pool(&x, &[*window; 2])?,
                Loaded::Tap => stages.push(x.clone()),
            }
        }
        Ok(stages)
    }
}
