//! Who is seen: the seedable description of a person.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A colour in linear light, 0..1 per channel (red, green, blue).
pub type Colour = [f32; 3];

/// How the hair is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HairStyle {
    /// Cropped close to the head.
    Cropped,
    /// Short with a side parting.
    SideParting,
    /// Short and brushed back.
    BrushedBack,
    /// To the chin, parted.
    Bob,
    /// Over the shoulders.
    Long,
    /// Pulled back tight and tied.
    Tied,
}

impl HairStyle {
    /// Every style.
    pub const ALL: [Self; 6] = [
        Self::Cropped,
        Self::SideParting,
        Self::BrushedBack,
        Self::Bob,
        Self::Long,
        Self::Tied,
    ];
}

/// What is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clothing {
    /// A round-necked jersey shirt.
    Tee,
    /// A knitted pullover.
    Knit,
    /// An open jacket over a shirt.
    Jacket,
}

/// The form of the head. Every field is a signed strength, 0 for the average face
/// and about ±1 for a marked feature.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HeadShape {
    /// Breadth of the whole head.
    pub breadth: f32,
    /// Height of the face.
    pub length: f32,
    /// Breadth of the lower jaw.
    pub jaw: f32,
    /// Height of the chin.
    pub chin: f32,
    /// How far the chin stands out.
    pub chin_forward: f32,
    /// Prominence of the cheek bones.
    pub cheekbones: f32,
    /// Fullness of the cheeks.
    pub cheeks: f32,
    /// Breadth of the nose.
    pub nose_width: f32,
    /// Length of the nose.
    pub nose_length: f32,
    /// Height of the bridge of the nose.
    pub nose_bridge: f32,
    /// How far the tip of the nose points up.
    pub nose_tip: f32,
    /// Size of the eyes.
    pub eye_size: f32,
    /// Distance between the eyes.
    pub eye_spacing: f32,
    /// Upward slant of the outer corners of the eyes.
    pub eye_slant: f32,
    /// Strength of the brow ridge.
    pub brow_ridge: f32,
    /// Fullness of the lips.
    pub lip_fullness: f32,
    /// Width of the mouth.
    pub mouth_width: f32,
    /// Difference between the two sides of the face.
    pub asymmetry: f32,
}

/// A person.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadConfig {
    /// The number that the details (pores, strands of hair) are drawn from.
    pub seed: u64,
    /// The form of the head.
    pub shape: HeadShape,
    /// 0 for soft, 1 for strongly marked male features (brows, stubble, neck).
    pub masculine: f32,
    /// Skin tone, 0 (lightest) to 1 (darkest).
    pub skin_tone: f32,
    /// Redness of the skin, 0..1.
    pub ruddy: f32,
    /// Freckles, 0..1.
    pub freckles: f32,
    /// Shadow of a shaved beard, 0..1.
    pub stubble: f32,
    /// Lines and unevenness of the skin, 0..1.
    pub age: f32,
    /// How much redder than the skin the lips are, 0..1.
    pub lip_colour: f32,
    /// Cut of the hair.
    pub hair: HairStyle,
    /// Colour of the hair.
    pub hair_colour: Colour,
    /// Colour of the iris.
    pub eye_colour: Colour,
    /// What is worn.
    pub clothing: Clothing,
    /// Colour of the clothes.
    pub cloth_colour: Colour,
}

/// Hair from black to light blond, and grey.
const HAIR: [Colour; 8] = [
    [0.010, 0.008, 0.007],
    [0.022, 0.014, 0.010],
    [0.045, 0.025, 0.015],
    [0.085, 0.045, 0.024],
    [0.13, 0.055, 0.022],
    [0.26, 0.16, 0.075],
    [0.42, 0.29, 0.15],
    [0.24, 0.23, 0.22],
];

const IRIS: [Colour; 5] = [
    [0.055, 0.026, 0.012],
    [0.12, 0.062, 0.024],
    [0.15, 0.13, 0.05],
    [0.10, 0.16, 0.13],
    [0.11, 0.19, 0.30],
];

const CLOTH: [Colour; 8] = [
    [0.035, 0.06, 0.13],
    [0.05, 0.15, 0.17],
    [0.22, 0.045, 0.05],
    [0.11, 0.12, 0.13],
    [0.52, 0.50, 0.46],
    [0.08, 0.13, 0.07],
    [0.36, 0.22, 0.10],
    [0.20, 0.26, 0.38],
];

impl HeadConfig {
    /// The person of number `seed`; the same number gives the same person.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7265_776f_7264_0001);
        let masculine: f32 = if rng.random_bool(0.5) {
            rng.random_range(0.65..1.0)
        } else {
            rng.random_range(0.0..0.2)
        };
        // Sums of two draws: most people are near the average.
        let mut vary = |middle: f32| -> f32 {
            let a: f32 = rng.random_range(-0.85..0.85);
            let b: f32 = rng.random_range(-0.85..0.85);
            middle + a + b
        };
        let m = masculine * 2.0 - 1.0;
        let shape = HeadShape {
            breadth: vary(0.1 * m),
            length: vary(0.15 * m),
            jaw: vary(0.35 * m),
            chin: vary(0.25 * m),
            chin_forward: vary(0.15 * m),
            cheekbones: vary(0.0),
            cheeks: vary(-0.1 * m),
            nose_width: vary(0.2 * m),
            nose_length: vary(0.2 * m),
            nose_bridge: vary(0.2 * m),
            nose_tip: vary(-0.2 * m),
            eye_size: vary(-0.3 * m),
            eye_spacing: vary(0.0),
            eye_slant: vary(-0.1 * m),
            brow_ridge: vary(0.5 * m),
            lip_fullness: vary(-0.3 * m),
            mouth_width: vary(0.1 * m),
            asymmetry: vary(0.0),
        };
        let skin_tone: f32 = rng.random_range(0.0..1.0);
        // Dark skin seldom comes with light hair and eyes.
        let light = (1.0 - skin_tone * 1.5).clamp(0.0, 1.0);
        let hair_span = 2 + (light * 6.0).round() as usize;
        let iris_span = 2 + (light * 3.0).round() as usize;
        let hair = if masculine > 0.5 {
            [
                HairStyle::Cropped,
                HairStyle::SideParting,
                HairStyle::BrushedBack,
            ][rng.random_range(0..3)]
        } else {
            [
                HairStyle::Bob,
                HairStyle::Long,
                HairStyle::Tied,
                HairStyle::SideParting,
            ][rng.random_range(0..4)]
        };
        let hair_colour = HAIR[rng.random_range(0..hair_span.min(HAIR.len()))];
        let eye_colour = IRIS[rng.random_range(0..iris_span.min(IRIS.len()))];
        let clothing = [Clothing::Tee, Clothing::Knit, Clothing::Jacket][rng.random_range(0..3)];
        let cloth_colour = CLOTH[rng.random_range(0..CLOTH.len())];
        let freckled: f32 = rng.random_range(0.0..1.0);
        Self {
            seed,
            shape,
            masculine,
            skin_tone,
            ruddy: rng.random_range(0.2..0.9),
            freckles: if freckled > 0.75 {
                light * freckled
            } else {
                0.0
            },
            stubble: if masculine > 0.5 {
                rng.random_range(0.0..0.8)
            } else {
                0.0
            },
            age: rng.random_range(0.1..0.7),
            lip_colour: rng.random_range(0.35..0.8) - 0.2 * masculine,
            hair,
            hair_colour,
            eye_colour,
            clothing,
            cloth_colour,
        }
    }
}
