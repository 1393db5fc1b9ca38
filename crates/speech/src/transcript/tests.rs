use super::*;
use edit::Word;
use proptest::prelude::*;
use units::Seconds;

/// The same three words in every format, of our own making.
fn fixtures() -> Vec<(&'static str, Format, Vec<u8>)> {
    let s = |text: &str| text.as_bytes().to_vec();
    let short_grid = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\n0\n2\n<exists>\n2\n\"IntervalTier\"\n\"phones\"\n0\n2\n1\n0\n2\n\"AH\"\n\"IntervalTier\"\n\"words\"\n0\n2\n4\n0\n0.5\n\"Good\"\n0.5\n0.6\n\"\"\n0.6\n1\n\"\"\"day\"\"\"\n1\n1.5\n\"all\"\n";
    let long_grid = "File type = \"ooTextFile\"\r\nObject class = \"TextGrid\"\r\n\r\nxmin = 0 \r\nxmax = 2 \r\ntiers? <exists> \r\nsize = 2 \r\nitem []: \r\n    item [1]:\r\n        class = \"TextTier\" \r\n        name = \"notes\" \r\n        xmin = 0 \r\n        xmax = 2 \r\n        points: size = 1 \r\n        points [1]:\r\n            number = 0.3 \r\n            mark = \"x\" \r\n    item [2]:\r\n        class = \"IntervalTier\" \r\n        name = \"Words\" \r\n        xmin = 0 \r\n        xmax = 2 \r\n        intervals: size = 3 \r\n        intervals [1]:\r\n            xmin = 0 \r\n            xmax = 0.5 \r\n            text = \"Good\" \r\n        intervals [2]:\r\n            xmin = 0.6 \r\n            xmax = 1 \r\n            text = \"\"\"day\"\"\" \r\n        intervals [3]:\r\n            xmin = 1 \r\n            xmax = 1.5 \r\n            text = \"all\" \r\n";
    let utf16 = |text: &str| {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    vec![
        (
            "own",
            Format::Own,
            s(
                r#"{"version":1,"language":"en","words":[{"text":"Good","start":0,"end":0.5,"confidence":0.9,"speaker":null},{"text":"\"day\"","start":0.6,"end":1.0},{"text":"all","start":1.0,"end":1.5}]}"#,
            ),
        ),
        (
            "whisperx",
            Format::WhisperX,
            s(
                r#"{"segments":[{"start":0,"end":1.5,"text":" Good \"day\" all","words":[{"word":"Good","start":0,"end":0.5,"score":0.9,"speaker":"A"},{"word":"\"day\"","start":0.6,"end":1.0},{"word":"all","start":1.0,"end":1.5}]}],"language":"en"}"#,
            ),
        ),
        (
            "whisper.cpp words",
            Format::WhisperCpp,
            s(
                r#"{"result":{"language":"en"},"transcription":[{"offsets":{"from":0,"to":1500},"text":" Good \"day\" all","tokens":[{"text":"[_BEG_]","offsets":{"from":0,"to":0}},{"text":" Go","offsets":{"from":0,"to":250},"p":0.9},{"text":"od","offsets":{"from":250,"to":500},"p":0.8},{"text":" \"day","offsets":{"from":600,"to":900},"p":0.9},{"text":"\"","offsets":{"from":900,"to":1000},"p":0.9},{"text":" all","offsets":{"from":1000,"to":1500},"p":0.9}]}]}"#,
            ),
        ),
        (
            "openai",
            Format::OpenAi,
            s(
                r#"{"task":"transcribe","language":"english","duration":2,"text":"x","segments":[{"start":0,"end":1.5,"text":"x"}],"words":[{"word":"Good","start":0,"end":0.5},{"word":"\"day\"","start":0.6,"end":1.0},{"word":"all","start":1.0,"end":1.5}]}"#,
            ),
        ),
        (
            "deepgram",
            Format::Deepgram,
            s(
                r#"{"metadata":{},"results":{"channels":[{"alternatives":[{"transcript":"x","confidence":1,"words":[{"word":"good","punctuated_word":"Good","start":0,"end":0.5,"confidence":0.9,"speaker":0},{"word":"day","punctuated_word":"\"day\"","start":0.6,"end":1.0,"confidence":1},{"word":"all","start":1.0,"end":1.5,"confidence":1}]}]}]}}"#,
            ),
        ),
        (
            "aws",
            Format::AwsTranscribe,
            s(
                r#"{"jobName":"j","results":{"language_code":"en-US","items":[{"type":"pronunciation","start_time":"0.0","end_time":"0.5","alternatives":[{"confidence":"0.9","content":"Good"}]},{"type":"pronunciation","start_time":"0.6","end_time":"1.0","alternatives":[{"confidence":"0.9","content":"\"day"}]},{"type":"punctuation","alternatives":[{"content":"\""}]},{"type":"pronunciation","start_time":"1.0","end_time":"1.5","alternatives":[{"confidence":"0.9","content":"all"}]}]}}"#,
            ),
        ),
        (
            "list",
            Format::JsonList,
            s(
                r#"[{"word":"Good","start":0,"end":0.5,"conf":1},{"word":"\"day\"","start":"0.6","end":1.0},{"word":"all","start":1.0,"end":1.5}]"#,
            ),
        ),
        (
            "vtt",
            Format::Vtt,
            s(
                "WEBVTT\n\n00:00.000 --> 00:00.500\nGood\n\n00:00.600 --> 00:01.500\n\"day\"<00:00:01.000><c> all</c>\n",
            ),
        ),
        ("short TextGrid", Format::TextGrid, s(short_grid)),
        ("long TextGrid", Format::TextGrid, s(long_grid)),
        ("UTF-16 TextGrid", Format::TextGrid, utf16(long_grid)),
        (
            "ctm",
            Format::Ctm,
            s(
                ";; comment\nrec 1 0.00 0.50 Good 0.9\nrec 1 0.60 0.40 \"day\" NA\nrec 1 1.00 0.50 all\n",
            ),
        ),
        (
            "labels",
            Format::Lines,
            s("0\t0.5\tGood\n0.6\t1\t\"day\"\n1\t1.5\tall\n"),
        ),
        (
            "words",
            Format::Lines,
            s("\u{feff}word start end\r\nGood 0 0.5\r\nday 0.6 1\r\nall 1 1.5\r\n"),
        ),
        (
            "grid",
            Format::Lines,
            s("0 100 sil\n0 12500 Good\n15000 25000 day\n25000 37500 all\n37500 50000 sil\n"),
        ),
    ]
}

#[test]
fn every_format_gives_the_same_words() {
    for (name, format, bytes) in fixtures() {
        let loaded = parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.format, format, "{name}");
        assert_eq!(loaded.interpolated, 0, "{name}");
        let words: Vec<(String, f64, f64)> = loaded
            .transcript
            .words()
            .iter()
            .map(|w| (w.text.trim_matches('"').to_owned(), w.start.0, w.end.0))
            .collect();
        let expected = [("Good", 0.0, 0.5), ("day", 0.6, 1.0), ("all", 1.0, 1.5)];
        assert_eq!(words.len(), 3, "{name}: {words:?}");
        for ((text, start, end), expected) in words.iter().zip(expected) {
            assert_eq!(text, expected.0, "{name}");
            assert!(
                (start - expected.1).abs() < 1e-6 && (end - expected.2).abs() < 1e-6,
                "{name}: {words:?}"
            );
        }
    }
}

#[test]
fn captions_are_spread_by_length_and_said_to_be() {
    let srt = "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>a bcd</i>\r\n[Music]\r\n\r\n2\r\n00:00:03,500 --> 00:00:04,000\r\nend\r\n";
    let loaded = parse(srt.as_bytes()).unwrap();
    // A caption of one word has that word's times.
    assert_eq!((loaded.format, loaded.interpolated), (Format::Srt, 2));
    let words = loaded.transcript.words();
    assert_eq!(words.len(), 3);
    // "a" weighs 2 and "bcd" 4.
    assert!((words[0].end.0 - (1.0 + 2.0 / 6.0)).abs() < 1e-9);
    assert_eq!(words[1].end, Seconds(2.0));
    assert_eq!((words[2].start, words[2].end), (Seconds(3.5), Seconds(4.0)));
}

#[test]
fn rolling_captions_are_read_once() {
    let vtt = "WEBVTT\nKind: captions\nLanguage: en\n\n00:00:01.000 --> 00:00:02.000 align:start position:0%\n \nthis<00:00:01.300><c> is</c><00:00:01.600><c> it</c>\n\n00:00:02.000 --> 00:00:02.010 align:start\nthis is it\n \n\n00:00:02.010 --> 00:00:03.000\nthis is it\nand<00:00:02.500><c> more</c>\n";
    let loaded = parse(vtt.as_bytes()).unwrap();
    assert_eq!(loaded.transcript.text(0..9), "this is it and more");
    assert_eq!(loaded.transcript.language(), Some("en"));
    assert_eq!(loaded.interpolated, 0);
    assert_eq!(loaded.transcript.words()[1].start, Seconds(1.3));
}

#[test]
fn words_without_times_are_filled_in() {
    let json = r#"{"segments":[{"start":0,"end":2,"words":[{"word":"in","start":0.0,"end":0.2},{"word":"2024"},{"word":"we","start":0.8,"end":1.0}]}]}"#;
    let loaded = parse(json.as_bytes()).unwrap();
    let word = &loaded.transcript.words()[1];
    assert_eq!((word.start, word.end), (Seconds(0.2), Seconds(0.8)));
    assert_eq!(loaded.interpolated, 1);
    let json = r#"{"segments":[{"start":1,"end":2,"text":" two words"}]}"#;
    let loaded = parse(json.as_bytes()).unwrap();
    assert_eq!((loaded.format, loaded.interpolated), (Format::OpenAi, 2));
}

#[test]
fn what_is_no_transcript_is_refused_with_a_reason() {
    let reason = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert_eq!(reason(b" \n"), "it is empty");
    assert_eq!(reason(b"\x00\x00\x00\x18ftypmp42"), "it is not text");
    assert_eq!(
        reason(b"{\"a\":\n[1,}"),
        "a JSON list of words, line 2: it is not valid JSON"
    );
    assert_eq!(
        reason(b"{\"version\":7,\"words\":[]}"),
        "reword's JSON, line 1: the transcript has version 7; this build reads version 1"
    );
    assert_eq!(reason(b"WEBVTT\n\n"), "it is VTT without any word");
    assert!(reason(b"Just a script without any times.").starts_with("its format is not known"));
    assert_eq!(
        reason(b"File type = \"ooTextFile\"\n\"TextGrid\"\n0\n2\n<exists>\n1\n\"IntervalTier\"\n\"w\"\n0\n1\n1\n0\n"),
        "a TextGrid, line 12: it ends where a number should be"
    );
    let error = read(Path::new("/nonexistent/words.json"))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cannot read the transcript /nonexistent/words.json");
}

#[test]
fn real_files_of_other_tools_are_read() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/media/timing/formats"
    ));
    if !folder.exists() {
        println!("skipped: {} is not here", folder.display());
        return;
    }
    let load = |name: &str| read(&folder.join(name)).unwrap();
    let json = load("manifesto.json");
    let vtt = load("manifesto.vtt");
    let srt = load("manifesto.srt");
    let whisper = load("efficient_bonjour_vous_allez_bien.mp3.words.json");
    assert_eq!(json.format, Format::JsonList);
    assert_eq!((vtt.format, srt.format), (Format::Vtt, Format::Srt));
    assert_eq!(whisper.format, Format::WhisperX);
    assert_eq!((json.interpolated, whisper.interpolated), (0, 0));
    assert!(
        vtt.transcript
            .text(0..7)
            .starts_with("this audiobook is in the public domain")
    );
    assert!((vtt.transcript.words()[1].start.0 - 1.92).abs() < 1e-9);
    // The captions of one video, in two forms.
    assert_eq!(srt.transcript.text(0..1000), vtt.transcript.text(0..1000));
    assert!(srt.interpolated * 100 > srt.transcript.len() * 95);
    for loaded in [json, vtt, srt, whisper] {
        println!(
            "{}: {} words, {} interpolated",
            loaded.format,
            loaded.transcript.len(),
            loaded.interpolated
        );
    }
}

fn any_transcript() -> impl Strategy<Value = Transcript> {
    let word = (
        "[a-zé<&\"]{1,8}[.?]?",
        0_u32..400,
        60_u32..900,
        prop::option::of(0_u32..=1000),
        prop::option::of("[A-C]"),
    );
    prop::collection::vec(word, 1..60).prop_map(|words| {
        let mut at = 0.0;
        let words = words
            .into_iter()
            .map(|(text, gap, length, confidence, speaker)| {
                let start = at + f64::from(gap) / 1000.0;
                at = start + f64::from(length) / 1000.0;
                Word {
                    text,
                    start: Seconds((start * 1000.0).round() / 1000.0),
                    end: Seconds((at * 1000.0).round() / 1000.0),
                    confidence: confidence.map(|c| c as f32 / 1000.0),
                    speaker,
                }
            })
            .collect();
        Transcript::new(Some("en".into()), words).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn our_json_comes_back_as_it_was(transcript in any_transcript()) {
        let loaded = parse(to_json(&transcript).as_bytes()).unwrap();
        prop_assert_eq!(loaded.transcript, transcript);
    }

    #[test]
    fn captions_keep_every_word_and_time(transcript in any_transcript()) {
        let loaded = parse(to_vtt(&transcript).as_bytes()).unwrap();
        prop_assert_eq!(loaded.transcript.len(), transcript.len());
        for (a, b) in loaded.transcript.words().iter().zip(transcript.words()) {
            prop_assert_eq!(&a.text, &b.text);
            prop_assert!((a.start - b.start).abs().0 < 1e-6);
        }
        let srt = to_srt(&transcript);
        prop_assert_eq!(srt.matches("-->").count(), to_vtt(&transcript).matches("-->").count());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        which in 0_usize..15,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let (_, _, mut bytes) = fixtures().swap_remove(which);
        for (place, byte, kind) in damage {
            let at = place.index(bytes.len().max(1));
            match kind {
                0 => if let Some(slot) = bytes.get_mut(at) { *slot = byte },
                1 => bytes.insert(at.min(bytes.len()), byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(loaded) = parse(&bytes) {
            prop_assert!(!loaded.transcript.is_empty());
        }
    }

    #[test]
    fn numbers_of_any_size_are_read_or_refused(start in any::<f64>(), end in any::<f64>()) {
        let text = format!("[{{\"word\":\"a\",\"start\":\"{start}\",\"end\":\"{end}\"}}]");
        let _ = parse(text.as_bytes());
        let _ = parse(format!("a {start} {end}").as_bytes());
        let _ = parse(format!("WEBVTT\n\n{start}:{end} --> 9:1\nx").as_bytes());
    }
}
