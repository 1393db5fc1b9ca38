//! Sample formats, rates and channel layouts of sound.

use super::{AvFrame, Code, check};
use ffmpeg_next::ffi;
use ffmpeg_next::ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP;
use std::ffi::CStr;
use std::ptr;

/// A channel layout: the native bit mask (zero for unknown orders) and the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) mask: u64,
    pub(crate) channels: i32,
}

impl Layout {
    /// libav's usual layout of a number of channels.
    pub(crate) fn usual(channels: i32) -> Self {
        let mut raw = empty();
        // SAFETY: fills the given structure; the default layouts own no memory.
        unsafe { ffi::av_channel_layout_default(&raw mut raw, channels) };
        Self::of(&raw)
    }

    pub(super) fn of(raw: &ffi::AVChannelLayout) -> Self {
        let native = raw.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE;
        Self {
            // SAFETY: the union holds the mask where the order is native.
            mask: if native { unsafe { raw.u.mask } } else { 0 },
            channels: raw.nb_channels,
        }
    }

    pub(super) fn raw(self) -> ffi::AVChannelLayout {
        let mut raw = empty();
        set_layout(&mut raw, self.mask, self.channels);
        raw
    }

    /// libav's name, `5.1` for example.
    pub(crate) fn name(self) -> String {
        let raw = self.raw();
        let mut buffer = [0_u8; 64];
        // SAFETY: writes at most the buffer's length, and always a closing zero.
        unsafe {
            ffi::av_channel_layout_describe(&raw const raw, buffer.as_mut_ptr().cast(), 64);
        }
        CStr::from_bytes_until_nul(&buffer)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

fn empty() -> ffi::AVChannelLayout {
    // SAFETY: all zeros is the documented empty layout.
    unsafe { std::mem::zeroed() }
}

/// Sets a layout by mask, or to the usual one of a count.
pub(super) fn set_layout(raw: &mut ffi::AVChannelLayout, mask: u64, channels: i32) {
    // SAFETY: both functions only write to the structure; neither kind owns memory.
    unsafe {
        if mask == 0 || ffi::av_channel_layout_from_mask(raw, mask) < 0 {
            ffi::av_channel_layout_default(raw, channels.max(1));
        }
    }
}

/// Turns decoded sound into planar floats of one layout and rate.
pub(crate) struct Resampler {
    context: *mut ffi::SwrContext,
    layout: Layout,
    rate: i32,
    /// Format, rate and layout that the context is made for.
    source: Option<(i32, i32, Layout)>,
}

// SAFETY: the context is only used through `&mut self`.
unsafe impl Send for Resampler {}

impl Resampler {
    pub(crate) fn new(rate: i32, layout: Layout) -> Self {
        Self {
            context: ptr::null_mut(),
            layout,
            rate,
            source: None,
        }
    }

    fn prepare(&mut self, format: i32, rate: i32, layout: Layout) -> Result<(), Code> {
        if self.source == Some((format, rate, layout)) {
            return Ok(());
        }
        let input = layout.raw();
        let output = self.layout.raw();
        // SAFETY: the layouts live through the call, which copies them; an old context is freed
        // by `swr_alloc_set_opts2` or reused.
        unsafe {
            check(ffi::swr_alloc_set_opts2(
                &raw mut self.context,
                ptr::from_ref(&output).cast_mut(),
                AV_SAMPLE_FMT_FLTP,
                self.rate,
                ptr::from_ref(&input).cast_mut(),
                sample_format(format).ok_or(Code::INVALID)?,
                rate,
                0,
                ptr::null_mut(),
            ))?;
            check(ffi::swr_init(self.context))?;
        }
        self.source = Some((format, rate, layout));
        Ok(())
    }

    /// The frame's sound, one vector a channel.
    pub(crate) fn frame(&mut self, frame: &AvFrame) -> Result<Vec<Vec<f32>>, Code> {
        let layout = Layout::of(&frame.raw().ch_layout);
        self.prepare(frame.format(), frame.rate(), layout)?;
        let pointers = frame.raw().extended_data.cast_const().cast::<*const u8>();
        // SAFETY: the frame holds `samples` samples of the format and layout prepared for.
        unsafe { self.run(pointers, frame.samples()) }
    }

    /// Planar floats in, planar floats out; `from` is their rate.
    pub(crate) fn planar(
        &mut self,
        channels: &[Vec<f32>],
        from: i32,
        layout: Layout,
    ) -> Result<Vec<Vec<f32>>, Code> {
        self.prepare(AV_SAMPLE_FMT_FLTP as i32, from, layout)?;
        if channels.len() != layout.channels as usize {
            return Err(Code::INVALID);
        }
        let count = channels.iter().map(Vec::len).min().unwrap_or(0);
        let pointers: Vec<*const u8> = channels
            .iter()
            .map(|channel| channel.as_ptr().cast())
            .collect();
        // SAFETY: every channel has at least `count` floats, as prepared for.
        unsafe { self.run(pointers.as_ptr(), count) }
    }

    /// What the filter still holds.
    pub(crate) fn finish(&mut self) -> Result<Vec<Vec<f32>>, Code> {
        if self.source.is_none() {
            return Ok(vec![Vec::new(); self.layout.channels.max(0) as usize]);
        }
        // SAFETY: a null input asks for what is left.
        unsafe { self.run(ptr::null(), 0) }
    }

    unsafe fn run(&mut self, input: *const *const u8, count: usize) -> Result<Vec<Vec<f32>>, Code> {
        let count = i32::try_from(count).map_err(|_| Code::INVALID)?;
        // SAFETY: the context is initialised; the output has room for what the context says it
        // may give; the caller vouches for the input.
        unsafe {
            let room = check(ffi::swr_get_out_samples(self.context, count))? as usize;
            let mut output = vec![vec![0.0_f32; room]; self.layout.channels.max(0) as usize];
            let mut pointers: Vec<*mut u8> = output
                .iter_mut()
                .map(|channel| channel.as_mut_ptr().cast())
                .collect();
            let made = check(ffi::swr_convert(
                self.context,
                pointers.as_mut_ptr(),
                room as i32,
                input.cast_mut(),
                count,
            ))? as usize;
            for channel in &mut output {
                channel.truncate(made);
            }
            Ok(output)
        }
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: null or made by `swr_alloc_set_opts2`, freed once.
        unsafe { ffi::swr_free(&raw mut self.context) }
    }
}

/// libav's enumeration of a sample format number that libav itself gave.
pub(super) fn sample_format(raw: i32) -> Option<ffi::AVSampleFormat> {
    use ffi::AVSampleFormat::{
        AV_SAMPLE_FMT_DBL, AV_SAMPLE_FMT_DBLP, AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_S16,
        AV_SAMPLE_FMT_S16P, AV_SAMPLE_FMT_S32, AV_SAMPLE_FMT_S32P, AV_SAMPLE_FMT_S64,
        AV_SAMPLE_FMT_S64P, AV_SAMPLE_FMT_U8, AV_SAMPLE_FMT_U8P,
    };
    [
        AV_SAMPLE_FMT_U8,
        AV_SAMPLE_FMT_S16,
        AV_SAMPLE_FMT_S32,
        AV_SAMPLE_FMT_FLT,
        AV_SAMPLE_FMT_DBL,
        AV_SAMPLE_FMT_U8P,
        AV_SAMPLE_FMT_S16P,
        AV_SAMPLE_FMT_S32P,
        AV_SAMPLE_FMT_FLTP,
        AV_SAMPLE_FMT_DBLP,
        AV_SAMPLE_FMT_S64,
        AV_SAMPLE_FMT_S64P,
    ]
    .into_iter()
    .find(|format| *format as i32 == raw)
}
