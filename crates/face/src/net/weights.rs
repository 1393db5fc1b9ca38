//! Weight files: safetensors in f16, named as the layers are.

use super::map::padded;
use half::f16;
use safetensors::{Dtype, SafeTensors};
use thiserror::Error;

/// A weight file that does not fit its network.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file is not safetensors.
    #[error("the weights of {network} can't be read: {source}")]
    Format {
        /// Which network.
        network: &'static str,
        /// What the reader says.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that the network needs is not there.
    #[error("the weights of {network} lack {name}")]
    Missing {
        /// Which network.
        network: &'static str,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has the wrong shape or number format.
    #[error("{name} in the weights of {network} is {found}, expected {expected}")]
    Shape {
        /// Which network.
        network: &'static str,
        /// The tensor's name.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The fallback detector's model can't be read.
    #[error("the weights of the fallback face detector can't be read: {0}")]
    Fallback(#[from] std::io::Error),
}

/// An open weight file.
pub(crate) struct Weights<'a> {
    network: &'static str,
    tensors: SafeTensors<'a>,
}

impl<'a> Weights<'a> {
    /// Reads the header of `bytes`.
    pub(crate) fn parse(network: &'static str, bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|source| WeightsError::Format { network, source })?;
        Ok(Self { network, tensors })
    }

    /// A tensor `[..rows, columns]` as f32 rows of `columns` rounded up to whole vectors by zeros;
    /// also the number of rows. `rank` is checked.
    pub(crate) fn rows(&self, name: &str, rank: usize) -> Result<(Vec<f32>, usize), WeightsError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| WeightsError::Missing {
                network: self.network,
                name: name.to_owned(),
            })?;
        let shape = tensor.shape();
        let columns = shape.last().copied().unwrap_or(0);
        if tensor.dtype() != Dtype::F16 || shape.len() != rank || columns == 0 {
            return Err(self.shape_error(
                name,
                format!("{:?} {shape:?}", tensor.dtype()),
                format!("F16 with {rank} dimensions"),
            ));
        }
        let mut out = Vec::new();
        let (halves, _) = tensor.data().as_chunks::<2>();
        for row in halves.chunks_exact(columns) {
            out.extend(row.iter().map(|&pair| f16::from_le_bytes(pair).to_f32()));
            out.resize(out.len() + padded(columns) - columns, 0.0);
        }
        let rows = halves.len() / columns;
        Ok((out, rows))
    }

    /// The error of a tensor that does not fit.
    pub(crate) fn shape_error(&self, name: &str, found: String, expected: String) -> WeightsError {
        WeightsError::Shape {
            network: self.network,
            name: name.to_owned(),
            found,
            expected,
        }
    }
}
