//! A talking head drawn by computer, with exact truth.
//!
//! A person ([`HeadConfig`]) in a [`Scene`] speaks phones with times ([`Phone`]); a
//! [`Clip`] renders any frame and says what is true of it ([`Truth`]). Everything
//! follows from seeds: the same input gives the same picture on the same machine.
//!
//! The face starts from `MediaPipe`'s canonical face and keeps its numbering of points;
//! skull, neck, ears, eyes, teeth, tongue, clothes and hair are built around it. The
//! picture is made by a small rasteriser, in parallel over stripes of rows.

mod background;
mod cage;
mod canonical;
mod clip;
mod config;
mod error;
mod expression;
mod hair;
mod light;
mod model;
mod motion;
mod mouth;
mod noise;
mod occluder;
mod parts;
mod raster;
mod sample;
mod scalp;
mod shade;
mod shape;
mod skin;
mod strands;
mod subdivide;
mod vec;

pub use background::Background;
pub use clip::{Clip, ClipFormat, Scene, Truth};
pub use config::{Clothing, Colour, HairStyle, HeadConfig, HeadShape};
pub use error::SynthError;
pub use light::Lighting;
pub use media::image::Rgb8;
pub use motion::{HeadPose, MotionStyle};
pub use mouth::{MouthShape, Phone};
pub use occluder::Occluder;
pub use sample::{Sample, SampleWord, sample};
