//! Decoded frames, and pictures as plain planes.

use super::{Code, Layout, check};
use crate::frame::{Plane, Samples};
use crate::info::{Chroma, PixelFormat, Rotation};
use ffmpeg_next::ffi;
use ffmpeg_next::ffi::AVPixelFormat as Raw;
use std::ptr;

/// An owned `AVFrame`.
pub(crate) struct AvFrame(*mut ffi::AVFrame);

// SAFETY: a frame is reference-counted heap data; we never share one between threads.
unsafe impl Send for AvFrame {}

/// A decoded picture in stored orientation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) format: PixelFormat,
    pub(crate) planes: Vec<Plane>,
}

/// The formats that are taken as they are, and what they are here.
const NATIVE: [(Raw, Chroma, u8); 19] = [
    (Raw::AV_PIX_FMT_YUV420P, Chroma::C420, 8),
    (Raw::AV_PIX_FMT_YUVJ420P, Chroma::C420, 8),
    (Raw::AV_PIX_FMT_YUV422P, Chroma::C422, 8),
    (Raw::AV_PIX_FMT_YUVJ422P, Chroma::C422, 8),
    (Raw::AV_PIX_FMT_YUV444P, Chroma::C444, 8),
    (Raw::AV_PIX_FMT_YUVJ444P, Chroma::C444, 8),
    (Raw::AV_PIX_FMT_GRAY8, Chroma::Gray, 8),
    (Raw::AV_PIX_FMT_YUV420P10LE, Chroma::C420, 10),
    (Raw::AV_PIX_FMT_YUV422P10LE, Chroma::C422, 10),
    (Raw::AV_PIX_FMT_YUV444P10LE, Chroma::C444, 10),
    (Raw::AV_PIX_FMT_GRAY10LE, Chroma::Gray, 10),
    (Raw::AV_PIX_FMT_YUV420P12LE, Chroma::C420, 12),
    (Raw::AV_PIX_FMT_YUV422P12LE, Chroma::C422, 12),
    (Raw::AV_PIX_FMT_YUV444P12LE, Chroma::C444, 12),
    (Raw::AV_PIX_FMT_GRAY12LE, Chroma::Gray, 12),
    // Alpha is left out: its plane is the fourth.
    (Raw::AV_PIX_FMT_YUVA420P, Chroma::C420, 8),
    (Raw::AV_PIX_FMT_YUVA444P10LE, Chroma::C444, 10),
    (Raw::AV_PIX_FMT_YUVA444P12LE, Chroma::C444, 12),
    (Raw::AV_PIX_FMT_YUVA422P10LE, Chroma::C422, 10),
];

/// The format that a libav format is delivered in.
pub(crate) fn delivered(raw: i32) -> PixelFormat {
    if let Some((_, chroma, bits)) = NATIVE.iter().find(|(native, _, _)| *native as i32 == raw) {
        return PixelFormat {
            chroma: *chroma,
            bits: *bits,
        };
    }
    let (mut across, mut down) = (0, 0);
    // SAFETY: the number came from a decoder; an unknown one gives null or an error.
    let (bits, known) = unsafe {
        let format = raw_format(raw);
        let descriptor = ffi::av_pix_fmt_desc_get(format);
        match descriptor.as_ref() {
            Some(descriptor) => {
                across = i32::from(descriptor.log2_chroma_w);
                down = i32::from(descriptor.log2_chroma_h);
                (descriptor.comp.first().map_or(8, |one| one.depth), true)
            }
            None => (8, false),
        }
    };
    let chroma = match (known, across, down) {
        (true, 0, 0) => Chroma::C444,
        (true, 1, 0) => Chroma::C422,
        _ => Chroma::C420,
    };
    // Two more bits bring red, green and blue back as they were; as many as they have would not.
    let bits = if is_rgb(raw) { bits + 2 } else { bits };
    PixelFormat {
        chroma,
        bits: match bits {
            ..=8 => 8,
            9..=10 => 10,
            _ => 12,
        },
    }
}

/// True where every pixel of the format uses the whole range by definition.
pub(crate) fn is_full_range(raw: i32) -> bool {
    [
        Raw::AV_PIX_FMT_YUVJ420P,
        Raw::AV_PIX_FMT_YUVJ422P,
        Raw::AV_PIX_FMT_YUVJ444P,
    ]
    .iter()
    .any(|format| *format as i32 == raw)
}

/// The turn that a display matrix asks for.
pub(crate) fn display_rotation(matrix: [i32; 9]) -> Rotation {
    // SAFETY: reads nine numbers.
    let anticlockwise = unsafe { ffi::av_display_rotation_get(matrix.as_ptr()) };
    Rotation::from_degrees(-anticlockwise)
}

/// True where the samples are red, green and blue.
pub(crate) fn is_rgb(raw: i32) -> bool {
    // SAFETY: as in `delivered`.
    unsafe {
        ffi::av_pix_fmt_desc_get(raw_format(raw))
            .as_ref()
            .is_some_and(|descriptor| descriptor.flags & (ffi::AV_PIX_FMT_FLAG_RGB as u64) != 0)
    }
}

/// libav's enumeration of a format number that libav itself gave.
fn raw_format(raw: i32) -> Raw {
    // SAFETY: walks libav's static table of formats.
    unsafe {
        let mut descriptor = ffi::av_pix_fmt_desc_next(ptr::null());
        while !descriptor.is_null() {
            let format = ffi::av_pix_fmt_desc_get_id(descriptor);
            if format as i32 == raw {
                return format;
            }
            descriptor = ffi::av_pix_fmt_desc_next(descriptor);
        }
    }
    Raw::AV_PIX_FMT_NONE
}

/// libav's format for one of ours.
pub(super) fn raw_of(format: PixelFormat) -> Raw {
    NATIVE
        .iter()
        .find(|(_, chroma, bits)| (*chroma, *bits) == (format.chroma, format.bits))
        .map_or(Raw::AV_PIX_FMT_YUV420P, |(raw, _, _)| *raw)
}

impl AvFrame {
    pub(crate) fn new() -> Result<Self, Code> {
        // SAFETY: allocation only.
        let raw = unsafe { ffi::av_frame_alloc() };
        if raw.is_null() {
            return Err(Code::MEMORY);
        }
        Ok(Self(raw))
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVFrame {
        self.0
    }

    pub(super) fn raw(&self) -> &ffi::AVFrame {
        // SAFETY: never null, and owned by `self`.
        unsafe { &*self.0 }
    }

    /// When the frame is shown, by the decoder's best knowledge.
    pub(crate) fn ticks(&self) -> Option<i64> {
        let raw = self.raw();
        [raw.pts, raw.best_effort_timestamp]
            .into_iter()
            .find(|&ticks| ticks != ffi::AV_NOPTS_VALUE)
    }

    /// Width and height.
    pub(crate) fn size(&self) -> (usize, usize) {
        (
            self.raw().width.max(0) as usize,
            self.raw().height.max(0) as usize,
        )
    }

    /// libav's number of the picture's or samples' format.
    pub(crate) fn format(&self) -> i32 {
        self.raw().format
    }

    /// Samples of each channel.
    pub(crate) fn samples(&self) -> usize {
        self.raw().nb_samples.max(0) as usize
    }

    /// Samples a second.
    pub(crate) fn rate(&self) -> i32 {
        self.raw().sample_rate
    }

    /// Channel layout.
    pub(crate) fn layout(&self) -> Layout {
        Layout::of(&self.raw().ch_layout)
    }

    /// Channels.
    pub(crate) fn channels(&self) -> i32 {
        self.raw().ch_layout.nb_channels
    }

    pub(crate) fn is_interlaced(&self) -> bool {
        // Bit 3 of the flags from libav 6 on; earlier a field, which no longer exists in 8.
        #[cfg(libav_6_1)]
        return self.raw().flags & (1 << 3) != 0;
        #[cfg(not(libav_6_1))]
        return self.raw().interlaced_frame != 0;
    }

    /// The first frame's side data of a kind.
    pub(crate) fn side(&self, kind: ffi::AVFrameSideDataType) -> Option<&[u8]> {
        // SAFETY: libav keeps `size` bytes at `data` while the frame lives unchanged.
        unsafe {
            let entry = ffi::av_frame_get_side_data(self.0, kind).as_ref()?;
            (!entry.data.is_null()).then(|| std::slice::from_raw_parts(entry.data, entry.size))
        }
    }

    /// A copy of the planes, for formats that are taken as they are.
    fn planes(&self) -> Option<Picture> {
        let raw = self.raw();
        let (_, chroma, bits) = *NATIVE
            .iter()
            .find(|(native, _, _)| *native as i32 == raw.format)?;
        let format = PixelFormat { chroma, bits };
        let (width, height) = self.size();
        let mut planes = Vec::with_capacity(chroma.planes());
        for index in 0..chroma.planes() {
            let (plane_width, plane_height) = format.plane_size(index, width, height);
            let data = *raw.data.get(index)?;
            let stride = *raw.linesize.get(index)? as isize;
            if data.is_null() {
                return None;
            }
            let row = |y: usize| {
                // SAFETY: the decoder filled `plane_height` rows of `plane_width` samples, one
                // every `stride` bytes (which may be negative).
                unsafe { data.offset(stride * y as isize) }
            };
            let samples = if bits == 8 {
                let mut bytes = Vec::with_capacity(plane_width * plane_height);
                for y in 0..plane_height {
                    // SAFETY: see `row`.
                    bytes.extend_from_slice(unsafe {
                        std::slice::from_raw_parts(row(y), plane_width)
                    });
                }
                Samples::Bytes(bytes)
            } else {
                let mut words = Vec::with_capacity(plane_width * plane_height);
                for y in 0..plane_height {
                    // SAFETY: see `row`; a sample has two bytes.
                    let bytes = unsafe { std::slice::from_raw_parts(row(y), plane_width * 2) };
                    words.extend(bytes.chunks_exact(2).map(|pair| match *pair {
                        [low, high] => u16::from_le_bytes([low, high]),
                        _ => 0,
                    }));
                }
                Samples::Words(words)
            };
            planes.push(Plane {
                width: plane_width,
                height: plane_height,
                samples,
            });
        }
        Some(Picture {
            width,
            height,
            format,
            planes,
        })
    }

    /// Fills an empty frame with a picture.
    pub(super) fn fill(
        &mut self,
        width: usize,
        height: usize,
        format: PixelFormat,
        planes: &[Plane],
    ) -> Result<(), Code> {
        // SAFETY: the frame is ours; `av_frame_get_buffer` makes room for every plane, and the
        // copies below stay within `height` rows of `linesize` bytes.
        unsafe {
            ffi::av_frame_unref(self.0);
            let raw = &mut *self.0;
            raw.width = width as i32;
            raw.height = height as i32;
            raw.format = raw_of(format) as i32;
            check(ffi::av_frame_get_buffer(self.0, 0))?;
            for (index, plane) in planes.iter().enumerate() {
                let size = format.plane_size(index, width, height);
                let (Some(&data), Some(&stride)) = (raw.data.get(index), raw.linesize.get(index))
                else {
                    return Err(Code::INVALID);
                };
                if data.is_null() || (plane.width, plane.height) != size {
                    return Err(Code::INVALID);
                }
                for y in 0..plane.height {
                    let target = data.offset(stride as isize * y as isize);
                    let range = y * plane.width..(y + 1) * plane.width;
                    match &plane.samples {
                        Samples::Bytes(samples) => {
                            let row = samples.get(range).ok_or(Code::INVALID)?;
                            ptr::copy_nonoverlapping(row.as_ptr(), target, row.len());
                        }
                        Samples::Words(samples) => {
                            let row = samples.get(range).ok_or(Code::INVALID)?;
                            for (x, value) in row.iter().enumerate() {
                                let bytes = value.to_le_bytes();
                                ptr::copy_nonoverlapping(bytes.as_ptr(), target.add(x * 2), 2);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Drop for AvFrame {
    fn drop(&mut self) {
        // SAFETY: allocated by `av_frame_alloc`, freed once.
        unsafe { ffi::av_frame_free(&raw mut self.0) }
    }
}

/// Brings decoded frames to one size and format: a plain copy where they already have them.
pub(crate) struct Converter {
    width: usize,
    height: usize,
    format: PixelFormat,
    scaler: *mut ffi::SwsContext,
    source: (usize, usize, i32),
}

// SAFETY: the scaler is only used through `&mut self`.
unsafe impl Send for Converter {}

impl Converter {
    pub(crate) fn new(width: usize, height: usize, format: PixelFormat) -> Self {
        Self {
            width,
            height,
            format,
            scaler: ptr::null_mut(),
            source: (0, 0, -1),
        }
    }

    /// The frame as a picture of the wanted size and format.
    pub(crate) fn convert(&mut self, frame: &AvFrame) -> Result<Picture, Code> {
        if frame.size() == (self.width, self.height)
            && let Some(picture) = frame.planes()
            && picture.format == self.format
        {
            return Ok(picture);
        }
        let (width, height) = frame.size();
        let source = (width, height, frame.format());
        let target = AvFrame::new()?;
        // SAFETY: source and target frames have the sizes and formats the scaler is made for;
        // the target's buffers are allocated by libav.
        unsafe {
            if self.source != source || self.scaler.is_null() {
                ffi::sws_freeContext(self.scaler);
                self.scaler = ffi::sws_getContext(
                    width as i32,
                    height as i32,
                    raw_format(frame.format()),
                    self.width as i32,
                    self.height as i32,
                    raw_of(self.format),
                    // bicubic | accurate rounding | full chroma | bit exact
                    0x4 | 0x4_0000 | 0x2000 | 0x8_0000,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    ptr::null(),
                );
                if self.scaler.is_null() {
                    return Err(Code::INVALID);
                }
                self.source = source;
            }
            let raw = &mut *target.as_ptr();
            raw.width = self.width as i32;
            raw.height = self.height as i32;
            raw.format = raw_of(self.format) as i32;
            check(ffi::av_frame_get_buffer(target.as_ptr(), 0))?;
            let input = frame.raw();
            check(ffi::sws_scale(
                self.scaler,
                input.data.as_ptr().cast(),
                input.linesize.as_ptr(),
                0,
                height as i32,
                raw.data.as_ptr(),
                raw.linesize.as_ptr(),
            ))?;
        }
        target.planes().ok_or(Code::INVALID)
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        // SAFETY: null or made by `sws_getContext`, freed once.
        unsafe { ffi::sws_freeContext(self.scaler) }
    }
}
