//! The head that reads the mouth's shape from features, and what its numbers mean.
//!
//! Its numbers are the opening of the mouth and components of the shape of lips and jaw. The head
//! can be used both ways: to tell what a sound says about the mouth, and to move features so that
//! they say another mouth, by the smallest change that does it (the pseudo-inverse).

use candle_core::{DType, Tensor};
use nn::layers::Linear;
use nn::weights::View;

use crate::error::{ModelError, Result};

/// Reads mouths from features `[.., C]`, and writes them into features.
#[derive(Debug, Clone)]
pub struct MouthHead {
    linear: Linear,
    /// Transposed pseudo-inverse of the weight, `[K, C]`; a weight without full rank has none.
    inverse: Option<Tensor>,
    space: Option<MouthSpace>,
}

/// From a seen mouth to the head's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MouthSpace {
    /// Mean and spread of twenty times the opening.
    centre: f32,
    spread: f32,
    /// One row of weights a component.
    basis: Vec<Vec<f32>>,
}

impl MouthHead {
    /// Loads `mouth.*` where the file has it, `mouth_basis` and `mouth_scale` with it.
    pub(super) fn load(view: &View, channels: usize) -> Result<Option<Self>> {
        let shape = view.shape("mouth.weight");
        let Some(&[targets, _]) = shape.as_deref() else {
            return Ok(None);
        };
        let linear = Linear::load(&view.at("mouth"), channels, targets)?;
        let weight: Tensor = view.get((targets, channels), "mouth.weight")?;
        let space = match view.shape("mouth_basis").as_deref() {
            Some(&[components, width]) => {
                let basis: Tensor = view.get((components, width), "mouth_basis")?;
                let scale: Tensor = view.get(2, "mouth_scale")?;
                let scale = scale.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                let [centre, spread] = scale[..] else {
                    return Err(ModelError::input("mouth_scale", "wanted two values"));
                };
                Some(MouthSpace {
                    centre,
                    spread,
                    basis: basis.to_dtype(DType::F32)?.to_vec2::<f32>()?,
                })
            }
            _ => None,
        };
        Ok(Some(Self {
            linear,
            inverse: transposed_inverse(&weight.detach())?,
            space,
        }))
    }

    /// The mouths `[.., K]` that features `[.., C]` say.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn read(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.linear.forward(features)?)
    }

    /// Features `[N, C]` moved so that what they say changes by `change` `[N, K]`.
    ///
    /// # Errors
    /// When the shapes do not fit, or two of the head's numbers always say the same.
    pub fn say(&self, features: &Tensor, change: &Tensor) -> Result<Tensor> {
        let inverse = self
            .inverse
            .as_ref()
            .ok_or_else(|| ModelError::input("mouth.weight", "its rows depend on each other"))?;
        let shift = change.matmul(&inverse.to_dtype(change.dtype())?)?;
        Ok((features + shift.to_dtype(features.dtype())?)?)
    }

    /// What the numbers mean, where the file tells it.
    pub fn space(&self) -> Option<&MouthSpace> {
        self.space.as_ref()
    }
}

impl MouthSpace {
    /// Numbers a mouth has.
    pub fn len(&self) -> usize {
        self.basis.len() + 1
    }

    /// Whether a mouth has its opening only.
    pub fn is_empty(&self) -> bool {
        self.basis.is_empty()
    }

    /// The numbers of a seen mouth: `opening` (distance of the inner lips over the height of the
    /// face), and the positions of lips and jaw in tenths of the crop, x and y by turns. The
    /// components count from no particular zero: differences of one person's mouths have meaning.
    pub fn place(&self, opening: f32, positions: &[f32]) -> Vec<f32> {
        let first = (opening * 20.0 - self.centre) / self.spread;
        let others = self.basis.iter().map(|row| {
            let products = row.iter().zip(positions).map(|(weight, at)| weight * at);
            products.sum::<f32>()
        });
        std::iter::once(first).chain(others).collect()
    }
}

/// `(W W')^-1 W` of `W` `[K, C]`: the transposed pseudo-inverse of a matrix of full rank.
fn transposed_inverse(weight: &Tensor) -> Result<Option<Tensor>> {
    let weight = weight.to_dtype(DType::F64)?;
    let square = weight.matmul(&weight.t()?)?.to_vec2::<f64>()?;
    let Some(inverse) = inverted(square) else {
        return Ok(None);
    };
    let size = inverse.len();
    let inverse = Tensor::from_vec(inverse.concat(), (size, size), weight.device())?;
    Ok(Some(inverse.matmul(&weight)?.to_dtype(DType::F32)?))
}

/// Gauss and Jordan's inverse with pivots; `None` for a singular matrix.
fn inverted(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let mut inverse: Vec<Vec<f64>> = (0..size)
        .map(|row| (0..size).map(|at| f64::from(u8::from(row == at))).collect())
        .collect();
    for column in 0..size {
        let weight = |row: &usize| {
            matrix
                .get(*row)
                .and_then(|r| r.get(column))
                .map(|v| v.abs())
        };
        let pivot = (column..size).max_by(|a, b| {
            let (a, b) = (weight(a).unwrap_or(0.0), weight(b).unwrap_or(0.0));
            a.total_cmp(&b)
        })?;
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = *matrix.get(column)?.get(column)?;
        if scale.abs() < 1e-12 {
            return None;
        }
        for side in [&mut matrix, &mut inverse] {
            for value in side.get_mut(column)? {
                *value /= scale;
            }
        }
        let (own, own_inverse) = (matrix.get(column)?.clone(), inverse.get(column)?.clone());
        for row in (0..size).filter(|row| *row != column) {
            let factor = *matrix.get(row)?.get(column)?;
            for (side, own) in [(&mut matrix, &own), (&mut inverse, &own_inverse)] {
                for (value, own) in side.get_mut(row)?.iter_mut().zip(own) {
                    *value -= factor * own;
                }
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn an_inverse_undoes_its_matrix_and_a_singular_one_has_none() {
        let matrix = vec![
            vec![0.0, 2.0, 1.0],
            vec![1.0, 1.0, 0.0],
            vec![3.0, 0.0, 1.0],
        ];
        let inverse = inverted(matrix.clone()).unwrap();
        for (i, row) in matrix.iter().enumerate() {
            let products = |j: usize| -> f64 {
                let column = inverse.iter().map(|row| row[j]);
                row.iter().zip(column).map(|(a, b)| a * b).sum()
            };
            assert!((0..3).all(|j| (products(j) - f64::from(u8::from(i == j))).abs() < 1e-12));
        }
        assert!(inverted(vec![vec![1.0, 2.0], vec![2.0, 4.0]]).is_none());
    }

    #[test]
    fn features_say_what_they_are_told_to_say() {
        let device = Device::Cpu;
        let weight =
            Tensor::new(&[[1.0_f32, 0.5, 0.0, -1.0], [0.0, 2.0, 1.0, 1.0]], &device).unwrap();
        let inverse = transposed_inverse(&weight).unwrap().unwrap();
        let change = Tensor::new(&[[0.3_f32, -2.0], [1.0, 0.0]], &device).unwrap();
        let moved = change.matmul(&inverse).unwrap();
        let said = moved.matmul(&weight.t().unwrap()).unwrap();
        let (said, change) = (
            said.to_vec2::<f32>().unwrap(),
            change.to_vec2::<f32>().unwrap(),
        );
        for (said, change) in said.concat().iter().zip(change.concat()) {
            assert!((said - change).abs() < 1e-5);
        }
    }

    #[test]
    fn a_mouth_has_its_opening_first() {
        let space = MouthSpace {
            centre: 0.5,
            spread: 0.25,
            basis: vec![vec![1.0, -1.0], vec![0.0, 2.0]],
        };
        assert_eq!(space.place(0.05, &[3.0, 1.0]), vec![2.0, 2.0, 2.0]);
        assert_eq!((space.len(), space.is_empty()), (3, false));
    }
}
