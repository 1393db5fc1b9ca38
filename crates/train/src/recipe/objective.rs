//! Losses by stage.

use serde::{Deserialize, Serialize};

use crate::loss::{EstimateWeights, FaceWeights, Reconstruction};

/// Losses of the stage `edit-yourself`. A weight of 0 leaves a part out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objective {
    /// Masked flow matching, eq. 8.
    pub flow: f64,
    /// Lambda of contrastive flow matching.
    pub contrastive: f64,
    /// Draws among which the nearest noise is taken; 1 for plain noise.
    pub immiscible: usize,
    /// X-Dub's weights of face and lips, instead of eq. 8's plain mean.
    pub face: Option<FaceWeights>,
    /// The error of the one-step estimate instead of the velocity's, for models that make a mouth out of another one.
    pub estimate: Option<EstimateWeights>,
    /// Features of the sound are moved to what the picture shows.
    pub teacher: Option<TeacherRecipe>,
    /// SkyReels-Audio's gate: with this probability the loss looks at the lips alone.
    pub lips_only: f64,
    /// Squared error of the mouth reader on the one-step estimate.
    pub readout: f64,
    /// `1 - correlation` of the reader's openings along the window.
    pub follow: f64,
    /// The one-step estimate's `min(t, most)`; X-Dub: 0.6. 1 does not clip.
    pub single_step_most: f64,
    /// Cosine of the estimate's mouth to the references' (identity).
    pub identity: f64,
    /// The sound encoder's own mouth head, on the window.
    pub head: f64,
    /// Share of the run in which the sound encoder stays as it is.
    pub hold_sound: f64,
    /// The mouth reader.
    pub reader: ReadoutRecipe,
    /// How references are chosen.
    pub references: References,
    /// Reference frames, at most the model's; the share of steps with fewer.
    pub fewer_references: f64,
}

/// How reference frames are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum References {
    /// At random, outside of the window where possible.
    #[default]
    Random,
    /// By the mouth's opening: closed, middle and open, so that the model sees teeth and lips.
    Opening,
    /// As `methods` chooses them in use: of the frames whose head is held as in the window, those with the openings that
    /// the method names, in its order.
    Alike,
}

/// Teacher forcing of the sound's features, see [`crate::stage::Teacher`]. The sound encoder has to stay as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherRecipe {
    /// Share of the windows that are taught.
    pub share: f64,
    /// Components of the lips' shape that are taught besides the opening.
    pub shape: usize,
    /// Ridge of the reader.
    pub ridge: f64,
    /// Standard deviation of the noise in what is taught, before it is smoothed over 9 features.
    pub noise: f64,
}

impl Default for TeacherRecipe {
    fn default() -> Self {
        Self {
            share: 1.0,
            shape: 16,
            ridge: 100.0,
            noise: 0.3,
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            flow: 1.0,
            contrastive: 0.0,
            immiscible: 1,
            face: None,
            estimate: None,
            teacher: None,
            lips_only: 0.0,
            readout: 0.0,
            follow: 0.0,
            single_step_most: 1.0,
            identity: 0.0,
            head: 0.0,
            hold_sound: 0.0,
            reader: ReadoutRecipe::default(),
            references: References::Random,
            fewer_references: 0.0,
        }
    }
}

/// The linear reader of mouth opening and shape from latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadoutRecipe {
    /// Ridge of the regression.
    pub ridge: f64,
    /// Components of the lips' shape that are read besides the opening.
    pub shape: usize,
    /// Weight of the openings over the shape's.
    pub opening: f64,
}

impl Default for ReadoutRecipe {
    fn default() -> Self {
        Self {
            ridge: 1000.0,
            shape: 8,
            opening: 16.0,
        }
    }
}

/// Losses of the stage `audio-encoder`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoundObjective {
    /// `1 - correlation` of the first reading with the opening.
    pub follow: f64,
    /// Squared error of the first reading.
    pub opening: f64,
    /// Huber loss of the others against the lips' shape.
    pub shape: f64,
    /// Components of the shape.
    pub components: usize,
    /// Frames at either end of a window that do not count, for want of context.
    pub margin: usize,
    /// Probability of changed level and tilt.
    pub level: f64,
    /// Probability of a noise floor.
    pub floor: f64,
    /// Probability of bands that are blanked.
    pub bands: f64,
    /// Share of features that is blanked before the readings.
    pub dropout: f64,
}

impl Default for SoundObjective {
    fn default() -> Self {
        Self {
            follow: 1.0,
            opening: 0.3,
            shape: 0.3,
            components: 16,
            margin: 4,
            level: 0.5,
            floor: 0.4,
            bands: 0.4,
            dropout: 0.1,
        }
    }
}

/// Losses of the stage `sync-scorer`, and the probabilities of what is changed about a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncObjective {
    /// A scorer of an earlier run that tells each clip's own offset, which is then taken out; relative to the recipe.
    pub align: Option<String>,
    /// Clips whose own offset is larger are left out, frames at 25 Hz.
    pub most_offset: usize,
    /// Weight of telling the own sound from the batch's others; telling the shift has weight one.
    pub others: f64,
    /// Weight of the same with every sound at its best offset (a soft maximum), which is how strangers are met in use.
    pub anywhere: f64,
    /// What agreements are multiplied with before the softmax.
    pub scale: f64,
    /// Share of the blocks' inner values that is blanked.
    pub dropout: f64,
    /// A mirrored face.
    pub mirror: f64,
    /// How far a head may turn within a window: 1 changes width and height by some 5 %.
    pub turning: f64,
    /// Another length of the vocal tract: mel bands stretched.
    pub throat: f64,
    /// Another level, tilt and ripple of the spectrum.
    pub room: f64,
    /// A noise floor.
    pub floor: f64,
    /// Somebody else speaking beside, quieter.
    pub others_voice: f64,
    /// Bands that are blanked, twice.
    pub bands: f64,
}

impl Default for SyncObjective {
    fn default() -> Self {
        Self {
            align: None,
            most_offset: 5,
            others: 0.5,
            anywhere: 0.0,
            scale: 24.0,
            dropout: 0.2,
            mirror: 0.5,
            turning: 0.0,
            throat: 0.8,
            room: 0.6,
            floor: 0.5,
            others_voice: 0.3,
            bands: 0.4,
        }
    }
}

/// Losses of the stage `vae`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeObjective {
    /// Parts of the reconstruction loss.
    pub loss: Reconstruction,
    /// Share of the run at which [`Reconstruction::detail`] begins to rise; edges taught too early make pictures flat.
    pub detail_from: f64,
    /// Probability that the masked box is grey.
    pub grey: f64,
    /// Probability of changed light and colour.
    pub light: f64,
    /// Probability of a mirrored picture.
    pub mirror: f64,
    /// Added weight around the lips.
    pub lips: f64,
    /// Bounds of the log variance.
    pub log_variance: [f64; 2],
    /// Only the decoder is trained, on latents with up to this share of noise.
    pub decoder_noise: Option<f64>,
}

impl Default for VaeObjective {
    fn default() -> Self {
        Self {
            loss: Reconstruction::default(),
            detail_from: 0.0,
            grey: 0.15,
            light: 0.5,
            mirror: 0.5,
            lips: 2.0,
            log_variance: [-12.0, -3.0],
            decoder_noise: None,
        }
    }
}
