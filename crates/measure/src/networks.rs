//! The networks that are at hand, loaded once for many clips.

use crate::metric::{Metric, Needs};
use crate::picture::brisque::BrisqueParameters;
use crate::picture::niqe::NiqeParameters;
use crate::weights::Weights;
use candle_core::{DType, Device};
use models::ModelFile;
use models::face_id::FaceId;
use models::i3d::I3d;
use models::inception::{Inception, InceptionVariant};
use models::lpips::{Lpips, LpipsNet};
use models::sync_scorer::SyncScorer;
use models::syncnet::SyncNet;
use models::vit::{Vit, VitKind};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The project's own scorer of lips and sound; its card is docs/sync-scorer.md.
const SYNC_SCORER: &[u8] = include_bytes!("../../../assets/models/sync-scorer.safetensors");

/// Loaded networks; where one is missing, why.
#[derive(Debug, Default)]
pub struct Networks {
    pub(crate) lpips: Option<Lpips>,
    pub(crate) inception: Option<Inception>,
    pub(crate) i3d: Option<I3d>,
    pub(crate) videomae: Option<Vit>,
    pub(crate) dino: Option<Vit>,
    pub(crate) clip: Option<Vit>,
    pub(crate) face_id: Option<FaceId>,
    pub(crate) syncnet: Option<SyncNet>,
    pub(crate) niqe: Option<NiqeParameters>,
    pub(crate) brisque: Option<BrisqueParameters>,
    pub(crate) sync_scorer: Option<SyncScorer>,
    missing: BTreeMap<&'static str, String>,
    used: BTreeMap<&'static str, String>,
    advice: Vec<String>,
}

impl Networks {
    /// Loads what the metrics need, as far as it is there. A file that is there and broken counts as missing; the
    /// reason says so.
    pub fn load(weights: &Weights, metrics: &[&'static Metric], lpips: LpipsNet) -> Self {
        let mut loaded = Self::default();
        if metrics
            .iter()
            .any(|m| ["lip-agreement", "lip-offset"].contains(&m.name))
        {
            loaded.sync_scorer = ModelFile::from_bytes("sync-scorer", SYNC_SCORER)
                .and_then(|file| SyncScorer::load(&file, &Device::Cpu))
                .ok();
        }
        for metric in metrics {
            let Needs::Network(network) = metric.needs else {
                continue;
            };
            if loaded.used.contains_key(network) || loaded.missing.contains_key(network) {
                continue;
            }
            match loaded.load_one(network, weights, lpips) {
                Ok(name) => {
                    loaded.used.insert(network, name);
                }
                Err(reason) => {
                    loaded.missing.insert(network, reason);
                }
            }
        }
        loaded
    }

    fn load_one(
        &mut self,
        network: &str,
        weights: &Weights,
        lpips: LpipsNet,
    ) -> Result<String, String> {
        let device = Device::Cpu;
        let key = match (network, lpips) {
            ("lpips", LpipsNet::Vgg) => "lpips-vgg",
            ("lpips", LpipsNet::Squeeze) => "lpips-squeeze",
            _ => network,
        };
        let files = weights
            .files(key)
            .map_err(|missing| {
                self.advice.extend(missing.iter().map(|file| file.advice()));
                let names: Vec<&str> = missing.iter().map(|file| file.file).collect();
                format!("no weights: {}", names.join(", "))
            })?
            .into_iter()
            .map(|path| open(&path).map(|file| (path, file)))
            .collect::<Result<Vec<_>, _>>()?;
        let broken = |error: models::ModelError| format!("broken weights: {error}");
        let name = files
            .iter()
            .filter_map(|(path, _)| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect::<Vec<_>>()
            .join(" and ");
        match (network, files.as_slice()) {
            ("lpips", [(_, backbone), (_, heads)]) => {
                let net = Lpips::load(lpips, backbone, heads, &device).map_err(broken)?;
                self.lpips = Some(net);
                Ok(format!("LPIPS 0.1 {} ({name})", lpips.name()))
            }
            ("inception", [(_, file)]) => {
                let net = Inception::load(file, InceptionVariant::Fid, &device).map_err(broken)?;
                self.inception = Some(net);
                Ok(name)
            }
            ("i3d", [(_, file)]) => {
                self.i3d = Some(I3d::load(file, &device).map_err(broken)?);
                Ok(name)
            }
            ("videomae", [(_, file)]) => {
                let net = Vit::load(file, VitKind::VideoMae, &device).map_err(broken)?;
                self.videomae = Some(net);
                Ok(name)
            }
            ("dino", [(_, file)]) => {
                self.dino = Some(Vit::load(file, VitKind::Dino, &device).map_err(broken)?);
                Ok(name)
            }
            ("clip", [(_, file)]) => {
                self.clip = Some(Vit::load(file, VitKind::Clip, &device).map_err(broken)?);
                Ok(name)
            }
            ("face-id", [(_, file)]) => {
                let net = FaceId::load(file, &device).map_err(broken)?;
                let kind = net.name();
                self.face_id = Some(net);
                Ok(format!("{kind} ({name})"))
            }
            ("syncnet", [(_, file)]) => {
                self.syncnet = Some(SyncNet::load(file, &device).map_err(broken)?);
                Ok(name)
            }
            ("niqe", [(_, file)]) => {
                self.niqe = Some(niqe(file)?);
                Ok(name)
            }
            ("brisque", [(_, file)]) => {
                self.brisque = Some(brisque(file)?);
                Ok(name)
            }
            _ => Err(format!("there is no network '{network}'")),
        }
    }

    /// Why a network is not there; `None` when it is, or was not asked for.
    pub fn missing(&self, network: &str) -> Option<&str> {
        self.missing.get(network).map(String::as_str)
    }

    /// How to come by each file that is missing, one sentence a file.
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// The networks that run and the files that they came from.
    pub fn used(&self) -> &BTreeMap<&'static str, String> {
        &self.used
    }
}

/// Numbers of a tensor; a size of 0 in `shape` fits any.
fn numbers(file: &ModelFile, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("broken weights: {error}");
    let view = file
        .view(DType::F64, &Device::Cpu)
        .map_err(|error| broken(&error))?;
    let tensor = view.get_any(name).map_err(|error| broken(&error))?;
    let fits = tensor.rank() == shape.len()
        && tensor
            .dims()
            .iter()
            .zip(shape)
            .all(|(a, b)| *b == 0 || a == b);
    if !fits {
        return Err(broken(&format!("{name} is {:?}", tensor.dims())));
    }
    tensor
        .flatten_all()
        .and_then(|all| all.to_vec1())
        .map_err(|error| broken(&error))
}

fn niqe(file: &ModelFile) -> Result<NiqeParameters, String> {
    Ok(NiqeParameters {
        mean: numbers(file, "mean", &[36])?,
        covariance: numbers(file, "covariance", &[36, 36])?,
    })
}

fn brisque(file: &ModelFile) -> Result<BrisqueParameters, String> {
    let one = |name| numbers(file, name, &[1]).map(|found| found.iter().sum());
    Ok(BrisqueParameters {
        vectors: numbers(file, "vectors", &[0, 36])?,
        coefficients: numbers(file, "coefficients", &[0])?,
        offset: one("offset")?,
        gamma: one("gamma")?,
        ranges: [numbers(file, "low", &[36])?, numbers(file, "high", &[36])?],
    })
}

fn open(path: &PathBuf) -> Result<ModelFile, String> {
    ModelFile::open(path).map_err(|error| format!("broken weights: {error}"))
}
