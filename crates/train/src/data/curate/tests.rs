use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn clips(folder: &Path, count: usize) -> Vec<FootageClip> {
    (0..count)
        .map(|n| {
            let path: PathBuf = folder.join(format!("{n}.mp4"));
            std::fs::write(&path, format!("clip {}", n.min(8))).unwrap();
            FootageClip {
                id: format!("{n}.mp4"),
                path,
                identity: String::new(),
                weight: 1.0,
                held_out: false,
                packed: None,
            }
        })
        .collect()
}

/// A clip as its number makes it.
fn look(clip: &FootageClip) -> Verdict {
    let bytes = std::fs::read(&clip.path).unwrap();
    let n: u64 = clip.id.trim_end_matches(".mp4").parse().unwrap();
    Verdict {
        id: clip.id.clone(),
        bytes: bytes.len() as u64,
        digest: String::from_utf8(bytes).unwrap(),
        failed: (n == 3).then_some(Filter::Corrupt),
        reason: None,
        examined: Examined {
            rate: Some(if n == 1 { 12.0 } else { 25.0 }),
            frames: Some(100 + 10 * n),
            bit_rate: Some(3_000_000),
            agreement: (n > 5).then_some(0.1 * n as f64 - 0.5),
            ..Examined::default()
        },
    }
}

#[test]
fn the_funnel_counts_goes_on_and_judges_anew() {
    let folder = tempfile::tempdir().unwrap();
    let clips = clips(folder.path(), 10);
    let log = folder.path().join("log/curate.jsonl");
    let looked = AtomicUsize::new(0);
    let counted = |clip: &FootageClip| {
        looked.fetch_add(1, Ordering::Relaxed);
        look(clip)
    };
    let thresholds = Thresholds::default();
    let run = |thresholds: &Thresholds, stop: usize| {
        let stopped = || looked.load(Ordering::Relaxed) >= stop;
        curate(&clips, thresholds, &log, &counted, &|_, _| {}, &stopped)
    };
    assert!(matches!(
        run(&thresholds, 4),
        Err(TrainError::Stopped { .. })
    ));
    let first = looked.load(Ordering::Relaxed);
    assert!((4..10).contains(&first));
    // A line that was cut off by the power is looked at again.
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, &text[..text.len() - 9]).unwrap();
    let verdicts = run(&thresholds, 1000).unwrap();
    assert_eq!(looked.load(Ordering::Relaxed), 11);
    let fallen = |verdicts: &[Verdict]| verdicts.iter().map(|v| v.failed).collect::<Vec<_>>();
    let length = Some(Filter::Length);
    assert_eq!(
        fallen(&verdicts),
        [
            length,
            Some(Filter::FrameRate),
            length,
            Some(Filter::Corrupt),
            None,
            None,
            Some(Filter::Agreement),
            Some(Filter::Agreement),
            None,
            Some(Filter::Duplicate),
        ]
    );
    let funnel = Funnel::of(&verdicts);
    assert_eq!(funnel.steps.iter().map(|s| s.dropped).sum::<usize>(), 7);
    assert_eq!(funnel.steps.last().unwrap().left, 3);
    assert!(
        funnel
            .table()
            .contains("agreement               2        3"),
        "{}",
        funnel.table()
    );
    assert!(funnel.picture().height > 300);
    // Other bounds judge what is known; nothing is looked at again.
    let loose = Thresholds {
        frames: 1,
        agreement: -1.0,
        ..thresholds
    };
    let verdicts = run(&loose, 1000).unwrap();
    assert_eq!(looked.load(Ordering::Relaxed), 11);
    assert_eq!(fallen(&verdicts).iter().filter(|f| f.is_none()).count(), 7);
}

#[test]
fn bounds_are_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, "frames = 50\nagreement = 0.2").unwrap();
    let found = Thresholds::open(&path).unwrap();
    assert_eq!((found.frames, found.bit_rate), (50, 2_000_000));
    std::fs::write(&path, "speech = 3.0").unwrap();
    let error = Thresholds::open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("speech is 3, but must be within 0..1"),
        "{error}"
    );
    std::fs::write(&path, "loudness = 3.0").unwrap();
    assert!(Thresholds::open(&path).is_err());
}
