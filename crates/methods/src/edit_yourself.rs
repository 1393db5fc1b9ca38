//! EditYourself (arXiv 2601.22127): new lips for a talking head, from its own video and
//! new sound.
//!
//! [`EditYourself`] holds the networks, [`LipJob`] says what to make, [`EditYourself::run`]
//! makes it block by block: encode the head crops with the mouth filled over, compute the
//! context's keys and values once, denoise the mouth's tokens to the sound, decode the
//! mouth's part of the picture.
//!
//! Consecutive blocks share latents (`carry_latents`): those that are finished follow
//! their own noised path, `(1 - t) x_0 + t noise`, while the new ones are denoised beside
//! them, so that motion goes on where it was. Recorded latents before and behind a range
//! are carried in the same way.

mod adapters;
mod calibrate;
mod cells;
mod config;
mod counterparts;
mod denoise;
mod job;
mod model;
mod mouth;
mod output;
mod pictures;
mod plan;
mod quiet;
mod references;
mod resume;
mod run;
mod shifted;
mod sound;
mod store;

pub use calibrate::Calibration;
pub use cells::{Cells, block_seconds, reference_seconds};
pub use config::{Carry, EditYourselfConfig, MaskCells};
pub use counterparts::{Moment, REACH, Wish, choose};
pub use job::{
    CropSource, LipJob, LipObserver, LipRange, LipReport, MadeCrop, MelSource, Progress, Timings,
};
pub use model::EditYourself;
pub use mouth::{HeardMouths, MOUTH, Mouth, SaidMouths, mouth_of};
pub use plan::{Block, Stretch};
pub use quiet::{Quiet, at_rest, resting_mouth};
pub use references::{Candidate, OPENINGS, References};
pub(crate) use sound::Sound as SoundOf;
pub use sound::mean_spectrum;
