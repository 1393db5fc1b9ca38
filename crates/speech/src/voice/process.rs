//! Running a speech engine as a separate program.

use super::VoiceError;
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Most bytes that an engine may answer: 90 minutes of 48 kHz in 16 bits.
const LARGEST_ANSWER: u64 = 512 << 20;
/// Most bytes of complaints that are kept.
const LARGEST_COMPLAINT: u64 = 16 << 10;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// A program, as messages name it.
pub(crate) struct Engine<'a> {
    pub(crate) name: &'a str,
    /// What to do when it is missing.
    pub(crate) help: &'a str,
}

/// Runs a command with `input` on its standard input and gives its standard output.
pub(crate) fn run(
    engine: &Engine<'_>,
    mut command: Command,
    input: &[u8],
) -> Result<Vec<u8>, VoiceError> {
    let failed = |source| VoiceError::Run {
        engine: engine.name.to_owned(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            ErrorKind::NotFound => VoiceError::NotInstalled {
                engine: engine.name.to_owned(),
                help: engine.help.to_owned(),
            },
            _ => failed(source),
        })?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed(std::io::Error::other("it has no pipes")));
    };
    let input = input.to_vec();
    // An engine that does not read all of its input closes the pipe: not an error by itself.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let complaints = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.take(LARGEST_COMPLAINT).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let (sender, receiver) = channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = stdout.take(LARGEST_ANSWER + 1).read_to_end(&mut bytes);
        let _ = sender.send(result.map(|_| bytes));
    });
    let answer = receiver.recv_timeout(PATIENCE);
    if answer.is_err() {
        // Nothing waits for what a stuck engine still says.
        let _ = child.kill();
    }
    let bytes = match answer {
        Ok(Ok(bytes)) if bytes.len() as u64 <= LARGEST_ANSWER => bytes,
        Ok(Ok(_)) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(VoiceError::TooMuch {
                engine: engine.name.to_owned(),
            });
        }
        Ok(Err(source)) => return Err(failed(source)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = child.wait();
            return Err(VoiceError::Stuck {
                engine: engine.name.to_owned(),
                seconds: PATIENCE.as_secs(),
            });
        }
    };
    let status = child.wait().map_err(failed)?;
    let _ = reader.join();
    let _ = writer.join();
    if !status.success() {
        let said = complaints.join().unwrap_or_default();
        return Err(VoiceError::Failed {
            engine: engine.name.to_owned(),
            status: status.to_string(),
            said: last_line(&said),
        });
    }
    Ok(bytes)
}

/// The last line that says something: programs put their reason there.
fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("nothing")
        .chars()
        .take(300)
        .collect()
}
