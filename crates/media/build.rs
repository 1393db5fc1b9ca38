//! Passes libav's version on as `cfg(libav_6_1)` (libavcodec 60.31 or later): from there on a
//! stream's side data lies in its codec parameters.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libav_6_1)");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("DEP_FFMPEG_FFMPEG_6_1").is_ok_and(|value| value == "true") {
        println!("cargo::rustc-cfg=libav_6_1");
    }
}
