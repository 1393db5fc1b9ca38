use super::*;
use proptest::prelude::*;
use units::SampleRate;

fn rate(hertz: u32) -> SampleRate {
    SampleRate::new(hertz).unwrap()
}

/// Deterministic noise in -1..1.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) as f32
    }
}

/// Words of tone, half a second each, with half a second of faint noise between them.
fn talk(seconds: usize, hertz: u32, channels: usize) -> MemoryTrack {
    let make = |channel: usize| {
        let mut noise = noise(channel as u32 + 1);
        (0..seconds * hertz as usize)
            .map(|n| {
                let t = n as f32 / hertz as f32;
                let word = if t.fract() < 0.5 {
                    0.2 * (t * 900.0).sin()
                } else {
                    0.0
                };
                word / (channel + 1) as f32 + 0.002 * noise()
            })
            .collect()
    };
    MemoryTrack {
        rate: rate(hertz),
        channels: (0..channels).map(make).collect(),
    }
}

fn speech(seconds: f32, hertz: u32, level: f32) -> Wave {
    Wave {
        rate: rate(hertz),
        samples: (0..(seconds * hertz as f32) as usize)
            .map(|n| level * (n as f32 / hertz as f32 * 1300.0).sin())
            .collect(),
    }
}

fn source(from: u64, to: u64) -> SoundRun {
    SoundRun::Source {
        samples: SampleIndex(from)..SampleIndex(to),
    }
}

fn all<T: TrackSource>(mut assembly: Assembly<T>) -> Vec<Vec<f32>> {
    let mut out = vec![Vec::new(); assembly.channels()];
    while let Some(block) = assembly.next_block().unwrap() {
        for (out, channel) in out.iter_mut().zip(block.channels) {
            out.extend(channel);
        }
    }
    out
}

#[test]
fn without_an_edit_the_track_is_the_recording() {
    let track = talk(3, 48_000, 2);
    let out = all(assemble(track.clone(), &[source(0, 144_000)], &[], &Fades::default()).unwrap());
    assert_eq!(out, track.channels);
    // A cut that removes nothing is no cut.
    let runs = [source(0, 1000), source(1000, 144_000)];
    assert_eq!(
        all(assemble(track.clone(), &runs, &[], &Fades::default()).unwrap()),
        track.channels
    );
}

#[test]
fn new_speech_is_as_loud_as_what_surrounds_it() {
    for level in [0.01, 0.6] {
        let track = talk(10, 16_000, 1);
        let runs = [
            source(0, 80_000),
            SoundRun::Speech {
                insertion: 0,
                samples: SampleIndex(0)..SampleIndex(16_000),
            },
            source(80_000, 160_000),
        ];
        let out = all(assemble(
            track,
            &runs,
            &[speech(1.0, 22_050, level)],
            &Fades::default(),
        )
        .unwrap());
        let said = crate::energy::rms(&out[0][82_000..94_000]);
        let recorded = crate::energy::rms(&out[0][1000..7000]);
        // K-weighting hears the two tones a little differently.
        assert!(
            (said / recorded).log10().abs() * 20.0 < 3.0,
            "{said} against {recorded}"
        );
    }
}

#[test]
fn gaps_hold_the_rooms_own_tone_and_never_silence() {
    let track = talk(4, 16_000, 2);
    let runs = [
        source(0, 16_000),
        SoundRun::RoomTone { samples: 48_000 },
        source(16_000, 32_000),
    ];
    let out = all(assemble(track, &runs, &[], &Fades::default()).unwrap());
    for channel in &out {
        for piece in channel[17_000..63_000].chunks(1600) {
            let level = crate::energy::rms(piece);
            assert!((0.0008..0.0016).contains(&level), "{level}");
        }
        // No step anywhere in the loop, beyond what the noise itself makes.
        let step = channel[17_000..63_000]
            .windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max);
        assert!(step <= 0.0066, "{step}");
    }
    for quiet in [
        vec![0.0; 32_000],
        vec![0.5; 4],
        talk(2, 16_000, 1).channels[0][..7000].to_vec(),
    ] {
        let track = MemoryTrack {
            rate: rate(16_000),
            channels: vec![quiet],
        };
        let out = all(assemble(
            track,
            &[SoundRun::RoomTone { samples: 9000 }],
            &[],
            &Fades::default(),
        )
        .unwrap());
        assert_eq!(out[0].len(), 9000);
        let level = crate::energy::rms(&out[0]);
        assert!(level > 1e-5 && level < 0.02, "{level}");
    }
}

#[test]
fn surround_sound_without_a_quiet_moment_gets_a_tone_for_every_channel() {
    let track = MemoryTrack {
        rate: rate(16_000),
        channels: vec![vec![0.3; 32_000]; 6],
    };
    let runs = [SoundRun::RoomTone { samples: 9000 }];
    let out = all(assemble(track, &runs, &[], &Fades::default()).unwrap());
    assert_eq!(out.len(), 6);
    for (one, other) in out.iter().zip(out.iter().skip(1)) {
        assert_ne!(
            one, other,
            "one noise on all channels sounds from one place"
        );
    }
}

#[test]
fn a_join_of_loud_sounds_moves_to_the_quiet_beside_it() {
    // Loud, with a silence 8 ms after the planned cut on the left and 8 ms before it on the right.
    let mut samples = talk(4, 16_000, 1).channels.remove(0);
    for (n, s) in samples.iter_mut().enumerate() {
        *s = if (16_100..16_200).contains(&n) || (40_100..40_200).contains(&n) {
            0.0
        } else {
            0.3 * (n as f32 * 0.37).sin()
        };
    }
    let track = MemoryTrack {
        rate: rate(16_000),
        channels: vec![samples],
    };
    let assembly = assemble(
        track,
        &[source(0, 16_000), source(40_000, 64_000)],
        &[],
        &Fades::default(),
    )
    .unwrap();
    let fades: Vec<Range<u64>> = assembly.crossfades().collect();
    assert_eq!(fades.len(), 1);
    assert_eq!(fades[0].end - fades[0].start, 160);
    assert!(fades[0].start > 16_000 - 80 + 60, "{fades:?}");
}

#[test]
fn sync_pads_short_speech_and_cuts_long() {
    let track = talk(2, 16_000, 1);
    let short = track_for_sync(track.clone(), 48_000).unwrap();
    assert!(short.warnings().is_empty());
    let short = all(short);
    assert_eq!(short[0].len(), 48_000);
    assert_eq!(short[0][..31_500], track.channels[0][..31_500]);
    assert!(crate::energy::rms(&short[0][33_000..]) < 0.003);
    let long = track_for_sync(track.clone(), 20_000).unwrap();
    assert_eq!(
        long.warnings()[0].to_string(),
        "the speech lasts 2.00 s and the clip 1.25 s: its end was cut; `reword dub` changes the clip's length instead"
    );
    let long = all(long);
    assert_eq!(long[0].len(), 20_000);
    assert_eq!(long[0][..19_840], track.channels[0][..19_840]);
    assert!(long[0][19_999].abs() < 0.01);
    let same = track_for_sync(track.clone(), 32_000).unwrap();
    assert_eq!(all(same), track.channels);
}

#[test]
fn impossible_plans_are_refused() {
    let track = || talk(1, 16_000, 1);
    let error = assemble(track(), &[source(0, 16_001)], &[], &Fades::default())
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "the plan asks for samples 0 to 16001 of a track of 16000"
    );
    let run = SoundRun::Speech {
        insertion: 1,
        samples: SampleIndex(0)..SampleIndex(5),
    };
    let error = assemble(
        track(),
        &[run],
        &[speech(1.0, 8000, 0.1)],
        &Fades::default(),
    )
    .err()
    .unwrap()
    .to_string();
    assert_eq!(
        error,
        "the plan asks for new speech 1, but only 1 were given"
    );
}

fn any_runs() -> impl Strategy<Value = Vec<SoundRun>> {
    let run = prop_oneof![
        (0_u64..30_000, 1_u64..9000).prop_map(|(at, n)| source(at, (at + n).min(32_000))),
        (0_usize..2, 0_u64..3000, 1_u64..6000).prop_map(|(insertion, at, n)| SoundRun::Speech {
            insertion,
            samples: SampleIndex(at)..SampleIndex(at + n),
        }),
        (0_u64..3000).prop_map(|samples| SoundRun::RoomTone { samples }),
    ];
    prop::collection::vec(run, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn length_is_exact_and_recorded_samples_pass_untouched(runs in any_runs(), channels in 1_usize..3) {
        let track = talk(2, 16_000, channels);
        let pieces = [speech(0.3, 22_050, 0.1), speech(0.2, 16_000, 0.4)];
        let fades = Fades::default();
        let assembly = assemble(track.clone(), &runs, &pieces, &fades).unwrap();
        let total: u64 = runs.iter().map(SoundRun::len).sum();
        prop_assert_eq!(assembly.samples(), total);
        let faded: Vec<Range<u64>> = assembly.crossfades().collect();
        let joins: Vec<u64> = runs.iter().scan(0, |at, run| { *at += run.len(); Some(*at) }).collect();
        for fade in &faded {
            prop_assert!(fade.end - fade.start <= 160);
            // Every crossfade lies near a join.
            prop_assert!(joins.iter().any(|&j| fade.start + 272 >= j && fade.end <= j + 272));
        }
        let out = all(assembly);
        let again = all(assemble(track.clone(), &runs, &pieces, &fades).unwrap());
        prop_assert_eq!(&out, &again);
        let mut at = 0_u64;
        for run in &runs {
            if let SoundRun::Source { samples } = run {
                for n in 0..run.len() {
                    // Crossfades may lie up to 17 ms into a neighbour, which then begins or ends there.
                    let near = n < 272 || run.len() - n <= 272;
                    if near {
                        continue;
                    }
                    for (out, recorded) in out.iter().zip(&track.channels) {
                        prop_assert_eq!(out[(at + n) as usize].to_bits(), recorded[(samples.start.0 + n) as usize].to_bits());
                    }
                }
            }
            at += run.len();
        }
        for channel in &out {
            prop_assert_eq!(channel.len() as u64, total);
            prop_assert!(channel.iter().all(|s| s.is_finite() && s.abs() < 2.0));
        }
    }
}
