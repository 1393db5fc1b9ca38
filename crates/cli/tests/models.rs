//! `reword models pull` and `verify` against a small server that plays the hub.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use sha2::Digest as _;

/// Files by path in the URL, and what the server does about them.
#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    /// Say another checksum than the true one.
    lie: bool,
    /// Break the next transfer off in the middle.
    cut: bool,
    /// Requests as they came: path and range.
    seen: Vec<(String, String)>,
    /// The token that has to come along.
    token: Option<String>,
}

fn sha256(bytes: &[u8]) -> String {
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn serve(hub: &Arc<Mutex<Hub>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let hub = Arc::clone(hub);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let hub = Arc::clone(&hub);
            std::thread::spawn(move || drop(answer(&stream.unwrap(), &hub)));
        }
    });
    format!("http://{address}")
}

/// One request on one connection.
fn answer(stream: &TcpStream, hub: &Mutex<Hub>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut range, mut token) = (String::new(), None);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "range" => value.trim().clone_into(&mut range),
            "authorization" => token = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut hub = hub.lock().unwrap();
    hub.seen.push((path.clone(), range.clone()));
    let mut stream = stream;
    if hub.token.is_some() && hub.token != token {
        return stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    }
    let Some(bytes) = hub.files.get(&path).cloned() else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    };
    let (from, to) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .map_or((0, bytes.len() - 1), |(from, to)| {
            (
                from.parse().unwrap(),
                to.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1),
            )
        });
    let part = &bytes[from..=to];
    let etag = if hub.lie {
        sha256(b"other")
    } else {
        sha256(&bytes)
    };
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{to}/{}\r\netag: \"{etag}\"\r\nx-repo-commit: 0123456789abcdef\r\nconnection: close\r\n\r\n",
        part.len(),
        bytes.len()
    )?;
    let cut = hub.cut && part.len() > 1;
    if cut {
        hub.cut = false;
        return stream.write_all(&part[..part.len() / 2]);
    }
    stream.write_all(part)
}

fn reword(home: &Path, endpoint: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reword"))
        .args(arguments)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("HF_HUB_CACHE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const URL: &str = "/openai/whisper-small/resolve/main/model.safetensors";

/// A safetensors file that is no Whisper, but holds together.
fn content() -> Vec<u8> {
    let header =
        br#"{"model.encoder.conv1.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  "#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&[0; 24]);
    bytes
}

#[test]
fn a_model_is_announced_fetched_found_again_and_verified() {
    let hub = Arc::new(Mutex::new(Hub::default()));
    hub.lock().unwrap().files.insert(URL.to_owned(), content());
    // The first transfer breaks off; it goes on from there.
    hub.lock().unwrap().cut = true;
    let endpoint = serve(&hub);
    let home = tempfile::tempdir().unwrap();
    let pulled = reword(home.path(), &endpoint, &["models", "pull", "whisper-small"]);
    let (out, err) = (text(&pulled.stdout), text(&pulled.stderr));
    assert!(pulled.status.success(), "{err}");
    for shown in [
        "model.safetensors",
        "openai/whisper-small",
        "Apache-2.0",
        " B to ",
        "free",
    ] {
        assert!(err.contains(shown), "{shown}: {err}");
    }
    let path = out.trim();
    assert!(
        path.starts_with(&home.path().display().to_string()),
        "{out}"
    );
    assert_eq!(std::fs::read(path).unwrap(), content());
    let ranges: Vec<String> = hub
        .lock()
        .unwrap()
        .seen
        .iter()
        .map(|(_, r)| r.clone())
        .collect();
    assert!(
        ranges
            .iter()
            .any(|range| range.starts_with("bytes=") && !range.starts_with("bytes=0-")),
        "{ranges:?}"
    );

    let requests = ranges.len();
    let again = reword(home.path(), &endpoint, &["models", "pull", "whisper-small"]);
    assert!(again.status.success());
    assert_eq!(
        hub.lock().unwrap().seen.len(),
        requests,
        "nothing was asked again"
    );
    let listed = reword(home.path(), &endpoint, &["models", "list"]);
    assert!(text(&listed.stdout).contains("whisper-small"));

    // What arrived is no Whisper small, and every difference is named.
    let verified = reword(
        home.path(),
        &endpoint,
        &["models", "verify", "whisper-small", "--checksums"],
    );
    assert_eq!(verified.status.code(), Some(3));
    let differences = text(&verified.stdout);
    assert!(
        differences.contains("'conv1.weight' is [2, 3], wanted [768, 80, 3]"),
        "{differences}"
    );
    assert!(
        differences.contains("'layers.11.fc2.bias' [768] is missing"),
        "{differences}"
    );
}

#[test]
fn broken_forbidden_and_offline_transfers_are_told_apart() {
    let hub = Arc::new(Mutex::new(Hub::default()));
    hub.lock().unwrap().files.insert(URL.to_owned(), content());
    let endpoint = serve(&hub);
    let home = tempfile::tempdir().unwrap();
    let pull = ["models", "pull", "whisper-small"];

    hub.lock().unwrap().lie = true;
    let broken = reword(home.path(), &endpoint, &pull);
    assert_eq!(broken.status.code(), Some(3));
    assert!(
        text(&broken.stderr).contains("arrived with SHA-256"),
        "{}",
        text(&broken.stderr)
    );
    hub.lock().unwrap().lie = false;

    hub.lock().unwrap().token = Some("secret".to_owned());
    let forbidden = reword(home.path(), &endpoint, &pull);
    assert_eq!(forbidden.status.code(), Some(4));
    assert!(
        text(&forbidden.stderr).contains("HF_TOKEN"),
        "{}",
        text(&forbidden.stderr)
    );
    let allowed = Command::new(env!("CARGO_BIN_EXE_reword"))
        .args(pull)
        .env("HF_HOME", home.path())
        .env("HF_ENDPOINT", &endpoint)
        .env("HF_TOKEN", "secret")
        .output()
        .unwrap();
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));

    let empty = tempfile::tempdir().unwrap();
    let offline = Command::new(env!("CARGO_BIN_EXE_reword"))
        .args(pull)
        .env("HF_HOME", empty.path())
        .env("HF_ENDPOINT", &endpoint)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert_eq!(offline.status.code(), Some(4));
    assert!(text(&offline.stderr).contains("HF_HUB_OFFLINE"));
    let unknown = reword(home.path(), &endpoint, &["models", "pull", "no-such"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_model_without_weights_names_what_it_needs() {
    let home = tempfile::tempdir().unwrap();
    let clip = home.path().join("clip.mp4");
    std::fs::write(&clip, b"no clip").unwrap();
    let clip = clip.display().to_string();
    let arguments = ["edit", &clip, "--remove", "um", "--model", "ltx-13b"];
    let edit = reword(home.path(), "http://127.0.0.1:9", &arguments);
    let err = text(&edit.stderr);
    assert_eq!(edit.status.code(), Some(4), "{err}");
    for shown in [
        "ltxv-13b-0.9.7-dev.safetensors",
        "29 GB",
        "LTXV Open Weights License",
        "reword models pull ltx-13b",
    ] {
        assert!(err.contains(shown), "{shown}: {err}");
    }
}

#[test]
fn pickles_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, b"PK\x03\x04 and so on, as PyTorch writes it").unwrap();
    let shown = path.display().to_string();
    let verify = reword(
        folder.path(),
        "http://127.0.0.1:9",
        &["models", "verify", &shown],
    );
    assert_eq!(verify.status.code(), Some(3));
    let err = text(&verify.stderr);
    assert!(
        err.contains("pickle") && err.contains("convert it to safetensors"),
        "{err}"
    );
}

/// Weights of these names and shapes, all zeros, in shards of half of them each where `shards` is set.
fn zeros(folder: &Path, shapes: &models::TensorShapes, shards: bool) {
    std::fs::create_dir_all(folder).unwrap();
    let tensors: std::collections::BTreeMap<String, nn::Tensor> = shapes
        .iter()
        .map(|(name, shape)| {
            let zeros = nn::Tensor::zeros(shape.as_slice(), nn::DType::BF16, &nn::Device::Cpu);
            (name.clone(), zeros.unwrap())
        })
        .collect();
    let none = std::collections::BTreeMap::new();
    if !shards {
        nn::weights::save(folder.join("model.safetensors"), &tensors, &none).unwrap();
        return;
    }
    let mut places = serde_json::Map::new();
    for half in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", half + 1);
        let own: std::collections::BTreeMap<_, _> = tensors
            .iter()
            .enumerate()
            .filter(|(index, _)| index % 2 == half)
            .map(|(_, (tensor, value))| (tensor.clone(), value.clone()))
            .collect();
        for tensor in own.keys() {
            places.insert(tensor.clone(), name.clone().into());
        }
        nn::weights::save(folder.join(name), &own, &none).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": places});
    let path = folder.join("model.safetensors.index.json");
    std::fs::write(path, index.to_string()).unwrap();
}

#[test]
fn folders_of_folders_are_verified_network_by_network() {
    use models::t5::T5Config;
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("models/snapshots/1a2b");
    let t5 = serde_json::json!({
        "model_type": "t5", "vocab_size": 8, "d_model": 4, "d_kv": 2, "d_ff": 6, "num_layers": 2, "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
    });
    let shapes = T5Config::from_json(&t5).unwrap().shapes();
    for (part, shards) in [("text_encoder", true), ("other/text_encoder", false)] {
        zeros(&root.join(part), &shapes, shards);
        std::fs::write(root.join(part).join("config.json"), t5.to_string()).unwrap();
    }
    std::fs::create_dir_all(root.join("tokenizer")).unwrap();
    std::fs::write(root.join("model_index.json"), "{}").unwrap();
    let shown = home.path().join("models").display().to_string();
    let run = |more: &[&str]| {
        let arguments = [&["models", "verify", &shown], more].concat();
        let output = reword(home.path(), "http://127.0.0.1:9", &arguments);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, out, err) = run(&[]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.matches("T5 encoder").count(), 2, "{out}");
    let (code, _, err) = run(&["--preset", "ltx-13b"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("no network with a preset `ltx-13b`"), "{err}");

    // Both networks' differences are named, one after the other.
    let mut fewer = shapes.clone();
    fewer.remove("encoder.final_layer_norm.weight").unwrap();
    fewer.insert("extra.weight".to_owned(), vec![2]);
    zeros(&root.join("text_encoder"), &fewer, true);
    fewer.insert("encoder.final_layer_norm.weight".to_owned(), vec![5]);
    zeros(&root.join("other/text_encoder"), &fewer, false);
    let (code, out, err) = run(&[]);
    assert_eq!(code, Some(3), "{err}");
    for (part, told) in [
        (
            "1a2b/text_encoder",
            "'encoder.final_layer_norm.weight' [4] is missing",
        ),
        ("1a2b/text_encoder", "'extra.weight' is not expected"),
        (
            "other/text_encoder",
            "'encoder.final_layer_norm.weight' is [5], wanted [4]",
        ),
        ("other/text_encoder", "'extra.weight' is not expected"),
    ] {
        let found = out
            .lines()
            .any(|line| line.contains(part) && line.contains(told));
        assert!(found, "{part} {told}: {out}");
    }
    assert_eq!(err.matches("2 differences").count(), 2, "{err}");
}
