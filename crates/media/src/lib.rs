//! Frames and sound in and out of files, by libav.
//!
//! [`Clip`] opens a file, tells what is in it ([`ClipInfo`]) and reads frames ([`Frame`], native
//! planar `YCbCr`) and sound ([`AudioBlock`]) of any range, exact to the frame and the sample.
//! Decoding runs in a confined child process where the caller asks for it ([`sandbox`]).
//! [`render`] writes a clip: stretches that are unchanged are copied packet by packet.
//! [`compose`] fits a made picture into its recorded surroundings.

mod clip;
pub mod compose;
mod decode;
mod error;
pub mod frame;
pub mod image;
pub mod info;
#[expect(unsafe_code, reason = "libav is a C library")]
mod libav;
mod probe;
pub mod render;
pub mod sandbox;
pub mod sound;

pub use clip::{AudioBlock, AudioReader, Clip, FrameReader, OpenOptions};
pub use error::MediaError;
pub use frame::{Frame, FrameError, Plane, Samples};
pub use info::{
    AudioInfo, Chapter, Chroma, ClipInfo, ColourRange, ColourTags, FrameTimes, HdrMetadata,
    OtherTrack, PixelFormat, Rotation, Tag, TimeBase, TrackKind, VideoInfo,
};
pub use sandbox::Sandbox;
