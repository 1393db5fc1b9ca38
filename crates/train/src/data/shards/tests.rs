use super::*;
use serde_json::json;

#[test]
fn samples_come_back_from_shards_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    let shards = folder.path().join("shards");
    let mut writer = ShardWriter::new(&shards, "clips", 5000).unwrap();
    for n in 0..4_usize {
        let path = folder.path().join(format!("a.{n}.MP4"));
        std::fs::write(&path, vec![n as u8; 1500 + n]).unwrap();
        let source = format!("some/a.{n}.MP4");
        writer
            .add(&Packed {
                path: &path,
                source: &source,
                identity: "ann",
                frames: 100,
                rate: 25.0,
                agreement: (n != 2).then_some(0.5),
                sound: Some(vec![9; 700]),
                facts: json!({"caption": "a head"}),
            })
            .unwrap();
    }
    let entries = writer.finish().unwrap();
    assert_eq!(read_folder(&shards).unwrap(), entries);
    assert!(
        read_folder(folder.path())
            .unwrap_err()
            .to_string()
            .contains("no index of shards")
    );
    assert_eq!(entries[2].agreement, None);
    assert_eq!(entries[3].key, "000003-some_a_3");
    let names: Vec<&str> = entries.iter().map(|e| e.shard.as_str()).collect();
    assert_eq!(names[0], "clips-000000.tar");
    assert!(names[3] != names[0], "{names:?}");
    // Any reader of tar files sees whole samples.
    let mut members = Vec::new();
    for shard in ["clips-000000.tar", names[3]] {
        let file = std::fs::File::open(shards.join(shard)).unwrap();
        for entry in tar::Archive::new(file).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut data = Vec::new();
            std::io::copy(&mut entry, &mut data).unwrap();
            if std::path::Path::new(&name)
                .extension()
                .is_some_and(|e| e == "json")
            {
                let facts: serde_json::Value = serde_json::from_slice(&data).unwrap();
                assert_eq!(
                    (&facts["caption"], &facts["identity"]),
                    (&json!("a head"), &json!("ann"))
                );
            }
            members.push(name);
        }
    }
    assert_eq!(
        members[..3],
        [
            "000000-some_a_0.mp4",
            "000000-some_a_0.flac",
            "000000-some_a_0.json"
        ]
    );
    // And one sample is read without the others.
    let cache = folder.path().join("cache");
    let path = entries[3].extract(&shards, &cache).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), vec![3_u8; 1503]);
    assert_eq!(entries[3].extract(&shards, &cache).unwrap(), path);
}

#[test]
fn flac_is_read_back_by_libav() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.flac");
    let samples: Vec<f32> = (0..9000)
        .map(|n| (0.4 * (n as f32 * 0.05).sin() * 32_767.0).round() / 32_767.0)
        .collect();
    std::fs::write(&path, flac_of(&samples, 16_000).unwrap()).unwrap();
    let read = media::sound::read_all_mono_16k(&path).unwrap();
    assert_eq!(read.len(), samples.len());
    // libav scales 16 bits by 32768.
    let worst = read.iter().zip(&samples).fold(0.0_f32, |m, (a, b)| {
        m.max((a * 32_768.0 / 32_767.0 - b).abs())
    });
    assert!(worst < 1e-5, "{worst}");
}
