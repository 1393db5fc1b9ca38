//! `reword transcribe`: words from the sound alone. Needs a recogniser, which is not part of this build.

use crate::arguments::TranscribeArguments;
use crate::failure::Failure;

/// Runs the command.
pub(crate) fn run(arguments: &TranscribeArguments) -> Result<(), Failure> {
    if !arguments.clip.exists() {
        return Err(Failure::input(format!(
            "there is no file {}",
            arguments.clip.display()
        )));
    }
    Err(Failure::missing("transcribing needs the speech recogniser whisper-small, whose weights are not here")
        .with_hint(format!(
            "write down what is said and run `reword align {} --script FILE`; transcripts of Whisper, WhisperX, \
             Deepgram and others are read as they are",
            super::shared::quoted(&arguments.clip)
        )))
}
