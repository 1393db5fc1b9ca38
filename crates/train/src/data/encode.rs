//! Clips as latents: encoded once, kept on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use face::lips::{Ellipse, LipPose, Piece};
use media::image::Rgb8;
use methods::edit_yourself::{EditYourselfConfig, Mouth, mouth_of};
use models::ltx::Vae;
use models::mel_encoder::MouthSpace;
use nn::weights::{Checkpoint, save};

use super::counterpart::{ellipse, other_moments, pasted, piece};
use super::footage::FootageClip;
use super::library::ClipLatents;
use super::prepare::{Faces, PrepareOptions};
use crate::error::{Result, TrainError};
use crate::random::{Draw, Purpose};
use crate::stage::Cells;

/// Raised when what is computed changes.
const VERSION: u32 = 3;

/// Latents that are encoded at once.
const PIECE: usize = 8;

/// What encodes clips.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// The autoencoder, with its statistics.
    pub vae: &'a Vae,
    /// Digest of its weights, for names of results.
    pub digest: String,
    /// The method's constants.
    pub config: &'a EditYourselfConfig,
    /// Cells of the crop.
    pub cells: &'a Cells,
    /// Reference frames of a clip.
    pub references: usize,
    /// Counterparts of a clip, for models that see the recorded mouth.
    pub counterparts: usize,
    /// In which numbers the model's sound encoder tells mouths; without it lent lips are of random moments.
    pub space: Option<MouthSpace>,
}

/// What is kept of a clip.
struct Encoded {
    /// What the model is shown in place of the video, `[n, G, C]` each.
    shown: Vec<Tensor>,
    clean: Tensor,
    references: Tensor,
}

impl Encoder<'_> {
    /// Latents of a clip whose face is known, or those of the cache.
    ///
    /// # Errors
    /// When the clip is too short or can't be read.
    pub fn latents(
        &self,
        clip: &FootageClip,
        faces: &Faces,
        options: &PrepareOptions,
    ) -> Result<ClipLatents> {
        let s = self.config.temporal_stride;
        // Some clips start between latents of the others, so that no place in a group of frames is special.
        let mut draw = Draw::new(0, Purpose::Window, u64::MAX, name_number(&clip.id));
        let offset = draw.below(s).min(faces.len().saturating_sub(s + 2));
        let latents = (faces.len() - offset).saturating_sub(1) / s + 1;
        let frames = s * (latents - 1) + 1;
        if latents < 2 {
            return Err(TrainError::clip(
                &clip.path,
                "it has fewer than two latents",
            ));
        }
        let name = format!(
            "{}-{}-{VERSION}-{}-{offset}-{frames}-{}-{}-{}.latents.safetensors",
            faces.digest,
            self.digest,
            self.config.crop,
            self.references,
            self.config.context_fill,
            self.shown()
        );
        let kept = options.cache.as_ref().map(|folder| folder.join(name));
        let read = kept.as_deref().filter(|kept| kept.exists()).map(read);
        let Encoded {
            shown,
            clean,
            references,
        } = if let Some(Ok(found)) = read {
            found
        } else {
            let found = self.encode(clip, faces, offset, frames, options)?;
            if let Some(kept) = &kept {
                write(kept, &found)?;
            }
            found
        };
        let part = offset..offset + frames;
        Ok(ClipLatents {
            id: clip.id.clone(),
            identity: clip.identity.clone(),
            weight: clip.weight,
            rate: faces.rate,
            shown,
            clean,
            references,
            reference_frames: self.reference_frames(frames),
            mel: Arc::clone(&faces.mel),
            offset: faces.first + offset as u64,
            openings: faces.openings.get(part.clone()).unwrap_or(&[]).to_vec(),
            shapes: faces.shapes.get(part.clone()).unwrap_or(&[]).to_vec(),
            poses: faces.poses.get(part).unwrap_or(&[]).to_vec(),
            readings: None,
        })
    }

    /// What the model is shown, in a word.
    fn shown(&self) -> String {
        if self.config.recorded_context {
            format!("counterparts{}", self.counterparts)
        } else {
            "filled".to_owned()
        }
    }

    /// Frames spread over a clip.
    fn reference_frames(&self, frames: usize) -> Vec<u64> {
        let last = frames.saturating_sub(1) as f64;
        let step = last / self.references.saturating_sub(1).max(1) as f64;
        (0..self.references)
            .map(|n| (n as f64 * step).round() as u64)
            .collect()
    }

    /// Latents of what is shown and of the video `[n, G, C]`, and masked cells of references, as bf16.
    fn encode(
        &self,
        clip: &FootageClip,
        faces: &Faces,
        offset: usize,
        frames: usize,
        options: &PrepareOptions,
    ) -> Result<Encoded> {
        let (s, side) = (self.config.temporal_stride, self.config.crop);
        let references = self.reference_frames(frames);
        let others = self.others(clip, faces, offset, frames, options)?;
        let (rows, columns) = self.config.mask_box();
        let fill = (
            (rows.clone(), columns.clone()),
            self.config.context_fill as f32,
        );
        // The video itself, then what is shown in its place: the filled video, or counterparts.
        let count = if self.config.recorded_context {
            others.ellipses.len()
        } else {
            1
        };
        let mut streams: Vec<_> = (0..=count).map(|_| self.vae.encoder().stream()).collect();
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); count + 1];
        let mut singles = Vec::new();
        let mut start = 0;
        while start < frames {
            // The first piece has one frame more than whole latents.
            let end = if start == 0 {
                1 + s * (PIECE - 1)
            } else {
                start + s * PIECE
            };
            let end = end.min(frames);
            let range = offset + start..offset + end;
            let crops = faces.crops(&clip.path, range, side, options.sandbox)?;
            for (n, crop) in crops.iter().enumerate() {
                if references.contains(&((start + n) as u64)) {
                    let video = video_of(std::slice::from_ref(crop), None)?;
                    singles.push(self.tokens(&self.vae.encode(&video)?)?);
                }
            }
            for (n, (stream, parts)) in streams.iter_mut().zip(&mut parts).enumerate() {
                let video = match n.checked_sub(1) {
                    None => video_of(&crops, None)?,
                    Some(n) if self.config.recorded_context => {
                        let made = others.paste(n, start, &crops, (&rows, &columns));
                        video_of(&made, None)?
                    }
                    Some(_) => video_of(&crops, Some(&fill))?,
                };
                parts.push(self.tokens(&stream.push(&video)?)?);
            }
            start = end;
        }
        let inside = Tensor::new(self.cells.inside.as_slice(), &Device::Cpu)?;
        // Short clips repeat reference frames.
        let mut own: Vec<u64> = references.clone();
        own.dedup();
        let singles: Vec<Tensor> = (0..self.references)
            .filter_map(|n| {
                let place = own.iter().position(|f| Some(f) == references.get(n))?;
                singles.get(place).cloned()
            })
            .collect();
        let bf16 = |parts: &Vec<Tensor>| -> Result<Tensor> {
            Ok(Tensor::cat(parts, 0)?.to_dtype(DType::BF16)?)
        };
        let references = Tensor::cat(&singles, 0)?.index_select(&inside, 1)?;
        let mut all = parts.iter().map(bf16).collect::<Result<Vec<_>>>()?;
        Ok(Encoded {
            clean: all.remove(0),
            shown: all,
            references: references.to_dtype(DType::BF16)?,
        })
    }

    /// Which lips counterparts of a stretch get, and the mouths to take them from.
    fn others<'f>(
        &self,
        clip: &FootageClip,
        faces: &'f Faces,
        offset: usize,
        frames: usize,
        options: &PrepareOptions,
    ) -> Result<Others<'f>> {
        let part = offset..offset + frames;
        let mut others = Others {
            poses: faces.lips.get(part.clone()).unwrap_or(&[]),
            moments: Vec::new(),
            ellipses: Vec::new(),
            pieces: Vec::new(),
        };
        if !self.config.recorded_context || self.counterparts == 0 {
            return Ok(others);
        }
        let poses = faces.poses.get(part.clone()).unwrap_or(&[]);
        let mouths = self.mouths(faces, part);
        for n in 0..self.counterparts as u64 {
            let number = name_number(&clip.id).wrapping_add(n << 32);
            let mut draw = Draw::new(0, Purpose::Augment, u64::MAX, number);
            let moments = other_moments(poses, mouths.as_deref(), &mut draw);
            others.moments.push(moments);
            others.ellipses.push(ellipse(&mut draw));
        }
        let (rows, columns) = self.config.mask_box();
        let side = self.config.crop;
        let mut start = 0;
        while start < frames {
            let end = (start + PIECE * self.config.temporal_stride).min(frames);
            let range = offset + start..offset + end;
            let crops = faces.crops(&clip.path, range, side, options.sandbox)?;
            others
                .pieces
                .extend(crops.iter().map(|crop| piece(crop, (&rows, &columns))));
            start = end;
        }
        Ok(others)
    }

    /// The mouths of a stretch in the sound encoder's numbers.
    fn mouths(&self, faces: &Faces, part: std::ops::Range<usize>) -> Option<Vec<Mouth>> {
        let space = self.space.as_ref()?;
        let openings = faces.openings.get(part.clone())?;
        let shapes = faces.shapes.get(part)?;
        let pairs = openings.iter().zip(shapes);
        Some(
            pairs
                .map(|(opening, shape)| mouth_of(space, *opening, shape))
                .collect(),
        )
    }

    /// Normalised latents `[1, C, L, h, w]` as `[L, G, C]`.
    fn tokens(&self, latents: &Tensor) -> Result<Tensor> {
        let latents = self.vae.normalise(latents)?;
        let (_, channels, count, rows, columns) = latents.dims5()?;
        Ok(latents
            .reshape((channels, count, rows * columns))?
            .permute((1, 2, 0))?
            .contiguous()?)
    }
}

/// Counterparts on their way.
struct Others<'f> {
    poses: &'f [LipPose],
    moments: Vec<Vec<usize>>,
    ellipses: Vec<Ellipse>,
    pieces: Vec<Piece>,
}

impl Others<'_> {
    /// `crops`, frames `start..` of the stretch, with the mouths of counterpart `n`.
    fn paste(
        &self,
        n: usize,
        start: usize,
        crops: &[Rgb8],
        mask: (&std::ops::Range<usize>, &std::ops::Range<usize>),
    ) -> Vec<Rgb8> {
        crops
            .iter()
            .zip(start..)
            .map(|(crop, frame)| {
                let moment = self.moments.get(n).and_then(|m| m.get(frame)).copied();
                let found = moment.and_then(|moment| {
                    let own = self.poses.get(frame)?;
                    let other = (self.pieces.get(moment)?, self.poses.get(moment)?);
                    Some(pasted(crop, own, other, mask, *self.ellipses.get(n)?))
                });
                found.unwrap_or_else(|| crop.clone())
            })
            .collect()
    }
}

type Fill = ((std::ops::Range<usize>, std::ops::Range<usize>), f32);

/// Pictures as `[1, 3, F, H, W]` in -1..1, with a box filled where there is one.
pub(crate) fn video_of(pictures: &[Rgb8], fill: Option<&Fill>) -> Result<Tensor> {
    let Some(first) = pictures.first() else {
        return Err(TrainError::Data("a video without frames".to_owned()));
    };
    let (width, height) = (first.width, first.height);
    let plane = width * height;
    let count = pictures.len();
    let mut data = vec![0.0_f32; 3 * count * plane];
    for (n, picture) in pictures.iter().enumerate() {
        for channel in 0..3 {
            let start = (channel * count + n) * plane;
            let Some(part) = data.get_mut(start..start + plane) else {
                continue;
            };
            let values = picture.data.iter().skip(channel).step_by(3);
            for (slot, value) in part.iter_mut().zip(values) {
                *slot = f32::from(*value) / 127.5 - 1.0;
            }
            if let Some(((rows, columns), value)) = fill {
                for row in part.chunks_exact_mut(width).take(rows.end).skip(rows.start) {
                    if let Some(part) = row.get_mut(columns.clone()) {
                        part.fill(*value);
                    }
                }
            }
        }
    }
    Ok(Tensor::from_vec(
        data,
        (1, 3, count, height, width),
        &Device::Cpu,
    )?)
}

/// The other way: frame `n` of `[1, 3, F, H, W]`.
pub(crate) fn picture_of(video: &Tensor, n: usize) -> Result<Rgb8> {
    let (_, _, _, height, width) = video.dims5()?;
    let frame = video.narrow(2, n, 1)?.to_dtype(DType::F32)?;
    let frame = frame.flatten_all()?.to_vec1::<f32>()?;
    let plane = width * height;
    let mut picture = Rgb8::new(width, height);
    for (channel, values) in frame.chunks_exact(plane).take(3).enumerate() {
        let slots = picture.data.iter_mut().skip(channel).step_by(3);
        for (slot, value) in slots.zip(values) {
            *slot = ((value + 1.0) * 127.5 + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
    Ok(picture)
}

fn name_number(name: &str) -> u64 {
    name.bytes().fold(7, |n: u64, byte| {
        n.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

fn write(path: &Path, found: &Encoded) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
    }
    let mut tensors = BTreeMap::from([
        ("clean".to_owned(), found.clean.clone()),
        ("references".to_owned(), found.references.clone()),
    ]);
    for (n, shown) in found.shown.iter().enumerate() {
        tensors.insert(format!("shown.{n}"), shown.clone());
    }
    Ok(save(path, &tensors, &BTreeMap::new())?)
}

fn read(path: &Path) -> Result<Encoded> {
    let file = Checkpoint::open(path)?;
    let tensor = |name: &str| file.tensor(name, DType::BF16, &Device::Cpu);
    let count = file
        .names()
        .filter(|name| name.starts_with("shown."))
        .count();
    Ok(Encoded {
        shown: (0..count)
            .map(|n| tensor(&format!("shown.{n}")))
            .collect::<std::result::Result<_, _>>()?,
        clean: tensor("clean")?,
        references: tensor("references")?,
    })
}
