//! Motion smoothness as `VBench` measures it: how well the odd frames of a clip are foretold by the even ones around them.
//!
//! What foretells them there is AMT-S, whose code and weights are for non-commercial use only. So it stays a program of
//! its own, which the user runs: even frames go to its standard input, the pictures between them come back.

use crate::MeasureError;
use crate::watch::Watch;
use media::Clip;
use std::io::{Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Where messages of a program stop being kept, bytes.
const LONGEST_COMPLAINT: u64 = 1 << 16;

/// `(255 - d) / 255` for the mean absolute difference `d` between the odd frames and the pictures that `command` makes
/// for them; the inner sentence says why there is no number.
///
/// The command is a line for the shell; width and height follow it as arguments. It reads frames (RGB, 8 bits, row by
/// row) and writes, for each but the first, the picture in the middle between it and the one before.
pub(super) fn smoothness(
    clip: &Clip,
    command: &str,
    watch: &mut dyn Watch,
) -> Result<Result<f64, String>, MeasureError> {
    let video = clip.video()?;
    if video.frames < 3 {
        return Ok(Err(format!("{} frames; three are needed", video.frames)));
    }
    let (width, height) = (video.width as usize, video.height as usize);
    let started = Command::new("sh")
        .args(["-c", &format!("{command} {width} {height}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Ok(Err(format!("the interpolator does not start: {error}"))),
    };
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Ok(Err("the interpolator can't be spoken to".to_owned()));
    };
    watch.begin("interpolation", video.frames / 2);
    let (sender, middles) = sync_channel(2);
    let result = std::thread::scope(|scope| {
        let fed = scope.spawn(move || feed(clip, stdin));
        let said = scope.spawn(move || complaint(stderr));
        let size = 3 * width * height;
        scope.spawn(move || {
            let mut stdout = stdout;
            while let Some(picture) = whole(&mut stdout, size) {
                // The other side hangs up when it was stopped.
                if sender.send(picture).is_err() {
                    return;
                }
            }
        });
        let compared = compare(clip, &middles, &mut child, watch);
        // Nothing waits on a program that nobody listens to any more.
        drop(middles);
        if !matches!(&compared, Ok(Ok(_))) {
            let _ = child.kill();
        }
        let status = child.wait();
        let fed = fed.join().unwrap_or(Ok(()));
        let said = said.join().unwrap_or_default();
        let compared = compared?;
        fed?;
        Ok(match status {
            Ok(status) if status.success() => compared,
            Ok(_) | Err(_) if !said.is_empty() => Err(format!("the interpolator failed: {said}")),
            _ => compared.and(Err("the interpolator failed".to_owned())),
        })
    });
    watch.end();
    result
}

/// Writes the even frames; a program that reads no further ends it.
fn feed(clip: &Clip, mut stdin: ChildStdin) -> Result<(), MeasureError> {
    for frame in clip.all_frames()?.step_by(2) {
        if stdin.write_all(&frame?.to_rgb8().data).is_err() {
            break;
        }
    }
    Ok(())
}

/// One picture; `None` at the end.
fn whole(stdout: &mut ChildStdout, size: usize) -> Option<Vec<u8>> {
    let mut picture = vec![0; size];
    stdout.read_exact(&mut picture).ok()?;
    Some(picture)
}

/// The last line that a program complained with.
fn complaint(stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let mut kept = stderr.take(LONGEST_COMPLAINT);
    let _ = kept.read_to_end(&mut text);
    // What follows is read, so that the program need not wait, and thrown away.
    let _ = std::io::copy(&mut kept.into_inner(), &mut std::io::sink());
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or_default().chars().take(300).collect()
}

/// Compares the odd frames with what comes; every one that has a frame on either side counts.
fn compare(
    clip: &Clip,
    middles: &Receiver<Vec<u8>>,
    child: &mut Child,
    watch: &mut dyn Watch,
) -> Result<Result<f64, String>, MeasureError> {
    let mut frames = clip.all_frames()?.enumerate().peekable();
    let (mut sum, mut compared) = (0.0, 0_u64);
    while let Some((index, frame)) = frames.next() {
        let frame = frame?;
        if index % 2 == 0 || frames.peek().is_none() {
            continue;
        }
        let middle = loop {
            if watch.stopped() {
                let _ = child.kill();
                return Err(MeasureError::Stopped);
            }
            match middles.recv_timeout(Duration::from_millis(200)) {
                Ok(middle) => break middle,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(format!(
                        "the interpolator gave {compared} pictures and no more"
                    )));
                }
            }
        };
        sum += difference(&frame.to_rgb8().data, &middle);
        compared += 1;
        watch.advance(1);
    }
    Ok(if compared == 0 {
        Err("no frame has one on either side".to_owned())
    } else {
        Ok((255.0 - sum / compared as f64) / 255.0)
    })
}

/// Mean absolute difference of the values of two pictures.
fn difference(one: &[u8], two: &[u8]) -> f64 {
    let sum: u64 = one
        .iter()
        .zip(two)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len().max(1) as f64
}
