//! A talking head over time: pictures and the truth about them.

use std::sync::Arc;

use media::image::Rgb8;
use rayon::prelude::*;
use units::{FrameIndex, FrameRate, Seconds};

use crate::background::{Backdrop, Background};
use crate::canonical;
use crate::config::HeadConfig;
use crate::error::SynthError;
use crate::hair;
use crate::light::{Lamps, Lighting, to_display};
use crate::model::{DepthView, Model, Posed};
use crate::motion::{HeadPose, MotionStyle};
use crate::mouth::{MouthShape, MouthTrack, Phone};
use crate::noise;
use crate::occluder::Occluder;
use crate::raster::{Band, Camera, LINE, NOTHING, Seen, bins, weights};
use crate::shade::Shader;
use crate::strands::{self, Strand};
use crate::vec::{Vec3, lerp};

/// Size, rate and length of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipFormat {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Pictures per second.
    pub rate: FrameRate,
    /// Length.
    pub duration: Seconds,
}

/// Everything around the person.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Lamps.
    pub lighting: Lighting,
    /// What is behind.
    pub background: Background,
    /// How the head moves.
    pub motion: MotionStyle,
    /// Centimetres from the bottom to the top of the picture, about 30 (close) to 60.
    pub field: f32,
    /// Where the middle of the head is in the picture: right and up, in half heights.
    pub offset: [f32; 2],
    /// What is in front of the face.
    pub occluder: Occluder,
    /// Strength of the film grain in code values (0..255), about 1.5.
    pub grain: f32,
    /// Samples per pixel each way, 1..=4.
    pub samples: usize,
}

impl Scene {
    /// A portrait in a room with the seed's own light, room and movement.
    pub fn from_seed(seed: u64) -> Self {
        let salt = noise::mix(seed as u32 ^ 0x5ce);
        let draw = |k: i32| noise::cell(k, 0, 0, salt);
        let room = draw(0) < 0.7;
        Self {
            lighting: Lighting::from_seed(seed),
            background: if room {
                Background::Room { seed }
            } else {
                Background::Wall { seed }
            },
            motion: MotionStyle {
                centre: [
                    0.16 * (draw(1) - 0.5),
                    0.06 * (draw(2) - 0.5),
                    0.05 * (draw(3) - 0.5),
                ],
                ..MotionStyle::calm(seed)
            },
            field: lerp(39.0, 48.0, draw(4)),
            offset: [0.16 * (draw(5) - 0.5), 0.08 * (draw(6) - 0.5)],
            occluder: Occluder::None,
            grain: lerp(0.8, 2.2, draw(7)),
            samples: 2,
        }
    }
}

/// The truth about one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Opening of the lips over the height of the face: distance of the inner lips
    /// (points 13, 14) over that of forehead and chin (10, 152), in space, so the same
    /// from any direction. 0 when the lips touch.
    pub opening: f32,
    /// Shape of the mouth.
    pub mouth: MouthShape,
    /// Pose of the head, gaze, lids and brows.
    pub head: HeadPose,
    /// The 468 points of the face in pixels (x right, y down; 0,0 is the corner of the
    /// picture), numbered as by `MediaPipe`.
    pub landmarks: Vec<[f32; 2]>,
}

/// A talking head, ready to be rendered frame by frame in any order.
#[derive(Debug, Clone)]
pub struct Clip {
    config: HeadConfig,
    scene: Scene,
    format: ClipFormat,
    frames: u64,
    model: Arc<Model>,
    hair: Arc<[Strand]>,
    hair_colour: Vec3,
    track: MouthTrack,
    lamps: Lamps,
    view: DepthView,
    camera: Camera,
    /// Linear light of the background, one per pixel.
    backdrop: Arc<[Vec3]>,
}

/// Rows of pixels that are drawn together.
const BAND: usize = 8;

impl Clip {
    /// Prepares a clip of the person in the scene, speaking the phones.
    ///
    /// # Errors
    /// When the picture's size is out of range or the duration holds no frame.
    pub fn new(
        config: &HeadConfig,
        scene: &Scene,
        phones: &[Phone],
        format: ClipFormat,
    ) -> Result<Self, SynthError> {
        let ClipFormat {
            width,
            height,
            rate,
            duration,
        } = format;
        if !(32..=4096).contains(&width) || !(32..=4096).contains(&height) {
            return Err(SynthError::Size { width, height });
        }
        if !duration.is_finite() || duration.0 <= 0.0 {
            return Err(SynthError::Empty(duration));
        }
        let frames = (duration.0 * rate.per_second()).round() as u64;
        if frames == 0 {
            return Err(SynthError::Empty(duration));
        }
        let samples = scene.samples.clamp(1, 4);
        let short = width.min(height) * samples;
        let skin_width = if short > 1000 {
            1280
        } else if short > 400 {
            1024
        } else if short > 200 {
            640
        } else {
            384
        };
        let model = Model::new(config, &scene.occluder, skin_width);
        let scale = height as f32 * samples as f32 / scene.field;
        let mut hair = thinned(hair::grow(config, &model), scale / 24.0);
        hair.extend(strands::face_hair(config, &model));
        let half = 0.5 * scene.field;
        let camera = Camera {
            target: Vec3::new(-scene.offset[0] * half, -2.4 - scene.offset[1] * half, 0.0),
            distance: 105.0,
            scale,
            width: width * samples,
            height: height * samples,
        };
        let backdrop = Backdrop::new(&scene.background);
        let unit = 2.0 / height as f32;
        let backdrop = (0..width * height)
            .into_par_iter()
            .map(|at| {
                let x = ((at % width) as f32 + 0.5 - 0.5 * width as f32) * unit;
                let y = (0.5 * height as f32 - (at / width) as f32 - 0.5) * unit;
                backdrop.at(x, y)
            })
            .collect();
        let lamps = Lamps::from(&scene.lighting);
        let [r, g, b] = config.hair_colour;
        Ok(Self {
            view: DepthView::new(lamps.key, 560, 62.0),
            config: config.clone(),
            scene: Scene {
                samples,
                ..scene.clone()
            },
            format,
            frames,
            model: Arc::new(model),
            hair: hair.into(),
            hair_colour: Vec3::new(r, g, b),
            track: MouthTrack::new(phones),
            lamps,
            camera,
            backdrop,
        })
    }

    /// The same person in the same scene, moving in the same way, with other words:
    /// the second half of an aligned pair. Shares what both have in common.
    #[must_use]
    pub fn with_phones(&self, phones: &[Phone]) -> Self {
        Self {
            track: MouthTrack::new(phones),
            ..self.clone()
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Size, rate and length.
    pub fn format(&self) -> ClipFormat {
        self.format
    }

    fn posed(&self, frame: FrameIndex) -> Result<Posed, SynthError> {
        if frame.0 >= self.frames {
            return Err(SynthError::NoFrame {
                frame,
                frames: self.frames,
            });
        }
        // A frame shows the middle of its time.
        let rate = self.format.rate;
        let time = Seconds(rate.start_of(frame).0 + 0.5 * rate.frame_duration().0);
        Ok(self.model.pose(
            &self.track.at(time),
            &self.scene.motion.at(time),
            self.scene.occluder.place(time),
        ))
    }

    /// What is true of a frame.
    ///
    /// # Errors
    /// When the clip has no such frame.
    pub fn truth(&self, frame: FrameIndex) -> Result<Truth, SynthError> {
        Ok(self.truth_of(&self.posed(frame)?))
    }

    fn truth_of(&self, posed: &Posed) -> Truth {
        let per_pixel = 1.0 / self.scene.samples as f32;
        let landmarks = posed.points[..canonical::POINTS]
            .iter()
            .map(|&p| {
                let s = self.camera.see(p);
                [s.x * per_pixel, s.y * per_pixel]
            })
            .collect();
        let height = (posed.points[10] - posed.points[152]).length();
        Truth {
            opening: gap(posed) / height,
            mouth: posed.mouth,
            head: posed.head,
            landmarks,
        }
    }

    /// Draws a frame.
    ///
    /// # Errors
    /// When the clip has no such frame.
    pub fn render(&self, frame: FrameIndex) -> Result<Rgb8, SynthError> {
        let posed = self.posed(frame)?;
        let mut shadow = self.view.draw(&posed.points, &self.model.triangles);
        for strand in self.hair.iter().filter(|s| s.root == strands::Root::Head) {
            for (&p, &share) in strand.points.iter().zip(&strand.follow).skip(1) {
                self.view
                    .dot(&mut shadow, posed.placement.apply_share(p, share));
            }
        }
        let eye = self.camera.eye();
        let hair = strands::draw(
            &self.hair,
            &posed,
            self.hair_colour,
            &self.lamps,
            &self.view,
            &shadow,
            eye,
        );
        let shader = Shader {
            config: &self.config,
            model: &self.model,
            posed: &posed,
            lamps: &self.lamps,
            view: &self.view,
            shadow: &shadow,
            eye,
            gap: gap(&posed),
        };
        let seen: Vec<Seen> = posed.points.iter().map(|&p| self.camera.see(p)).collect();
        let hair_seen: Vec<Seen> = hair
            .points
            .par_iter()
            .map(|&p| self.camera.see(p))
            .collect();
        let samples = self.scene.samples;
        let rows = BAND * samples;
        let bands = self.format.height.div_ceil(BAND);
        let triangles = bins(
            self.model.triangles.iter().map(|t| {
                let [a, b, c] = t.map(|i| seen[i as usize].y);
                (a.min(b).min(c), a.max(b).max(c))
            }),
            bands,
            rows,
        );
        let lines = bins(
            hair.lines.iter().map(|&(i, _)| {
                let (a, b) = (hair_seen[i as usize].y, hair_seen[i as usize + 1].y);
                (a.min(b) - 2.0, a.max(b) + 2.0)
            }),
            bands,
            rows,
        );
        let width = self.format.width;
        let mut data = vec![0_u8; 3 * width * self.format.height];
        data.par_chunks_mut(3 * width * BAND)
            .enumerate()
            .for_each(|(index, out)| {
                let pixel_rows = out.len() / (3 * width);
                let mut band = Band::new(width * samples, index * rows, pixel_rows * samples);
                for &i in &triangles[index] {
                    let t = self.model.triangles[i as usize];
                    band.triangle(t.map(|k| seen[k as usize]), i);
                }
                for &i in &lines[index] {
                    let (at, thick) = hair.lines[i as usize];
                    let (a, b) = (hair_seen[at as usize], hair_seen[at as usize + 1]);
                    // Widths between whole samples are met on average over the lines.
                    let part = (i.wrapping_mul(0x9e37_79b9) >> 8) as f32 / 16_777_216.0;
                    let wide = (thick * self.camera.scale + part) as i32;
                    band.line(a, b, wide.max(1), LINE | i);
                }
                let sample = |x: usize, y: usize, what: u32| -> Vec3 {
                    if what & LINE != 0 {
                        let (at, _) = hair.lines[(what & !LINE) as usize];
                        let (a, b) = (hair_seen[at as usize], hair_seen[at as usize + 1]);
                        let (dx, dy) = (b.x - a.x, b.y - a.y);
                        let (px, py) = (x as f32 + 0.5 - a.x, y as f32 + 0.5 - a.y);
                        let t = (px * dx + py * dy) / (dx * dx + dy * dy).max(1e-6);
                        hair.colours[at as usize]
                            .lerp(hair.colours[at as usize + 1], t.clamp(0.0, 1.0))
                    } else {
                        let t = self.model.triangles[what as usize].map(|k| seen[k as usize]);
                        shader.colour(what as usize, weights(t, x as f32 + 0.5, y as f32 + 0.5))
                    }
                };
                for (pixel, rgb) in out.chunks_exact_mut(3).enumerate() {
                    let (px, py) = (pixel % width, pixel / width);
                    let back = self.backdrop[(index * BAND + py) * width + px];
                    let first = py * samples * band.width + px * samples;
                    let seen_at =
                        |k: usize| band.what[first + k / samples * band.width + k % samples];
                    let count = samples * samples;
                    let material = |what: u32| {
                        (what & LINE == 0)
                            .then(|| self.model.materials.get(what as usize))
                            .flatten()
                    };
                    // One surface fills the pixel: its middle stands for all of it.
                    let one = material(seen_at(0));
                    let whole = one.is_some() && (1..count).all(|k| material(seen_at(k)) == one);
                    let mut sum = Vec3::ZERO;
                    for k in 0..count {
                        let (x, y) = (px * samples + k % samples, py * samples + k / samples);
                        let what = seen_at(k);
                        let colour = if what == NOTHING {
                            back
                        } else {
                            // Bright glints must not outshine a pixel's other samples.
                            sample(x, index * rows + y, what).map(|v| v.min(3.0))
                        };
                        if whole {
                            sum = colour * count as f32;
                            break;
                        }
                        sum += colour;
                    }
                    let linear = sum * (1.0 / (samples * samples) as f32);
                    self.develop(linear, px, index * BAND + py, frame, rgb);
                }
            });
        Ok(Rgb8 {
            width,
            height: self.format.height,
            data,
        })
    }

    /// Vignette, tone curve and grain.
    fn develop(&self, linear: Vec3, x: usize, y: usize, frame: FrameIndex, rgb: &mut [u8]) {
        let (w, h) = (self.format.width as f32, self.format.height as f32);
        let (dx, dy) = ((x as f32 / w - 0.5) * w / h, y as f32 / h - 0.5);
        let shown = to_display(linear * (1.0 - 0.28 * (dx * dx + dy * dy)));
        let salt = noise::mix(frame.0 as u32 ^ (self.config.seed as u32).rotate_left(9));
        let grain = |k: i32| {
            // The sum of two draws is close enough to a bell.
            noise::cell(x as i32, y as i32, k, salt) + noise::cell(x as i32, y as i32, k + 9, salt)
                - 1.0
        };
        let common = grain(0);
        let dark = 1.15 - 0.6 * shown.max_part();
        for (k, (out, v)) in rgb.iter_mut().zip([shown.x, shown.y, shown.z]).enumerate() {
            let noise = self.scene.grain * dark * (1.4 * common + 0.7 * grain(k as i32 + 1));
            *out = (v * 255.0 + noise + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Small pictures need fewer and thicker hairs for the same look.
fn thinned(strands: Vec<Strand>, share: f32) -> Vec<Strand> {
    let share = share.clamp(0.25, 1.0);
    let golden = 0.618_034_f32;
    strands
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (*i as f32 * golden).fract() < share)
        .map(|(_, s)| Strand {
            thick: s.thick / share,
            ..s
        })
        .collect()
}

/// Distance of the inner lips in centimetres; 0 when they touch or overlap.
fn gap(posed: &Posed) -> f32 {
    let up = posed.placement.turn.apply(Vec3::new(0.0, 1.0, 0.0));
    (posed.points[13] - posed.points[14]).dot(up).max(0.0)
}
