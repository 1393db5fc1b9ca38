//! Sound as FLAC.

use flacenc::component::BitRepr as _;
use flacenc::error::Verify as _;

/// Mono samples in -1..1 at `rate` as the bytes of a FLAC file of 16 bits.
///
/// # Errors
/// A sentence when the encoder refuses them.
pub fn flac_of(samples: &[f32], rate: u32) -> std::result::Result<Vec<u8>, String> {
    let whole: Vec<i32> = samples
        .iter()
        .map(|s| (s.clamp(-1.0, 1.0) * 32_767.0).round() as i32)
        .collect();
    let config = flacenc::config::Encoder::default()
        .into_verified()
        .map_err(|(_, error)| error.to_string())?;
    let source = flacenc::source::MemSource::from_samples(&whole, 1, 16, rate as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .map_err(|error| format!("{error:?}"))?;
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream
        .write(&mut sink)
        .map_err(|error| format!("{error:?}"))?;
    Ok(sink.as_slice().to_vec())
}
