//! What holds for drawn clips and drawn edits.

use crate::{Case, all_shown, case, clock, longest, planned, planned_in, planned_length};
use edit::bed::Shown;
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditKind, EditList, PictureRun, SoundClock, SoundRun, Timeline, Transcript};
use proptest::prelude::*;
use std::ops::Range;
use units::{FrameIndex, SampleRate, Seconds};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_output_frame_and_sample_is_accounted_for_once(case in case()) {
        let Some((list, speech, timeline)) = planned(&case) else { return Ok(()) };
        let shown: u64 = timeline.pictures.iter().map(PictureRun::len).sum();
        prop_assert_eq!(shown, timeline.frames());
        prop_assert!(timeline.pictures.iter().all(|run| !run.is_empty()));
        prop_assert!(timeline.sound.iter().all(|run| !run.is_empty()));
        for run in &timeline.pictures {
            prop_assert!(all_shown(run).iter().all(|frame| frame.0 < case.clock.frames()), "{:?}", run);
        }
        for run in &timeline.sound {
            match run {
                SoundRun::Source { samples } => prop_assert!(samples.end.0 <= case.sound.samples),
                SoundRun::Speech { insertion, samples } => {
                    prop_assert!(samples.end.0 <= case.sound.rate.samples_in(speech[*insertion]));
                }
                SoundRun::RoomTone { .. } => {}
            }
        }
        // Every edit has its place, one after the other.
        prop_assert_eq!(timeline.edits.len(), list.edits().len());
        let mut frame = FrameIndex::ZERO;
        for placed in &timeline.edits {
            prop_assert_eq!(placed.frames.start, frame);
            frame = placed.frames.end;
        }
        prop_assert_eq!(frame.0, timeline.frames());
    }

    #[test]
    fn sound_and_picture_end_together_at_the_planned_length(case in case()) {
        let Some((list, speech, timeline)) = planned(&case) else { return Ok(()) };
        let end = timeline.clock.end();
        prop_assert_eq!(timeline.samples(), case.sound.rate.nearest(end).0);
        let length = planned_length(&list, &speech);
        let half = longest(&case.clock).max(case.clock.nominal().0) / 2.0;
        prop_assert!((end.0 - length).abs() <= half + 1e-3, "{} s planned, {} s made", length, end.0);
        if case.clock.is_constant() {
            // Sample rounding of each run may move the sum across a half frame.
            let exact = length * case.clock.rate().per_second();
            prop_assert!((timeline.frames() as f64 - exact).abs() <= 0.5 + 0.05, "{} frames for {}", timeline.frames(), exact);
        }
    }

    #[test]
    fn sound_and_picture_agree_within_half_a_frame(case in case()) {
        let Some((list, _, timeline)) = planned(&case) else { return Ok(()) };
        let half = if case.clock.is_constant() { case.clock.nominal().0 } else { longest(&case.clock) } / 2.0;
        let hertz = f64::from(case.sound.rate.hertz());
        let shown = timeline.source_frames();
        let mut seam = vec![false; shown.len()];
        for (output, run) in timeline.picture_runs() {
            if !matches!(run, PictureRun::Source { .. }) {
                seam[output.start.as_usize()..output.end.as_usize()].fill(true);
            }
        }
        let kept: Vec<_> = list
            .edits()
            .iter()
            .zip(&timeline.edits)
            .filter(|(edit, _)| edit.kind == EditKind::Keep)
            .map(|(edit, placed)| (edit.source.start.0 - placed.time.start.0, placed))
            .collect();
        // What is to be added to output time to get to source time is the same for the sound ...
        for (output, run) in timeline.sound_runs() {
            let SoundRun::Source { samples } = run else { continue };
            let middle = (output.start.0 + output.end.0) as f64 / 2.0 / hertz;
            let offset = (samples.start.0 as f64 - output.start.0 as f64) / hertz + case.sound.start.0;
            let (wanted, _) = kept.iter().rev().find(|(_, placed)| placed.time.start.0 <= middle).unwrap();
            prop_assert!((wanted - offset).abs() <= 1.5 / hertz, "sound at {} off by {}", middle, wanted - offset);
        }
        // ... and, within half a frame, for the pictures.
        for (wanted, placed) in kept {
            for frame in placed.frames.start.0..placed.frames.end.0 {
                if seam[frame as usize] {
                    continue;
                }
                let out = timeline.clock.start_of(FrameIndex(frame)).0;
                let offset = case.clock.start_of(shown[frame as usize]).0 - out;
                prop_assert!((wanted - offset).abs() <= half + 1e-6, "frame {} off by {} of {}", frame, wanted - offset, half);
            }
        }
    }

    #[test]
    fn kept_frames_keep_their_order_and_durations(case in case()) {
        let Some((_, _, timeline)) = planned(&case) else { return Ok(()) };
        let mut next = FrameIndex::ZERO;
        for (output, run) in timeline.picture_runs() {
            match run {
                PictureRun::Source { source } => {
                    // An insertion may repeat half a frame: the rounding of sound to pictures.
                    let again = case.clock.start_of(next).0 - case.clock.start_of(source.start).0;
                    prop_assert!(again <= longest(&case.clock).max(case.clock.nominal().0) + 1e-6, "{:?} after {}", source, next);
                    next = source.end;
                    for (out, frame) in (output.start.0..output.end.0).zip(source.start.0..) {
                        let kept = case.clock.duration_of(FrameIndex(frame)).0;
                        let shown = timeline.clock.duration_of(FrameIndex(out)).0;
                        prop_assert!((kept - shown).abs() < 1e-9);
                    }
                }
                PictureRun::Bed { .. } => {
                    for out in output.start.0..output.end.0 {
                        let shown = timeline.clock.duration_of(FrameIndex(out)).0;
                        prop_assert!((case.clock.nominal().0 - shown).abs() < 1e-9);
                    }
                }
                PictureRun::Seam { .. } => {}
            }
        }
    }

    #[test]
    fn mouths_are_made_wherever_the_picture_is(case in case()) {
        let Some((_, _, timeline)) = planned(&case) else { return Ok(()) };
        let inside = |frame: u64| timeline.lips.iter().any(|lips| lips.contains(&FrameIndex(frame)));
        for (output, run) in timeline.picture_runs() {
            if !matches!(run, PictureRun::Source { .. }) {
                prop_assert!((output.start.0..output.end.0).all(inside), "{:?}", run);
            }
        }
        for pair in timeline.lips.windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
        prop_assert!(timeline.lips.iter().all(|lips| lips.start < lips.end && lips.end.0 <= timeline.frames()));
    }

    #[test]
    fn nothing_made_reaches_over_a_scene_cut(
        case in case(),
        mut shots in prop::collection::vec(1_u64..400, 1..8),
    ) {
        shots.sort_unstable();
        shots.dedup();
        let shots: Vec<FrameIndex> = shots.into_iter().map(FrameIndex).collect();
        let shot = |frame: FrameIndex| shots.partition_point(|&first| first <= frame);
        let Some((_, _, timeline)) = planned_in(&case, &shots) else { return Ok(()) };
        for run in &timeline.pictures {
            if let PictureRun::Seam { frames, .. } = run {
                prop_assert!(frames.iter().all(|seam| shot(seam.a) == shot(seam.b)), "{:?}", run);
            }
        }
        // A mouth that is made where the recording is shown belongs to a made picture of the same shot beside it.
        let shown = timeline.source_frames();
        let made: Vec<bool> = timeline
            .pictures
            .iter()
            .flat_map(|run| vec![!matches!(run, PictureRun::Source { .. }); run.len() as usize])
            .collect();
        for lips in &timeline.lips {
            for at in lips.start.as_usize()..lips.end.as_usize() {
                let same = |&other: &usize| shot(shown[other]) == shot(shown[at]);
                let before = (0..at).rev().take_while(same).take(2).any(|other| made[other]);
                let after = (at + 1..shown.len()).take_while(same).take(2).any(|other| made[other]);
                prop_assert!(made[at] || before || after, "output frame {}", at);
            }
        }
    }

    #[test]
    fn no_edit_is_the_identity(case in case()) {
        let case = Case { requests: Vec::new(), ..case };
        let Some((list, _, timeline)) = planned(&case) else { return Ok(()) };
        prop_assert!(list.is_identity());
        let frames = FrameIndex::ZERO..FrameIndex(case.clock.frames());
        prop_assert_eq!(&timeline.pictures, &vec![PictureRun::Source { source: frames }]);
        for (a, b) in timeline.clock.starts().iter().zip(case.clock.starts()) {
            prop_assert!((a.0 - b.0).abs() < 1e-9);
        }
        prop_assert!(timeline.lips.is_empty());
        let recorded: Vec<_> = timeline.sound.iter().filter(|run| matches!(run, SoundRun::Source { .. })).collect();
        prop_assert_eq!(recorded.len(), 1);
    }

    #[test]
    fn cuts_never_fall_inside_a_word(case in case()) {
        let Some((list, _, _)) = planned(&case) else { return Ok(()) };
        let mut now = Seconds::ZERO;
        for edit in list.edits() {
            prop_assert_eq!(edit.source.start, now);
            now = edit.source.end;
            for time in [edit.source.start, edit.source.end] {
                prop_assert!(case.transcript.word_inside(time).is_none(), "{:?}", edit);
            }
        }
        prop_assert_eq!(now, case.clock.end());
    }

    #[test]
    fn retiming_gives_the_new_length_in_order(
        clock in clock(),
        factor in 0.5_f64..2.0,
        protect in prop::collection::vec((0.0_f64..1.0, 0.0_f64..0.2), 0..4),
        cut in 1_u64..300,
    ) {
        let shots = [FrameIndex(cut)];
        let transcript = Transcript::default();
        let lasts = clock.end() * factor;
        let list = EditList::retime(&transcript, clock.end(), lasts).unwrap();
        let config = TimelineConfig::default();
        let protect: Vec<Range<Seconds>> = protect
            .iter()
            .map(|&(at, length)| clock.end() * at..clock.end() * (at + length))
            .collect();
        let sound = SoundClock { rate: SampleRate::new(44_100).unwrap(), samples: 0, start: Seconds::ZERO };
        let input = TimelineInput {
            edits: &list, clock: &clock, sound: Some(sound), speech: &[lasts], protect: &protect,
            shots: &shots, pose: None, config: &config,
        };
        let timeline = Timeline::plan(&input).unwrap();
        for run in &timeline.pictures {
            if let PictureRun::Seam { frames, .. } = run {
                prop_assert!(frames.iter().all(|seam| (seam.a.0 < cut) == (seam.b.0 < cut)));
            }
        }
        let frames = lasts.0 / clock.nominal().0;
        prop_assert!((timeline.frames() as f64 - frames).abs() <= 0.51);
        let whole = FrameIndex::ZERO..FrameIndex(timeline.frames());
        prop_assert_eq!(&timeline.lips, &vec![whole]);
        let shown = timeline.source_frames();
        prop_assert!(shown.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(shown[0].0 <= 3 && shown[shown.len() - 1].0 + 4 >= clock.frames());
        // Evenly: no frame is left behind by more than the factor asks for.
        let protected = !protect.is_empty() || !clock.is_constant();
        let step = if protected { 20 } else { (1.0 / factor).ceil() as u64 };
        prop_assert!(shown.windows(2).all(|pair| pair[1].0 - pair[0].0 <= step));
        prop_assert_eq!(timeline.samples(), sound.rate.nearest(timeline.clock.end()).0);
    }

    #[test]
    fn beds_have_their_length_and_no_jumps(
        total in 2_u64..400,
        at in 0.0_f64..1.0,
        replaced in 0_u64..60,
        frames in 0_u64..500,
        ends in 0_u8..4,
        reach in 1_u64..120,
        poses in prop::collection::vec(0.0_f32..1.0, 400),
        with_pose in any::<bool>(),
    ) {
        let before = ((total - 1) as f64 * at) as u64;
        let after = (before + 1 + replaced).min(total - 1).max(before + 1);
        let (before, after) = if after >= total { (total - 2, total - 1) } else { (before, after) };
        let wanted = edit::bed::Wanted {
            before: (ends & 1 == 0).then_some(FrameIndex(before)),
            after: (ends & 2 == 0).then_some(FrameIndex(after)),
            frames,
            allowed: FrameIndex(before.saturating_sub(reach))..FrameIndex((after + reach).min(total)),
        };
        let pose = |a: FrameIndex, b: FrameIndex| (poses[a.as_usize()] - poses[b.as_usize()]).abs();
        let config = edit::bed::BedConfig::default();
        let path = edit::bed::path(&wanted, 12, &config, with_pose.then_some(&pose));
        prop_assert_eq!(path.len() as u64, frames);
        if frames == 0 {
            return Ok(());
        }
        // What is seen most, neighbours included.
        let mut seen = Vec::new();
        seen.extend(wanted.before.map(Shown::Frame));
        seen.extend(path.iter().copied());
        seen.extend(wanted.after.map(Shown::Frame));
        for pair in seen.windows(2) {
            let ends = |shown: &Shown| match shown {
                Shown::Frame(frame) => (*frame, *frame),
                Shown::Blend(seam) => (seam.a, seam.b),
            };
            let ((a, b), (c, d)) = (ends(&pair[0]), ends(&pair[1]));
            for frame in [a, b, c, d] {
                prop_assert!(wanted.allowed.contains(&frame), "{:?} outside", frame);
            }
            let near = |x: FrameIndex, y: FrameIndex| x.0.abs_diff(y.0) <= 1;
            // One of the two streams goes on from either picture to the next. The one exception: a
            // single frame in place of many has no room for a dissolve.
            let room = frames >= 2 || wanted.before.is_none() || wanted.after.is_none();
            prop_assert!(!room || near(a, c) || near(b, d), "jump {:?} in {:?}", pair, path);
        }
    }
}
