//! Published models: what they are made of, where their files lie, and under which terms.
//!
//! Sizes here are for planning, counted from the networks' shapes; a download asks the server
//! for the true ones.

use crate::verify::Network;

/// One file of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteFile {
    /// Owner and name on the hub.
    pub repository: &'static str,
    /// Path in the repository.
    pub path: &'static str,
    /// About how many bytes.
    pub bytes: u64,
    /// Terms of use.
    pub licence: &'static str,
}

/// What a file of a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPart {
    /// In a word or two.
    pub what: &'static str,
    /// The network in it and the name of its preset; none for files that are no weights.
    pub network: Option<(Network, &'static str)>,
    /// Several for shards; the first one is opened.
    pub files: &'static [RemoteFile],
}

/// A model by the name that commands take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedModel {
    /// The name.
    pub name: &'static str,
    /// In a sentence.
    pub what: &'static str,
    /// The released settings by which it makes pictures; none for parts of models.
    pub preset: Option<&'static str>,
    /// Its parts.
    pub parts: &'static [ModelPart],
}

impl PublishedModel {
    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &'static RemoteFile> {
        self.parts.iter().flat_map(|part| part.files.iter())
    }

    /// About how many bytes together.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).sum()
    }
}

const LTX: &str = "Lightricks/LTX-Video";
const LTX_LICENCE: &str = "LTXV Open Weights License 0.9.x";
const T5: &str = "PixArt-alpha/PixArt-XL-2-1024-MS";
const T5_LICENCE: &str = "Apache-2.0 (T5 v1.1); CreativeML Open RAIL++-M (repository)";

const fn ltx(path: &'static str, bytes: u64) -> RemoteFile {
    RemoteFile {
        repository: LTX,
        path,
        bytes,
        licence: LTX_LICENCE,
    }
}

const fn t5(path: &'static str, bytes: u64) -> RemoteFile {
    RemoteFile {
        repository: T5,
        path,
        bytes,
        licence: T5_LICENCE,
    }
}

const TEXT_ENCODER: ModelPart = ModelPart {
    what: "text encoder",
    network: Some((Network::T5, "t5-xxl")),
    files: &[
        t5("text_encoder/model.safetensors.index.json", 20_000),
        t5(
            "text_encoder/model-00001-of-00002.safetensors",
            9_990_000_000,
        ),
        t5(
            "text_encoder/model-00002-of-00002.safetensors",
            9_060_000_000,
        ),
        t5("text_encoder/config.json", 1_000),
    ],
};

const TOKENIZER: ModelPart = ModelPart {
    what: "tokenizer",
    network: None,
    files: &[t5("tokenizer/spiece.model", 792_000)],
};

const UPSCALER: ModelPart = ModelPart {
    what: "latent upsampler",
    network: Some((Network::Upsampler, "ltx-spatial-upscaler")),
    files: &[ltx("ltxv-spatial-upscaler-0.9.7.safetensors", 505_000_000)],
};

/// All published models that the program knows of.
pub const PUBLISHED: [PublishedModel; 6] = [
    PublishedModel {
        name: "ltx-13b",
        what: "LTX-Video 13B 0.9.7 dev: transformer and autoencoder, upsampler, text encoder",
        preset: Some("ltx-13b-dev"),
        parts: &[
            ModelPart {
                what: "transformer and autoencoder",
                network: Some((Network::LtxVideo, "ltx-13b")),
                files: &[ltx("ltxv-13b-0.9.7-dev.safetensors", 28_600_000_000)],
            },
            UPSCALER,
            TEXT_ENCODER,
            TOKENIZER,
        ],
    },
    PublishedModel {
        name: "ltx-13b-distilled",
        what: "LTX-Video 13B 0.9.7 distilled: few steps without guidance",
        preset: Some("ltx-13b-distilled"),
        parts: &[
            ModelPart {
                what: "transformer and autoencoder",
                network: Some((Network::LtxVideo, "ltx-13b")),
                files: &[ltx("ltxv-13b-0.9.7-distilled.safetensors", 28_600_000_000)],
            },
            UPSCALER,
            TEXT_ENCODER,
            TOKENIZER,
        ],
    },
    PublishedModel {
        name: "ltx-2b",
        what: "LTX-Video 2B 0.9.6 dev: the small one",
        preset: Some("ltx-2b"),
        parts: &[
            ModelPart {
                what: "transformer and autoencoder",
                network: Some((Network::LtxVideo, "ltx-2b")),
                files: &[ltx("ltxv-2b-0.9.6-dev-04-25.safetensors", 6_340_000_000)],
            },
            TEXT_ENCODER,
            TOKENIZER,
        ],
    },
    PublishedModel {
        name: "ltx-spatial-upscaler",
        what: "LTX-Video's latent upsampler 0.9.7 alone",
        preset: None,
        parts: &[UPSCALER],
    },
    PublishedModel {
        name: "t5-xxl",
        what: "the text encoder of LTX-Video alone",
        preset: None,
        parts: &[TEXT_ENCODER, TOKENIZER],
    },
    PublishedModel {
        name: "whisper-small",
        what: "the sound encoder of EditYourself",
        preset: None,
        parts: &[ModelPart {
            what: "sound encoder",
            network: Some((Network::Whisper, "whisper-small")),
            files: &[RemoteFile {
                repository: "openai/whisper-small",
                path: "model.safetensors",
                bytes: 967_000_000,
                licence: "Apache-2.0",
            }],
        }],
    },
];

/// The published model of that name.
pub fn find(name: &str) -> Option<&'static PublishedModel> {
    PUBLISHED.iter().find(|model| model.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_presets_exist() {
        for (index, model) in PUBLISHED.iter().enumerate() {
            assert!(PUBLISHED[..index].iter().all(|m| m.name != model.name));
            for part in model.parts {
                assert!(!part.files.is_empty());
                if let Some((network, preset)) = part.network {
                    assert!(network.has_preset(preset), "{preset}");
                }
            }
        }
    }
}
