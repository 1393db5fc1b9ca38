use super::{Benchmark, BenchmarkKind, load, video_id};
use std::path::Path;

fn listing(kind: BenchmarkKind, list: &str, files: &[&str]) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let name = "RD_annotion_time.txt";
    std::fs::write(folder.path().join(name), list).unwrap();
    for file in files {
        let path = folder.path().join("clips").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
    let benchmark = Benchmark {
        kind,
        list: Some(name.into()),
        root: "clips".into(),
        limit: None,
    };
    let listing = load(&benchmark, folder.path()).unwrap();
    (
        listing.clips.into_iter().map(|clip| clip.name).collect(),
        listing.gone.into_iter().map(|gone| gone.name).collect(),
    )
}

#[test]
fn hdtf_lists_name_every_span_of_a_video() {
    let list = "Radio11.mp4 00:30-01:00 01:30-02:30\nWDA_Someone.mp4 00:05-04:40\n";
    let (here, gone) = listing(
        BenchmarkKind::Hdtf,
        list,
        &["RD_Radio11_001.mp4", "sub/Radio11_0.mp4"],
    );
    assert_eq!(here, ["Radio11_0", "Radio11_1"]);
    assert_eq!(gone, ["WDA_Someone_0"]);
}

#[test]
fn talk_vid_clips_lie_under_either_name() {
    let clip = |id: &str, start: f64| {
        format!(
            r#"{{"id": "{id}", "start-time": {start}, "end-time": 5.141666666666667, "fps": 24.0,
                "info": {{"Video Link": "https://www.youtube.com/watch?v=abc&x=1", "Gender": "Male"}}}}"#
        )
    };
    let list = format!(
        "[{}, {}, {}]",
        clip("one", 0.1),
        clip("two", 1.0),
        clip("three", 2.0)
    );
    let files = ["one.mp4", "abc/abc_002_1.000_5.141.mp4"];
    let (here, gone) = listing(BenchmarkKind::TalkVid, &list, &files);
    assert_eq!(
        (here, gone),
        (
            vec!["one".to_owned(), "two".to_owned()],
            vec!["three".to_owned()]
        )
    );
}

#[test]
fn emtd_rows_are_numbered() {
    let list = "URL,Start Timecode,End Timecode\n\
                https://www.youtube.com/watch?v=aa,00:00:54.596,00:01:01.561\n\
                https://www.youtube.com/watch?app=desktop&v=bb,00:02:04.207,00:02:11.006\n\
                https://www.youtube.com/watch?v=cc&t=355s,00:05:55.107,00:06:02.300\n\
                https://www.youtube.com/watch?v=dd&t=2s,00:00:02.000,00:00:09.006\n";
    // What the list's script calls them, and a name without the time that some addresses carry.
    let files = ["001_bb.mp4", "002_cc&t=355s.mp4", "003_dd.mp4"];
    let (here, gone) = listing(BenchmarkKind::Emtd, list, &files);
    assert_eq!(here, ["001_bb", "002_cc", "003_dd"]);
    assert_eq!(gone, ["000_aa"]);
}

#[test]
fn pairs_need_their_sound_and_folders_no_list() {
    let list = "# name, video, sound\na, v/a.mp4, s/x.wav\nb, v/a.mp4, s/y.wav\n";
    let (here, gone) = listing(BenchmarkKind::Pairs, list, &["v/a.mp4", "s/x.wav"]);
    assert_eq!((here, gone), (vec!["a".to_owned()], vec!["b".to_owned()]));
    let (here, gone) = listing(BenchmarkKind::Folder, "", &["b.mp4", "a.MP4", "x.wav"]);
    assert_eq!(
        (here, gone),
        (vec!["a".to_owned(), "b".to_owned()], Vec::new())
    );
}

#[test]
fn broken_lists_and_missing_folders_are_errors() {
    let benchmark = |kind, list: Option<&str>| Benchmark {
        kind,
        list: list.map(Into::into),
        root: "nowhere".into(),
        limit: None,
    };
    assert!(
        load(
            &benchmark(BenchmarkKind::Folder, None),
            Path::new("/nonexistent")
        )
        .is_err()
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("nowhere")).unwrap();
    std::fs::write(folder.path().join("l"), "a.mp4 soon").unwrap();
    assert!(load(&benchmark(BenchmarkKind::Hdtf, Some("l")), folder.path()).is_err());
    assert!(load(&benchmark(BenchmarkKind::Emtd, None), folder.path()).is_err());
}

#[test]
fn ids_of_addresses() {
    assert_eq!(
        video_id("https://www.youtube.com/watch?app=desktop&v=R7jm0-R9N_o"),
        "R7jm0-R9N_o"
    );
    assert_eq!(video_id("https://youtu.be/abc?t=3"), "abc");
}
