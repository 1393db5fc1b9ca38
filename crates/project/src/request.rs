//! What a job is asked to do, as plain data: the command line, the web editor and the queue all speak this.

use crate::VideoFiles;
use std::fmt;
use std::path::PathBuf;
use units::Seconds;

/// Which face of the picture is worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum FaceRequest {
    /// The one whose mouth moves with the sound.
    #[default]
    Speaking,
    /// Counted from the left, from 0.
    Number(usize),
    /// The one at this point of the first frame, in pixels as displayed.
    At(f32, f32),
}

/// The part of the picture that is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegionRequest {
    /// The lower face.
    #[default]
    Lip,
    /// The whole face.
    Face,
    /// The head with its hair.
    Head,
    /// The whole picture.
    Whole,
    /// A box that stays where it is.
    Box(PixelBox),
}

/// A box of the picture as displayed, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    /// Columns to the left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl RegionRequest {
    /// Whether it goes with a face.
    pub fn of_face(self) -> bool {
        matches!(self, Self::Lip | Self::Face | Self::Head)
    }
}

impl fmt::Display for RegionRequest {
    /// As `--region` takes it.
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lip => text.write_str("lip"),
            Self::Face => text.write_str("face"),
            Self::Head => text.write_str("head"),
            Self::Whole => text.write_str("whole"),
            Self::Box(own) => write!(
                text,
                "{},{},{},{}",
                own.left, own.top, own.width, own.height
            ),
        }
    }
}

/// In which numbers the model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bit.
    #[default]
    F32,
    /// The upper half of them: less memory, and faster where the processor multiplies them.
    Bf16,
}

impl RenderRequest {
    /// The model that makes whole pictures of what is not recorded and does not hear, where the job uses one.
    pub fn fills(&self) -> Option<&VideoRequest> {
        self.video.as_ref().filter(|video| video.adapter.is_none())
    }

    /// The denoising steps of this job with a model that takes `own` steps by itself.
    pub fn steps_of(&self, own: usize) -> usize {
        let wanted = self.steps.map_or(own, |steps| steps as usize);
        if self.preview {
            wanted.div_ceil(2)
        } else {
            wanted
        }
    }
}

/// What every rendering job takes.
#[derive(Clone, Debug)]
pub struct RenderRequest {
    /// The video.
    pub clip: PathBuf,
    /// Where the result goes.
    pub output: PathBuf,
    /// The model: a path, or nothing for the embedded one.
    pub model: Option<PathBuf>,
    /// A model that makes whole pictures, instead of `model`.
    pub video: Option<VideoRequest>,
    /// Adapters beside the model's weights.
    pub loras: Vec<LoraRequest>,
    /// Denoising steps; nothing for the model's own.
    pub steps: Option<u32>,
    /// The seed of the noise.
    pub seed: u64,
    /// How strongly the lips follow the sound; nothing for the model's own.
    pub audio_guidance: Option<f32>,
    /// The part of the picture that is made anew.
    pub region: RegionRequest,
    /// Whose.
    pub face: FaceRequest,
    /// For a first look: small pictures, and lent lips as they are; half the steps with models that lend none.
    pub preview: bool,
    /// Only change what lies in this part of the clip.
    pub from: Option<Seconds>,
    /// Only change what lies in this part of the clip.
    pub to: Option<Seconds>,
    /// Bytes of memory that the job may use; nothing for what it likes.
    pub memory: Option<u64>,
    /// In which numbers the model computes.
    pub precision: Precision,
    /// Where it computes.
    pub device: candle_core::Device,
    /// Go on with a run that was stopped.
    pub resume: bool,
}

/// A low-rank adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraRequest {
    /// Its file, or PEFT's folder.
    pub path: PathBuf,
    /// How much of it; 1 is as it was trained.
    pub strength: f32,
}

/// A model that makes whole pictures, and what it is told.
#[derive(Clone, Debug)]
pub struct VideoRequest {
    /// Its files.
    pub files: VideoFiles,
    /// `EditYourself`'s parts for it: then it makes mouths that follow the sound, as `tiny` does, and no whole pictures.
    pub adapter: Option<PathBuf>,
    /// What the picture shows; nothing for a caption that fits every clip of a speaker.
    pub prompt: Option<String>,
    /// What it should not show; nothing for the model's own.
    pub negative: Option<String>,
    /// The folder in which embedded prompts are kept; nothing to embed them each time.
    pub prompt_cache: Option<PathBuf>,
    /// What `reword models fit-cache` wrote, to spare steps; nothing to compute all.
    pub step_cache: Option<PathBuf>,
    /// Make everything at a smaller size first, then again at twice that, by the latent upsampler.
    pub two_passes: bool,
    /// How blocks lie at the ends of a stretch; nothing for the model's own.
    pub ends: Option<diffusion::Ends>,
    /// Whether the output's frames are laid out before they are encoded, or the recording's latents put in another order.
    pub order: methods::ltx_video::Order,
    /// Weight of the prompt over the negative one at every step; nothing for the settings' own.
    pub guidance: Option<f64>,
    /// Weight of the whole model over one without some of its attention at every step; nothing for the settings' own.
    pub stg: Option<f64>,
}

/// What should change in what is said.
#[derive(Clone, Debug, Default)]
pub struct ChangeRequest {
    /// The text as it should be spoken.
    pub script: Option<String>,
    /// The words as they were spoken; nothing to look beside the clip.
    pub transcript: Option<PathBuf>,
    /// Words, or spans of seconds, to remove; as typed.
    pub remove: Vec<String>,
    /// `old=new`; as typed.
    pub replace: Vec<String>,
    /// Remove filler words and shorten long pauses.
    pub fillers: bool,
    /// Cut exactly where asked.
    pub exact: bool,
    /// A recording of the new words.
    pub speech: Option<PathBuf>,
    /// The voice that says new words, as `ENGINE[:VOICE]`.
    pub voice: Option<String>,
    /// The language of the words.
    pub language: Option<String>,
    /// Only change what lies in this part of the clip.
    pub from: Option<Seconds>,
    /// Only change what lies in this part of the clip.
    pub to: Option<Seconds>,
}

/// What `dub` knows of the words besides the two tracks.
#[derive(Clone, Debug, Default)]
pub struct DubRequest {
    /// The text of the new track; with it, retiming goes by words.
    pub script: Option<String>,
    /// The words of the clip; nothing to look beside the clip.
    pub transcript: Option<PathBuf>,
    /// The language of the new track.
    pub language: Option<String>,
}
