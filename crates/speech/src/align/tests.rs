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

/// English as if it were another language: phonemes of espeak-ng, no dictionary.
#[test]
fn borrowed_phones_find_words_of_recordings() {
    let (Some(aligner), Some(folder)) = (aligner(), shared("media/timing/mfa")) else {
        return;
    };
    let Ok(model) = &aligner.english else {
        return;
    };
    let mut all = Vec::new();
    for name in ["acoustic_corpus", "cold_corpus"] {
        let wave = Wave::read(&folder.join(format!("{name}.wav"))).unwrap();
        let truth = transcript::read(&folder.join(format!("{name}.TextGrid")))
            .unwrap()
            .transcript;
        let text = std::fs::read_to_string(folder.join(format!("{name}.lab"))).unwrap();
        let tokens = super::tokens(&text, true);
        let timed = match model.align_foreign(&wave.samples, &tokens, "en-us") {
            Ok(timed) => timed,
            Err(AlignError::Voice { source, .. }) => {
                println!("skipped: {source}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let found = super::words(&tokens, &timed, wave.duration());
        let plain = |text: &str| text.to_lowercase();
        let theirs: Vec<String> = truth.words().iter().map(|w| plain(&w.text)).collect();
        let ours: Vec<String> = found.iter().map(|w| plain(&w.text)).collect();
        all.extend(
            matched(&theirs, &ours)
                .into_iter()
                .map(|(t, o)| (found[o].start - truth.words()[t].start).0),
        );
    }
    let (median, ninth) = figures("borrowed phones", &all);
    assert!(median <= 20.0 && ninth <= 80.0, "{median} {ninth}");
}

/// German and French words of espeak-ng's, one after the other with pauses, so that their times are known.
#[test]
fn words_of_other_languages_are_found_by_borrowed_phones() {
    let Some(aligner) = aligner() else {
        return;
    };
    for (language, text) in [
        (
            "de",
            "Guten Morgen zusammen die schöne grüne Kiste steht heute hinter dem großen Brunnen und gehört niemandem",
        ),
        (
            "fr",
            "Bonjour mesdames la petite boulangerie ouvre demain matin avec du bon pain et des fruits rouges",
        ),
    ] {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let voice = match crate::voice::espeak::each_word(&words, language) {
            Ok(voice) => voice,
            Err(error) => {
                println!("skipped: {error}");
                return;
            }
        };
        let (mut samples, mut starts) = (vec![0.0; 4800], Vec::new());
        for (index, wave) in voice.iter().enumerate() {
            starts.push(samples.len() as f64 / 16_000.0);
            samples.extend(wave.at_rate(units::SampleRate::SPEECH).samples);
            if index % 4 == 3 {
                samples.resize(samples.len() + 4800, 0.0);
            }
        }
        samples.resize(samples.len() + 4800, 0.0);
        let found = aligner.align(&samples, text, language).unwrap();
        assert_eq!(found.method, Method::BorrowedModel);
        let errors: Vec<f64> = found
            .transcript
            .words()
            .iter()
            .zip(&starts)
            .map(|(word, start)| word.start.0 - start)
            .collect();
        let (median, ninth) = figures(language, &errors);
        assert!(
            median <= 60.0 && ninth <= 250.0,
            "{language}: {median} {ninth}"
        );
    }
}

/// What a reader of `LibriSpeech` says in ten utterances (1688-142285), from Gaskell's "North and South".
const READ: [&str; 10] = [
    "there's iron they say in all our blood and a grain or two perhaps is good but his he makes me harshly feel has got a little too much of steel anon",
    "margaret said mister hale as he returned from showing his guest downstairs i could not help watching your face with some anxiety when mister thornton made his confession of having been a shop boy",
    "you don't mean that you thought me so silly",
    "i really liked that account of himself better than anything else he said",
    "his statement of having been a shop boy was the thing i liked best of all",
    "you who were always accusing people of being shoppy at milton",
    "i don't think mister hale you have done quite right in introducing such a person to us without telling us what he had been",
    "i really was very much afraid of showing him how much shocked i was at some parts of what he said",
    "his father dying in miserable circumstances",
    "why it might have been in the workhouse",
];

/// The utterances twice in a row, over two minutes: times agree with those of each utterance alone.
#[test]
fn minutes_of_a_recording_are_aligned_as_its_parts() {
    let (Some(aligner), Some(folder)) = (aligner(), shared("media/speech/librispeech")) else {
        return;
    };
    let (mut samples, mut expected) = (Vec::new(), Vec::new());
    for round in 0..2 {
        for (index, text) in READ.iter().enumerate() {
            let path = folder.join(format!("resemblyzer__1688_1688-142285-{index:04}.flac"));
            let heard = media::sound::read_all_mono_16k(&path).unwrap();
            let begin = samples.len() as f64 / 16_000.0;
            if round == 0 {
                let alone = aligner.align(&heard, text, "en").unwrap().transcript;
                expected.extend(alone.words().iter().map(|word| word.start.0 + begin));
            }
            samples.extend(heard);
        }
    }
    let half = samples.len() as f64 / 32_000.0;
    expected.extend(expected.clone().into_iter().map(|start| start + half));
    let found = aligner
        .align(&samples, &[READ.join(" "), READ.join(" ")].join(" "), "en")
        .unwrap()
        .transcript;
    assert_eq!(found.len(), expected.len());
    let errors: Vec<f64> = found
        .words()
        .iter()
        .zip(&expected)
        .map(|(word, start)| word.start.0 - start)
        .collect();
    let (median, ninth) = figures("two minutes against parts", &errors);
    assert!(
        half > 60.0 && median <= 10.001 && ninth <= 40.0,
        "{median} {ninth}"
    );
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
