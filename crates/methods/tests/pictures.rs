//! EditYourself on whole pictures, with small random networks: what is made, where, and after what.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Build, Moving, goes_on_everywhere, job, model, run, sound};
use diffusion::{CacheConfig, Ends, Pass, Schedule};
use methods::ltx_video::{Area, Made, MadePicture, Order, SpanRange};
use units::FrameIndex;

const MOUTH: Area = Area {
    left: 0.30,
    top: 0.55,
    right: 0.60,
    bottom: 0.95,
};

fn frames(start: u64, end: u64) -> std::ops::Range<FrameIndex> {
    FrameIndex(start)..FrameIndex(end)
}

/// Mouths of `start..end`, of `available` frames with a face each.
fn mouths(start: u64, end: u64, available: u64) -> SpanRange {
    SpanRange {
        frames: frames(start, end),
        available: frames(0, available),
        made: vec![Made::Part(MOUTH); (end - start) as usize],
        faces: vec![Some(MOUTH); available as usize],
        grid: None,
    }
}

fn apart(a: &[MadePicture], b: &[MadePicture]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a
        .iter()
        .zip(b)
        .flat_map(|(a, b)| a.pixels.iter().zip(&b.pixels));
    let differences: Vec<f64> = pairs.map(|(a, b)| f64::from((a - b).abs())).collect();
    differences.iter().sum::<f64>() / differences.len() as f64
}

#[test]
fn mouths_follow_the_sound_in_their_cells_and_a_stopped_run_goes_on() {
    let model = model(Build {
        width: 4,
        ..Build::default()
    });
    let mut source = Moving::new((96, 128), 60);
    let span_job = job(&model, vec![mouths(3, 45, 60), mouths(50, 58, 60)], 4);
    let (one, other) = (sound(1, 250), sound(2, 250));
    let made = goes_on_everywhere(&model, &span_job, &mut source, Some(&one));
    assert_eq!(made.steps, 8);
    assert_eq!(made.pictures.len(), 42 + 8);
    for (picture, frame) in made.pictures.iter().zip((3..45).chain(50..58)) {
        assert_eq!(picture.frame, FrameIndex(frame));
        // Columns 38.4..76.8 and rows 52.8..91.2, out to the cells.
        let place = (picture.left, picture.columns, picture.top, picture.rows);
        assert_eq!(place, (32, 64, 32, 64));
        assert_eq!(picture.pixels.len(), 3 * 64 * 64);
    }
    let changed = run(&model, &span_job, &mut source, Some(&other), None);
    assert!(apart(&made.pictures, &changed.pictures) > 1e-4);
}

#[test]
fn faces_fillings_and_ends_count() {
    let plain = Build {
        width: 3,
        ..Build::default()
    };
    let made = |build: Build, ends: Ends| {
        let model = model(build);
        let mut source = Moving::new((96, 96), 50);
        let mut span_job = job(&model, vec![mouths(8, 48, 50)], 3);
        span_job.windows.ends = ends;
        run(&model, &span_job, &mut source, Some(&sound(1, 250)), None).pictures
    };
    let wanted = made(plain, Ends::Averaged);
    for (what, build, ends) in [
        (
            "references",
            Build {
                references: Some(0),
                ..plain
            },
            Ends::Averaged,
        ),
        (
            "fill",
            Build {
                fill: Some(0.0),
                ..plain
            },
            Ends::Averaged,
        ),
        ("ends", plain, Ends::Circular),
    ] {
        let other = made(build, ends);
        assert!(apart(&wanted, &other) > 1e-5, "{what}");
    }
}

#[test]
fn an_insertion_among_mouths_is_whole_and_a_first_picture_becomes_a_video() {
    let model = model(Build::default());
    let mut source = Moving::new((64, 96), 40);
    let mel = sound(1, 200);
    let mut span = mouths(8, 30, 40);
    span.made[8..14].fill(Made::Whole);
    let made = run(
        &model,
        &job(&model, vec![span], 2),
        &mut source,
        Some(&mel),
        None,
    );
    let whole: Vec<u64> = made
        .pictures
        .iter()
        .filter(|picture| picture.rows == 64 && picture.columns == 96)
        .map(|picture| picture.frame.0)
        .collect();
    // Frames of a latent share its mask: the latents of frames 16..24.
    assert_eq!(whole, (16..24).collect::<Vec<u64>>());

    // Only the first picture is known.
    let span = SpanRange::whole(frames(1, 34), frames(0, 34));
    let image = goes_on_everywhere(&model, &job(&model, vec![span], 3), &mut source, Some(&mel));
    assert_eq!(image.pictures.len(), 33);
    let mut other = Moving::new((64, 96), 40);
    other.order[0] = 20;
    let span = SpanRange::whole(frames(1, 34), frames(0, 34));
    let changed = run(
        &model,
        &job(&model, vec![span], 3),
        &mut other,
        Some(&mel),
        None,
    );
    assert!(
        apart(&image.pictures, &changed.pictures) > 1e-5,
        "the image counts"
    );
}

#[test]
fn a_cache_is_taken_up_where_it_is_empty() {
    let model = model(Build {
        width: 3,
        ..Build::default()
    });
    let mut source = Moving::new((64, 64), 50);
    let mel = sound(1, 250);
    let mut span_job = job(&model, vec![mouths(8, 48, 50)], 16);
    let plain = run(&model, &span_job, &mut source, Some(&mel), None);
    let cache = |threshold| {
        Some(CacheConfig {
            coefficients: vec![1.0, 0.0],
            threshold,
        })
    };
    span_job.cache = cache(0.0);
    let off = run(&model, &span_job, &mut source, Some(&mel), None);
    assert_eq!(off.pictures, plain.pictures);
    span_job.cache = cache(1e9);
    let spared = goes_on_everywhere(&model, &span_job, &mut source, Some(&mel));
    assert_eq!(spared.steps, 16);
    assert!(spared.states.len() > 5, "{}", spared.states.len());
    assert!(apart(&spared.pictures, &plain.pictures) > 1e-6);
}

#[test]
fn a_second_pass_works_at_twice_the_size() {
    let model = model(Build {
        upsampler: true,
        width: 4,
        ..Build::default()
    });
    let mut source = Moving::new((128, 64), 44);
    let mel = sound(1, 250);
    for spans in [
        vec![SpanRange::whole(frames(16, 30), frames(0, 44))],
        vec![mouths(8, 40, 44)],
    ] {
        let mut span_job = job(&model, spans, 3);
        let single = run(&model, &span_job, &mut source, Some(&mel), None);
        span_job.second = Some(Pass {
            skip_initial: 1,
            ..Pass::plain(Schedule::Uniform { steps: 3 })
        });
        let twice = goes_on_everywhere(&model, &span_job, &mut source, Some(&mel));
        assert_eq!(twice.steps, 3 + 2);
        assert_eq!(twice.states.len(), 5 + 1);
        assert!(apart(&single.pictures, &twice.pictures) > 1e-4);
    }
}

/// Where the recording itself is what an output shows, both orders encode the same; behind a cut
/// they do not.
#[test]
fn latents_keep_their_recorded_past() {
    let model = model(Build {
        deaf: true,
        ..Build::default()
    });
    let span = || vec![SpanRange::whole(frames(24, 34), frames(0, 66))];
    let made = |source: &mut Moving, order| {
        let mut span_job = job(&model, span(), 2);
        span_job.order = order;
        run(&model, &span_job, source, None, None).pictures
    };
    let mut straight = Moving::new((64, 64), 66);
    let pixels = made(&mut straight, Order::Pixels);
    let latents = made(&mut straight, Order::Latents);
    assert!(
        apart(&pixels, &latents) < 1e-6,
        "{}",
        apart(&pixels, &latents)
    );
    let mut cut = Moving::new((64, 64), 66);
    for frame in &mut cut.order[29..] {
        *frame += 40;
    }
    let pixels = made(&mut cut, Order::Pixels);
    let latents = made(&mut cut, Order::Latents);
    assert!(apart(&pixels, &latents) > 1e-5);
}

/// By latents, what is made hangs on the recording's own latents: how much of it may be read beyond
/// them changes nothing, and at the recording's beginning both orders see the same.
#[test]
fn latents_are_those_of_the_recording_wherever_a_stretch_begins() {
    let model = model(Build {
        deaf: true,
        ..Build::default()
    });
    let mut source = Moving::new((64, 64), 150);
    let mut made = |own: (u64, u64), all: (u64, u64), grid: u64, order: Order| {
        let span = SpanRange {
            grid: Some(grid),
            ..SpanRange::whole(frames(own.0, own.1), frames(all.0, all.1))
        };
        let mut span_job = job(&model, vec![span], 2);
        span_job.order = order;
        run(&model, &span_job, &mut source, None, None).pictures
    };
    // Six latents on either side are seen: frames 25 to 128.
    let near = made((73, 81), (25, 129), 25, Order::Latents);
    assert_eq!(near.len(), 8);
    for (all, grid) in [((17, 129), 25), ((0, 150), 129), ((1, 137), 1)] {
        let far = made((73, 81), all, grid, Order::Latents);
        assert!(far == near, "{all:?}: {}", apart(&far, &near));
    }
    // By frames, what is seen begins with a frame of its own.
    let pixels = made((73, 81), (25, 129), 25, Order::Pixels);
    assert!(apart(&pixels, &near) > 1e-5);
    for (own, all) in [((25, 33), (0, 90)), ((0, 17), (0, 90)), ((0, 12), (0, 90))] {
        let [pixels, latents] =
            [Order::Pixels, Order::Latents].map(|order| made(own, all, 1, order));
        assert!(apart(&pixels, &latents) < 1e-6, "{own:?}");
    }
    // A shot may begin within a latent, and with what is made.
    for (own, all) in [
        ((41, 49), (41, 90)),
        ((44, 57), (44, 90)),
        ((44, 57), (42, 90)),
    ] {
        let found = made(own, all, 41, Order::Latents);
        let numbers: Vec<u64> = found.iter().map(|made| made.frame.0).collect();
        assert_eq!(numbers, (own.0..own.1).collect::<Vec<u64>>());
    }
}

#[test]
fn a_stopped_run_on_whole_latents_goes_on() {
    let model = model(Build {
        width: 4,
        ..Build::default()
    });
    let mel = sound(0, 400);
    let mut source = Moving::new((64, 96), 90);
    // Two latents of new pictures between recorded ones that did not follow each other, and mouths beside them.
    for frame in &mut source.order[49..] {
        *frame += 24;
    }
    let mut made = vec![Made::Part(MOUTH); 8];
    made.extend([Made::Whole; 16]);
    made.extend([Made::Part(MOUTH); 8]);
    let span = SpanRange {
        made,
        faces: Vec::new(),
        grid: Some(25),
        ..SpanRange::whole(frames(25, 57), frames(0, 89))
    };
    let mut span_job = job(&model, vec![span], 3);
    span_job.order = Order::Latents;
    let kept = goes_on_everywhere(&model, &span_job, &mut source, Some(&mel));
    assert_eq!(kept.pictures.len(), 32);
    assert!(kept.states.len() > 3);
}
