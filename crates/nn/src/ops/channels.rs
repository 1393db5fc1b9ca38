//! Pixel norm and group norm as one kind of operation: a normalisation of
//! `[B, C, ..]`, an affine map of the channels, and perhaps `SiLU`.

use std::cell::RefCell;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use super::support::{Raw, apply1, apply3};
use crate::cpu::channels::{self, GroupNorm, PerChannel, PixelNorm, Sizes};
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

/// What is normalised together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over {
    /// All channels of one position.
    Channels,
    /// All positions of so many groups of channels.
    Groups(usize),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelNorm {
    pub(crate) over: Over,
    pub(crate) eps: f64,
    pub(crate) silu: bool,
    /// Added to the factor.
    pub(crate) offset: f32,
}

impl ChannelNorm {
    /// Applies it; `affine` is factor and summand, `[C]` or, over channels, `[B, C]`.
    pub(crate) fn apply(self, x: &Tensor, affine: Option<(&Tensor, &Tensor)>) -> Result<Tensor> {
        if x.rank() < 2 {
            bail!("a normalisation of channels got {:?}", x.dims());
        }
        let x = x.contiguous()?;
        #[cfg(feature = "cuda")]
        if affine.is_none() && super::support::on_gpu(&x) {
            return crate::cuda::ops::channels::normalise(&x, None, self.on_gpu());
        }
        let Some((factor, summand)) = affine else {
            return apply1(&x, self);
        };
        let (batch, channels) = (x.dim(0)?, x.dim(1)?);
        for table in [factor, summand] {
            let dims = table.dims();
            let per_sample = matches!(self.over, Over::Channels);
            let fits = dims == [channels]
                || (per_sample && (dims == [batch, channels] || dims == [1, channels]));
            if !fits {
                bail!(
                    "a table of {:?} does not fit the channels of {:?}",
                    table.dims(),
                    x.dims()
                );
            }
        }
        #[cfg(feature = "cuda")]
        if super::support::on_gpu(&x) {
            return crate::cuda::ops::channels::normalise(&x, affine, self.on_gpu());
        }
        apply3(&x, &factor.contiguous()?, &summand.contiguous()?, self)
    }

    #[cfg(feature = "cuda")]
    const fn on_gpu(&self) -> crate::cuda::ops::channels::Norm {
        crate::cuda::ops::channels::Norm {
            groups: match self.over {
                Over::Channels => 0,
                Over::Groups(groups) => groups,
            },
            eps: self.eps as f32,
            offset: self.offset,
            silu: self.silu,
        }
    }

    fn sizes(shape: &Shape) -> Sizes {
        let dims = shape.dims();
        Sizes {
            batch: dims[0],
            channels: dims[1],
            positions: dims[2..].iter().product(),
        }
    }

    fn forward(
        &self,
        (s, l): (&CpuStorage, &Layout),
        affine: Option<[(&CpuStorage, &Layout); 2]>,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Self::sizes(l.shape());
        let tables = match affine {
            Some([factor, summand]) => {
                Some((widened(factor.0, factor.1)?, widened(summand.0, summand.1)?))
            }
            None => None,
        };
        let affine = self.per_channel(tables.as_ref());
        by_dtype!(s.dtype(), T => {
            let x = dense::<T>(s, l)?;
            let out = match self.over {
                Over::Channels => channels::pixel_norm(sizes, x, &self.pixel(affine)),
                Over::Groups(groups) => channels::group_norm(sizes, x, &self.group(groups, affine)),
            };
            Ok((T::store(out), l.shape().clone()))
        })
    }

    fn per_channel<'a>(&self, tables: Option<&'a (Vec<f32>, Vec<f32>)>) -> Option<PerChannel<'a>> {
        tables.map(|(factor, summand)| PerChannel {
            factor,
            summand,
            offset: self.offset,
        })
    }

    fn pixel<'a>(&self, affine: Option<PerChannel<'a>>) -> PixelNorm<'a> {
        PixelNorm {
            eps: self.eps as f32,
            affine,
            silu: self.silu,
        }
    }

    fn group<'a>(&self, groups: usize, affine: Option<PerChannel<'a>>) -> GroupNorm<'a> {
        GroupNorm {
            groups,
            eps: self.eps as f32,
            affine,
            silu: self.silu,
        }
    }

    fn backward(
        &self,
        x: &Tensor,
        affine: Option<(&Tensor, &Tensor)>,
        grad: &Tensor,
    ) -> Result<(Tensor, Option<Tensor>, Option<Tensor>)> {
        let wide = |t: &Tensor| {
            t.detach()
                .to_dtype(DType::F32)?
                .flatten_all()?
                .to_vec1::<f32>()
        };
        let tables = match affine {
            Some((factor, summand)) => Some((wide(factor)?, wide(summand)?)),
            None => None,
        };
        let per_channel = self.per_channel(tables.as_ref());
        let sums = RefCell::new((Vec::new(), Vec::new()));
        let run = |xs: &CpuStorage, xl: &Layout, gs: &CpuStorage, gl: &Layout| {
            let sizes = Self::sizes(xl.shape());
            by_dtype!(xs.dtype(), T => {
                let (x, grad) = (dense::<T>(xs, xl)?, dense::<T>(gs, gl)?);
                let (dx, factor, summand) = match self.over {
                    Over::Channels => channels::pixel_norm_backward(sizes, x, grad, &self.pixel(per_channel)),
                    Over::Groups(groups) => {
                        channels::group_norm_backward(sizes, x, grad, &self.group(groups, per_channel))
                    }
                };
                *sums.borrow_mut() = (factor, summand);
                Ok((T::store(dx), xl.shape().clone()))
            })
        };
        let dx = x
            .detach()
            .apply_op2_no_bwd(&grad.contiguous()?, &Raw("channel-norm-backward", run))?;
        let (factor_sums, summand_sums) = sums.into_inner();
        let table = |sums: Vec<f32>, like: Option<&Tensor>| -> Result<Option<Tensor>> {
            let Some(like) = like.filter(|t| t.track_op()) else {
                return Ok(None);
            };
            let channels = x.dim(1)?;
            let rows =
                Tensor::from_vec(sums.clone(), (sums.len() / channels, channels), x.device())?;
            let rows = if like.elem_count() == channels {
                rows.sum(0)?
            } else {
                rows
            };
            rows.reshape(like.shape())?.to_dtype(like.dtype()).map(Some)
        };
        let d_factor = table(factor_sums, affine.map(|(factor, _)| factor))?;
        let d_summand = table(summand_sums, affine.map(|(_, summand)| summand))?;
        Ok((dx, d_factor, d_summand))
    }
}

impl CustomOp1 for ChannelNorm {
    fn name(&self) -> &'static str {
        "channel-norm"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((s, l), None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.backward(x, None, grad)?.0))
    }
}

impl CustomOp3 for ChannelNorm {
    fn name(&self) -> &'static str {
        "channel-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), Some([(s2, l2), (s3, l3)]))
    }

    fn bwd(
        &self,
        x: &Tensor,
        factor: &Tensor,
        summand: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, d_factor, d_summand) = self.backward(x, Some((factor, summand)), grad)?;
        Ok((x.track_op().then_some(dx), d_factor, d_summand))
    }
}
