//! The editing engine: from a changed script to a frame-exact timeline.
//!
//! Pure: no files, no clocks, no tensors, no randomness, so that the same input always gives the
//! same plan. The way through it:
//!
//! [`Transcript`] + [`script::Script`] → [`diff::diff`] → [`EditList`] (with [`cuts`] placed in
//! the pauses) → [`Timeline`] (every output frame and sample accounted for) → [`export`] for other
//! editors.

pub mod anchors;
pub mod bed;
pub mod clock;
pub mod cuts;
pub mod diff;
pub mod edits;
pub mod export;
pub mod latents;
pub mod script;
pub mod text;
pub mod timeline;
pub mod transcript;

pub use clock::{ClockError, FrameClock, SoundClock};
pub use edits::{Edit, EditError, EditKind, EditList};
pub use timeline::{PictureRun, SoundRun, Timeline, TimelineError};
pub use transcript::{Transcript, TranscriptError, Word};
