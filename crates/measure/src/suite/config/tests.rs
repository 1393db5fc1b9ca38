use super::{Suite, SystemKind};
use std::path::Path;

const TEXT: &str = r#"
    title = "two clips"
    metrics = ["psnr", "lmd"]
    [[clip]]
    name = "a"
    input = "a.mp4"
    [[clip]]
    name = "b"
    input = "b.mp4"
    truth = "b-truth.mp4"
    words = [[0.5, 1.0]]
    [[system]]
    name = "theirs"
    kind = "files"
    files = "theirs/{clip}.mp4"
"#;

#[test]
fn baselines_are_added_and_paths_are_the_files() {
    let loaded = Suite::parse(TEXT, Path::new("folder")).unwrap().unwrap();
    let kinds: Vec<SystemKind> = loaded.suite.system.iter().map(|s| s.kind).collect();
    assert_eq!(
        kinds,
        [
            SystemKind::Files,
            SystemKind::Copy,
            SystemKind::Still,
            SystemKind::Truth
        ]
    );
    assert_eq!(loaded.suite.clip[0].truth(), Path::new("folder/a.mp4"));
    assert_eq!(
        loaded.suite.clip[1].truth(),
        Path::new("folder/b-truth.mp4")
    );
    assert_eq!(
        loaded.suite.system[0].files.as_deref(),
        Some("folder/theirs/{clip}.mp4")
    );
    assert_eq!(loaded.metrics.len(), 2);
}

#[test]
fn what_makes_no_sense_is_said() {
    let parse = |text: &str| Suite::parse(text, Path::new("")).map(|loaded| loaded.is_ok());
    assert!(
        parse(&TEXT.replace("\"b\"", "\"a\""))
            .unwrap_err()
            .contains("two clips 'a'")
    );
    assert!(
        parse(&TEXT.replace("\"b\"", "\"../b\""))
            .unwrap_err()
            .contains("can't be the name")
    );
    assert!(
        parse(&TEXT.replace("{clip}", "x"))
            .unwrap_err()
            .contains("{clip}")
    );
    assert!(parse("title = \"none\"").unwrap_err().contains("no clips"));
    assert!(
        parse(&TEXT.replace("title", "titel"))
            .unwrap_err()
            .contains("titel")
    );
    assert!(!parse(&TEXT.replace("\"lmd\"", "\"md\"")).unwrap());
}

#[test]
fn clips_that_are_not_here_are_listed_and_the_others_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("suite.toml");
    std::fs::write(&path, TEXT).unwrap();
    let error = Suite::load(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("a.mp4"), "{error}");
    std::fs::write(folder.path().join("b.mp4"), b"x").unwrap();
    // Without its truth a clip can't be measured either.
    assert!(Suite::load(&path).is_err());
    std::fs::write(folder.path().join("b-truth.mp4"), b"x").unwrap();
    let loaded = Suite::load(&path).unwrap();
    assert_eq!(loaded.suite.clip.len(), 1);
    assert_eq!(loaded.suite.clip[0].name, "b");
    assert_eq!(loaded.gone[0].name, "a");
}
