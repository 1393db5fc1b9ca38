//! What comes along beside picture and speech: chapters, subtitles and further sound tracks, with their times moved as
//! the edits move them.

use super::source::Source;
use super::{assemble, media_error};
use crate::{Job, Observer, ProjectError};
use edit::{EditKind, EditList, SoundRun, Timeline};
use media::render::{ExtraSound, Move, Sound};
use media::{AudioInfo, Clip, OpenOptions, TrackKind};
use std::path::PathBuf;
use units::{SampleIndex, SampleRate, Seconds};

/// What comes along.
pub(crate) struct Along {
    /// Where the clip's time went.
    pub(crate) moves: Vec<Move>,
    /// Further sound tracks: the clip with that track as its sound, and the edited track where it had to be cut.
    pub(crate) sounds: Vec<(Clip, Option<PathBuf>)>,
}

impl Along {
    /// For a clip that keeps its times: all tracks as they are.
    pub(crate) fn unmoved(source: &Source) -> Self {
        let all = Seconds::ZERO..source.clip.info().duration.max(source.duration());
        Self {
            moves: vec![Move {
                source: all.clone(),
                output: all,
            }],
            sounds: sounds(source).map(|clip| (clip, None)).collect(),
        }
    }

    /// For a clip over another length: there is no sense in stretching further sound tracks.
    pub(crate) fn retimed(edits: &EditList, timeline: &Timeline) -> Self {
        Self {
            moves: moves(edits, timeline),
            sounds: Vec::new(),
        }
    }

    /// For an edited clip: further sound tracks are cut with it, and silent where new words are said.
    pub(crate) fn edited(
        source: &Source,
        edits: &EditList,
        timeline: &Timeline,
        job: &Job,
        observer: &mut dyn Observer,
    ) -> Result<Self, ProjectError> {
        let mut cut = Vec::new();
        if let Some(main) = &source.audio {
            for (index, clip) in sounds(source).enumerate() {
                let Some(info) = &clip.info().audio else {
                    continue;
                };
                let path = job.path(&format!("track-{index}.wav"));
                let done = format!("track-{index}.done");
                let runs = runs(&timeline.sound, main, info);
                if !job.has(&done) {
                    assemble::cut(&clip, &runs, &path, observer)?;
                    job.write(&done, b"")?;
                }
                cut.push((clip, Some(path)));
            }
        }
        Ok(Self {
            moves: moves(edits, timeline),
            sounds: cut,
        })
    }

    /// Opens the edited tracks.
    pub(crate) fn open(&self) -> Result<Vec<media::AudioReader>, ProjectError> {
        self.sounds
            .iter()
            .filter_map(|(_, path)| path.as_ref())
            .map(|path| {
                Clip::open(path, &OpenOptions::default())
                    .and_then(|clip| clip.all_audio())
                    .map_err(media_error)
            })
            .collect()
    }

    /// The sound tracks as the renderer takes them; `made` are the edited ones in order.
    pub(crate) fn tracks<'a>(
        &'a self,
        made: impl IntoIterator<Item = &'a mut dyn media::render::SoundMaker>,
    ) -> Vec<ExtraSound<'a>> {
        let mut made = made.into_iter();
        self.sounds
            .iter()
            .filter_map(|(clip, path)| {
                let sound = match path {
                    None => Sound::Copy,
                    Some(_) => Sound::Made(made.next()?),
                };
                Some(ExtraSound { clip, sound })
            })
            .collect()
    }
}

/// The clip with each of its further sound tracks that can be read.
fn sounds(source: &Source) -> impl Iterator<Item = Clip> + '_ {
    let others = source.clip.info().others.iter();
    others
        .filter(|track| track.kind == TrackKind::Sound)
        .filter_map(|track| source.clip.with_sound(track.stream).ok())
        .filter(|clip| clip.info().audio.is_some())
}

/// Where the kept stretches of the clip went.
fn moves(edits: &EditList, timeline: &Timeline) -> Vec<Move> {
    timeline
        .edits
        .iter()
        .filter_map(|placed| {
            let edit = edits.edits().get(placed.edit)?;
            let stays = matches!(
                edit.kind,
                EditKind::Keep | EditKind::Retime | EditKind::Rerender
            );
            stays.then(|| Move {
                source: edit.source.clone(),
                output: placed.time.clone(),
            })
        })
        .filter(|moved| moved.source.start < moved.source.end)
        .collect()
}

/// The runs of a track for another track beside it, which has its own rate, start and length. Where new words are said
/// there, it is silent.
fn runs(main: &[SoundRun], clock: &AudioInfo, other: &AudioInfo) -> Vec<SoundRun> {
    let (from, to) = (clock.rate, other.rate);
    let mut result = Vec::new();
    let mut output = 0;
    let mut written = 0;
    for run in main {
        output += run.len();
        // Counted from the start, so that rounding does not add up.
        let end = convert(output, from, to);
        let length = end - written;
        written = end;
        match run {
            SoundRun::Source { samples } => {
                let start = from.start_of(samples.start) + clock.start - other.start;
                let first = (start.0 * f64::from(to.hertz())).round() as i64;
                let before = ((-first).max(0) as u64).min(length);
                let first = first.max(0) as u64;
                let last = (first + length - before).min(other.samples.max(first));
                result.push(SoundRun::RoomTone { samples: before });
                result.push(SoundRun::Source {
                    samples: SampleIndex(first)..SampleIndex(last),
                });
                result.push(SoundRun::RoomTone {
                    samples: length - before - (last - first),
                });
            }
            SoundRun::Speech { .. } | SoundRun::RoomTone { .. } => {
                result.push(SoundRun::RoomTone { samples: length });
            }
        }
    }
    result.retain(|run| !run.is_empty());
    result
}

/// A number of samples at another rate, to the nearest.
fn convert(samples: u64, from: SampleRate, to: SampleRate) -> u64 {
    let (samples, from, to) = (
        u128::from(samples),
        u128::from(from.hertz()),
        u128::from(to.hertz()),
    );
    ((samples * to * 2 + from) / (2 * from)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(hertz: u32, samples: u64, start: f64) -> AudioInfo {
        AudioInfo {
            codec: "aac".to_owned(),
            rate: SampleRate::new(hertz).unwrap(),
            channels: 2,
            layout: "stereo".to_owned(),
            samples,
            start: Seconds(start),
            bit_rate: 0,
            stream: 2,
            tags: Vec::new(),
        }
    }

    #[test]
    fn another_track_is_cut_where_the_first_one_is() {
        let main = [
            SoundRun::Source {
                samples: SampleIndex(0)..SampleIndex(44_100),
            },
            SoundRun::Speech {
                insertion: 0,
                samples: SampleIndex(0)..SampleIndex(22_051),
            },
            SoundRun::Source {
                samples: SampleIndex(88_200)..SampleIndex(132_300),
            },
        ];
        // It starts half a second later, and ends half a second earlier.
        let runs = runs(
            &main,
            &info(44_100, 132_300, 0.0),
            &info(48_000, 96_000, 0.5),
        );
        assert_eq!(
            runs,
            [
                SoundRun::RoomTone { samples: 24_000 },
                SoundRun::Source {
                    samples: SampleIndex(0)..SampleIndex(24_000)
                },
                SoundRun::RoomTone { samples: 24_001 },
                SoundRun::Source {
                    samples: SampleIndex(72_000)..SampleIndex(96_000)
                },
                SoundRun::RoomTone { samples: 24_000 },
            ]
        );
    }
}
