//! Losses, one idea a file. All of them take and give `f32` tensors; the result is a scalar.

mod contrastive;
mod estimate;
mod face;
mod flow;
mod posterior;
mod readout;
mod reconstruction;
mod single_step;
mod sound;

pub use contrastive::contrastive_flow;
pub use estimate::{EstimateWeights, estimate_flow};
pub use face::{FaceWeights, face_weighted_flow, gated_flow, joint_flow};
pub use flow::{masked_flow, squared_error, weighted_mean};
pub use posterior::{kl_divergence, posterior_sample};
pub use readout::Readout;
pub(crate) use readout::solve;
pub use reconstruction::{Perceptual, Reconstruction, detail};
pub use single_step::{cosine_loss, single_step};
pub use sound::{correlation, correlation_loss, smooth_l1};
