use super::*;
use crate::transcript;
use crate::wave::Wave;

/// Tests against recordings and the acoustic model run where both are installed.
fn aligner() -> Option<Aligner> {
    let aligner = Aligner::new();
    if let Some(error) = aligner.model_error() {
        println!("skipped: {error} (apt install pocketsphinx-en-us)");
        return None;
    }
    Some(aligner)
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// Pairs of equal words of two texts, by their longest common subsequence.
fn matched(a: &[String], b: &[String]) -> Vec<(usize, usize)> {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            table[i][j] = if a[i] == b[j] {
                table[i + 1][j + 1] + 1
            } else {
                table[i + 1][j].max(table[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            pairs.push((i, j));
            i += 1;
            j += 1;
        } else if table[i + 1][j] >= table[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

fn at(sorted: &[f64], fraction: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * fraction).ceil() as usize]
}

/// Prints and gives median and 90th percentile of the sizes of errors, in ms.
fn figures(what: &str, errors: &[f64]) -> (f64, f64) {
    let mut sizes: Vec<f64> = errors.iter().map(|e| 1000.0 * e.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let (median, ninth) = (at(&sizes, 0.5), at(&sizes, 0.9));
    println!(
        "{what}: {} words, start error median {median:.1} ms, 90th percentile {ninth:.1} ms, largest {:.0} ms",
        errors.len(),
        at(&sizes, 1.0)
    );
    (median, ninth)
}

#[test]
fn word_starts_agree_with_aligned_recordings() {
    let (Some(aligner), Some(folder)) = (aligner(), shared("media/timing/mfa")) else {
        return;
    };
    let plain = |text: &str| text.to_lowercase();
    let mut all = Vec::new();
    for name in ["acoustic_corpus", "cold_corpus"] {
        let wave = Wave::read(&folder.join(format!("{name}.wav"))).unwrap();
        let truth = transcript::read(&folder.join(format!("{name}.TextGrid")))
            .unwrap()
            .transcript;
        let text = std::fs::read_to_string(folder.join(format!("{name}.lab"))).unwrap();
        let found = aligner
            .align(&wave.samples, &text, "en")
            .unwrap()
            .transcript;
        let theirs: Vec<String> = truth.words().iter().map(|w| plain(&w.text)).collect();
        let ours: Vec<String> = found.words().iter().map(|w| plain(&w.text)).collect();
        let errors: Vec<f64> = matched(&theirs, &ours)
            .into_iter()
            .map(|(t, o)| (found.words()[o].start - truth.words()[t].start).0)
            .collect();
        assert!(errors.len() > 50);
        figures(name, &errors);
        all.extend(errors);
    }
    let (median, ninth) = figures("both", &all);
    // Times of the reference are rounded to 10 ms.
    assert!(median <= 15.0 && ninth <= 50.001, "{median} {ninth}");
}

/// A sentence of flite's, aligned without the times that flite gives.
#[test]
fn synthetic_speech_is_aligned_as_it_was_made() {
    use crate::voice::{Voice, flite::Flite};
    let Some(aligner) = aligner() else {
        return;
    };
    let voice = Flite::new("slt");
    let text = "The quick brown fox jumps over 21 lazy dogs, while a Zyglorp hums quietly in the background.";
    let spoken = match voice.say(text) {
        Ok(spoken) => spoken,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let truth = spoken.words.unwrap();
    let samples = spoken.wave.at_rate(units::SampleRate::SPEECH).samples;
    let found = aligner.align(&samples, text, "en-US").unwrap();
    assert_eq!(found.guessed, ["zyglorp"]);
    assert_eq!(found.transcript.len(), truth.len());
    let errors: Vec<f64> = found
        .transcript
        .words()
        .iter()
        .zip(&truth)
        .map(|(ours, theirs)| (ours.start - theirs.start).0)
        .collect();
    let (median, ninth) = figures("flite", &errors);
    assert!(median <= 20.0 && ninth <= 60.0);
    // The right text is believed, another text is not.
    let sure = |a: &Alignment| {
        let all: Vec<f32> = a
            .transcript
            .words()
            .iter()
            .filter_map(|w| w.confidence)
            .collect();
        all.iter().sum::<f32>() / all.len() as f32
    };
    let wrong = aligner
        .align(
            &samples,
            "Nobody ever asked whether these mountains should vote in spring.",
            "en",
        )
        .unwrap();
    println!("confidence {} right, {} wrong", sure(&found), sure(&wrong));
    assert!(sure(&found) > 0.7 && sure(&wrong) < 0.4);
}

#[test]
fn what_cannot_be_aligned_is_said() {
    let Some(aligner) = aligner() else {
        return;
    };
    let refused =
        |samples: &[f32], text: &str| aligner.align(samples, text, "en").unwrap_err().to_string();
    assert_eq!(
        refused(&vec![0.0; 16_000], " — "),
        "the text to align has no words"
    );
    assert_eq!(
        refused(&[], "hello"),
        "there is no sound to align the text with"
    );
    assert_eq!(
        refused(&[0.0; 1600], "far too many words for a tenth of a second"),
        "the text does not match the sound: there is no way to say its 10 words in 0.1 s"
    );
}

#[test]
fn a_missing_model_is_named() {
    let aligner = Aligner::with_model(Path::new("/nonexistent"));
    let error = aligner.model_error().unwrap().to_string();
    assert_eq!(
        error,
        "cannot read /nonexistent/en-us/mdef of the acoustic model"
    );
}

/// Without a model of the language, the sound is compared with espeak-ng's voice.
#[test]
fn other_languages_are_aligned_against_a_synthetic_voice() {
    use crate::voice::{Voice, VoiceError, flite::Flite};
    let aligner = Aligner::with_model(Path::new("/nonexistent"));
    let text = "Every morning the old captain walked slowly along the harbour wall, counted the fishing boats, \
                and wrote their names into a small green book.";
    let spoken = match Flite::new("slt").say(text) {
        Ok(spoken) => spoken,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let truth = spoken.words.unwrap();
    // Long enough for several windows.
    let once = spoken.wave.at_rate(units::SampleRate::SPEECH).samples;
    let (times, mut samples) = (8, Vec::new());
    for _ in 0..times {
        samples.extend_from_slice(&once);
    }
    let found = match aligner.align(&samples, &[text; 8].join(" "), "en") {
        Ok(found) => found,
        Err(AlignError::Voice {
            source: error @ VoiceError::NotInstalled { .. },
            ..
        }) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(found.method, Method::SyntheticVoice);
    assert_eq!(found.transcript.len(), truth.len() * times);
    let length = once.len() as f64 / 16_000.0;
    let errors: Vec<f64> = found
        .transcript
        .words()
        .iter()
        .enumerate()
        .map(|(n, word)| {
            word.start.0 - truth[n % truth.len()].start.0 - (n / truth.len()) as f64 * length
        })
        .collect();
    let (median, ninth) = figures("synthetic voice", &errors);
    // Coarse: good enough to find a word, not to cut beside it.
    assert!(median <= 80.0 && ninth <= 450.0);
    let error = aligner.align(&once, "nuqneH", "tlh-nonsense").unwrap_err();
    assert!(matches!(error, AlignError::Voice { .. }), "{error}");
}

/// The two recordings in turn: minutes of sound are followed as well as seconds.
#[test]
fn long_sound_is_followed_as_well_as_short() {
    let (Some(aligner), Some(folder)) = (aligner(), shared("media/timing/mfa")) else {
        return;
    };
    let (mut samples, mut text, mut expected) = (Vec::new(), String::new(), Vec::new());
    for name in ["acoustic_corpus", "cold_corpus", "acoustic_corpus"] {
        let wave = Wave::read(&folder.join(format!("{name}.wav"))).unwrap();
        let said = std::fs::read_to_string(folder.join(format!("{name}.lab"))).unwrap();
        let begin = samples.len() as f64 / 16_000.0;
        let alone = aligner
            .align(&wave.samples, &said, "en")
            .unwrap()
            .transcript;
        expected.extend(alone.words().iter().map(|w| w.start.0 + begin));
        samples.extend_from_slice(&wave.samples);
        text = text + " " + &said;
    }
    let clock = std::time::Instant::now();
    let found = aligner.align(&samples, &text, "en").unwrap().transcript;
    println!(
        "{:.0} s of sound took {:.1} s",
        samples.len() as f64 / 16_000.0,
        clock.elapsed().as_secs_f64()
    );
    let errors: Vec<f64> = found
        .words()
        .iter()
        .zip(&expected)
        .map(|(w, e)| w.start.0 - e)
        .collect();
    let (median, ninth) = figures("long against short", &errors);
    assert!(median <= 10.001 && ninth <= 80.0);
}
