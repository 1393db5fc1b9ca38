use super::*;
use crate::voice::Voice;
use crate::wave::Wave;
use base64::Engine as _;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A server on loopback that answers one request; gives its address and, when joined, the request.
fn server(status: &str, kind: &str, body: Vec<u8>) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            request.push_str(&line);
        }
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        (request, String::from_utf8(sent).unwrap())
    });
    (address, thread)
}

fn wav() -> (Wave, Vec<u8>) {
    let wave = Wave {
        rate: units::SampleRate::new(24_000).unwrap(),
        samples: (0..2400).map(|n| (n % 100) as f32 / 128.0).collect(),
    };
    let mut bytes = Cursor::new(Vec::new());
    wave.write_16_bit(&mut bytes).unwrap();
    (wave, bytes.into_inner())
}

fn openai(base: String) -> OpenAi {
    OpenAi {
        base,
        key: "secret".into(),
        model: "m".into(),
        voice: "alloy".into(),
    }
}

#[test]
fn openai_is_asked_for_a_wav_and_read() {
    let (wave, bytes) = wav();
    let (address, thread) = server("200 OK", "audio/wav", bytes);
    let spoken = openai(format!("{address}/v1/"))
        .say("say \"this\"")
        .unwrap();
    assert_eq!(spoken.wave.samples.len(), wave.samples.len());
    let (request, body) = thread.join().unwrap();
    assert!(request.starts_with("POST /v1/audio/speech HTTP/1.1"));
    assert!(
        request.contains("authorization: Bearer secret")
            || request.contains("Authorization: Bearer secret")
    );
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["input"], "say \"this\"");
    assert_eq!(body["response_format"], "wav");
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let answer = br#"{"error":{"message":"Incorrect API key provided","type":"x"}}"#.to_vec();
    let (address, thread) = server("401 Unauthorized", "application/json", answer);
    let error = openai(address).say("hello").unwrap_err().to_string();
    assert_eq!(error, "openai refused (401): Incorrect API key provided");
    thread.join().unwrap();
    let error = openai("http://127.0.0.1:9".into())
        .say("hello")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "cannot reach openai at http://127.0.0.1:9/audio/speech"
    );
}

#[test]
fn elevenlabs_gives_words_with_times() {
    let pcm: Vec<u8> = (0..2400_i16).flat_map(i16::to_le_bytes).collect();
    let answer = serde_json::json!({
        "audio_base64": base64::engine::general_purpose::STANDARD.encode(pcm),
        "alignment": {
            "characters": ["H", "i", " ", "y", "o", "u"],
            "character_start_times_seconds": [0.0, 0.01, 0.02, 0.03, 0.04, 0.05],
            "character_end_times_seconds": [0.01, 0.02, 0.03, 0.04, 0.05, 0.09],
        },
    });
    let (address, thread) = server(
        "200 OK",
        "application/json",
        answer.to_string().into_bytes(),
    );
    let voice = ElevenLabs {
        base: address,
        key: "secret".into(),
        model: "m".into(),
        voice: "abc".into(),
    };
    let spoken = voice.say("Hi you").unwrap();
    assert_eq!(spoken.wave.rate.hertz(), 24_000);
    assert_eq!(spoken.wave.samples.len(), 2400);
    let words = spoken.words.unwrap();
    assert_eq!(words.len(), 2);
    assert_eq!(
        (words[1].text.as_str(), words[1].start.0, words[1].end.0),
        ("you", 0.03, 0.09)
    );
    let (request, body) = thread.join().unwrap();
    assert!(
        request.starts_with("POST /v1/text-to-speech/abc/with-timestamps?output_format=pcm_24000 ")
    );
    assert!(request.to_lowercase().contains("xi-api-key: secret"));
    assert!(body.contains("\"model_id\":\"m\""));
}

#[test]
fn an_answer_that_is_no_sound_is_an_error() {
    let (address, thread) = server("200 OK", "text/html", b"<html>".to_vec());
    let error = openai(address).say("hello").unwrap_err().to_string();
    assert_eq!(error, "the engine's answer is not a readable WAV");
    thread.join().unwrap();
}
