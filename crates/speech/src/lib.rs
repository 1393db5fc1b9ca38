//! What is known and made about speech: mel spectra, transcripts of other tools, voice activity, alignment of known
//! text, voices that say new words, and the assembly of a new sound track.

pub mod align;
pub mod assemble;
pub mod energy;
pub mod mel;
pub mod resample;
pub mod transcript;
pub mod vad;
pub mod voice;
pub mod wave;
