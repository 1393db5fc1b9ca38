//! Products of matrices.

use candle_core::{D, DType, Result, Tensor, bail};

use super::rows::sum_rows;
use super::run;
use crate::cuda::blas::{Kind, Product, Scales, multiply};
use crate::cuda::memory::{Space, at, at_or_nothing, element};
use crate::cuda::op::done;
use crate::cuda::plan::eight_bits;
use crate::ops::linear::Activation;

const fn kind(dtype: DType) -> Option<Kind> {
    match dtype {
        DType::F32 => Some(Kind::F32),
        DType::BF16 => Some(Kind::Bf16),
        _ => None,
    }
}

fn kind_of(x: &Tensor) -> Result<Kind> {
    match kind(x.dtype()) {
        Some(kind) => Ok(kind),
        None => bail!("there is no GPU product of {:?}", x.dtype()),
    }
}

/// Rows of `x`, and the shape of `x W^T`.
fn sizes(x: &Tensor, outputs: usize) -> Result<(usize, usize, Vec<usize>)> {
    let inputs = x.dim(D::Minus1)?;
    let mut shape = x.dims().to_vec();
    shape.pop();
    shape.push(outputs);
    Ok((x.elem_count() / inputs, inputs, shape))
}

/// `activation(x W^T + b)`; only the tanh form of GELU is fused, others follow.
pub(crate) fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let tracked = crate::ops::support::tracked(&[Some(x), Some(weight), bias]);
    let fused = activation == Activation::GeluTanh && !tracked;
    let (outputs, _) = weight.dims2()?;
    let (rows, inputs, shape) = sizes(x, outputs)?;
    let x = x.contiguous()?;
    let narrow = |t: &Tensor| t.detach().to_dtype(x.dtype())?.contiguous();
    let (weights, biases) = (narrow(weight)?, bias.map(narrow).transpose()?);
    let y = Space::new(x.device(), x.dtype(), shape)?;
    // Columns of the product are rows here: y^T = W x^T.
    let product = Product {
        left: kind_of(&x)?,
        result: kind_of(&x)?,
        rows: outputs,
        columns: rows,
        inner: inputs,
        left_transposed: true,
        right_transposed: false,
        bias: biases.is_some(),
        gelu: fused,
        scaled: false,
    };
    let device = x.device().as_cuda_device()?.clone();
    let bias_at = at_or_nothing(biases.as_ref())?;
    multiply(
        &device,
        &product,
        at(&weights)?,
        at(&x)?,
        y.at()?,
        bias_at,
        None,
    )?;
    let mut arguments = vec![&x, weight];
    arguments.extend(bias);
    let kept = (x.clone(), weight.clone(), bias.cloned());
    let y = done("linear", &arguments, y, move |_, grad| {
        let (x, weight, bias) = &kept;
        let grad = grad.contiguous()?.reshape(((), outputs))?;
        let dx = if x.track_op() {
            let weight = weight.detach().to_dtype(x.dtype())?;
            Some(matrix(&grad, false, &weight, false)?.reshape(x.shape())?)
        } else {
            None
        };
        let dw = if weight.track_op() {
            let x = x.detach().reshape(((), inputs))?;
            Some(matrix(&grad, true, &x, false)?.to_dtype(weight.dtype())?)
        } else {
            None
        };
        let db = match bias {
            Some(bias) if bias.track_op() => Some(sum_rows(&grad)?.to_dtype(bias.dtype())?),
            _ => None,
        };
        Ok(vec![dx, dw, db])
    })?;
    if fused { Ok(y) } else { activation.apply(&y) }
}

/// The product of two matrices of one dtype, each perhaps transposed; no gradient.
pub(crate) fn matrix(
    left: &Tensor,
    left_transposed: bool,
    right: &Tensor,
    right_transposed: bool,
) -> Result<Tensor> {
    let (left, right) = (left.detach().contiguous()?, right.detach().contiguous()?);
    let turned = |x: &Tensor, transposed: bool| -> Result<(usize, usize)> {
        let (rows, columns) = x.dims2()?;
        Ok(if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        })
    };
    let ((rows, inner), (other, columns)) = (
        turned(&left, left_transposed)?,
        turned(&right, right_transposed)?,
    );
    if inner != other {
        bail!("matrix: inner sizes {inner} and {other} differ");
    }
    let y = Space::new(left.device(), left.dtype(), (rows, columns))?;
    // Rows and columns change places, and so do the sides.
    let product = Product {
        left: kind_of(&left)?,
        result: kind_of(&left)?,
        rows: columns,
        columns: rows,
        inner,
        left_transposed: right_transposed,
        right_transposed: left_transposed,
        bias: false,
        gelu: false,
        scaled: false,
    };
    let device = left.device().as_cuda_device()?.clone();
    let nothing = at_or_nothing(None)?;
    multiply(
        &device,
        &product,
        at(&right)?,
        at(&left)?,
        y.at()?,
        nothing,
        None,
    )?;
    Ok(y.tensor())
}

/// A weight in 8 bits with a scale for each output channel.
#[derive(Debug, Clone)]
pub(crate) struct EightBits {
    /// `[outputs, inputs]`, e4m3.
    codes: Tensor,
    /// `[outputs]` in `f32`.
    scales: Tensor,
    dtype: DType,
}

/// Codes and scales of the rows of a contiguous matrix.
fn quantise(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, width) = x.dims2()?;
    let codes = Space::new(x.device(), DType::U8, (rows, width))?;
    let scales = Space::new(x.device(), DType::F32, rows)?;
    let launch = eight_bits::quantise(
        element(x)?,
        (rows, width),
        at(x)?,
        codes.at()?,
        scales.at()?,
    );
    run(x, &[launch])?;
    Ok((codes.tensor(), scales.tensor()))
}

impl EightBits {
    /// From `[outputs, inputs]`.
    pub(crate) fn new(weight: &Tensor) -> Result<Self> {
        let weight = weight.detach().contiguous()?;
        let (codes, scales) = quantise(&weight)?;
        Ok(Self {
            codes,
            scales,
            dtype: weight.dtype(),
        })
    }

    /// The weight as it is used, in its former dtype.
    pub(crate) fn restored(&self) -> Result<Tensor> {
        let (rows, width) = self.codes.dims2()?;
        let to = Space::new(self.codes.device(), self.dtype, (rows, width))?;
        let element = match kind(self.dtype) {
            Some(Kind::F32) => crate::cuda::launch::Element::F32,
            _ => crate::cuda::launch::Element::Bf16,
        };
        let launch = eight_bits::restore(
            element,
            (rows, width),
            at(&self.codes)?,
            at(&self.scales)?,
            to.at()?,
        );
        run(&self.codes, &[launch])?;
        Ok(to.tensor())
    }

    /// `x W^T + b` for `x` in bf16, whose rows are brought to 8 bits too; no gradient.
    ///
    /// GPUs before Hopper, and sizes that are no multiple of 16, use the restored weight.
    pub(crate) fn linear(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (outputs, inputs) = self.codes.dims2()?;
        let device = x.device().as_cuda_device()?.clone();
        let capability = device
            .cuda_stream()
            .context()
            .compute_capability()
            .map_err(candle_core::Error::wrap)?;
        let fits = x.dtype() == DType::BF16
            && capability >= (9, 0)
            && inputs.is_multiple_of(16)
            && outputs.is_multiple_of(16);
        if !fits {
            return linear(x, &self.restored()?, bias, Activation::None);
        }
        let (rows, _, shape) = sizes(x, outputs)?;
        let flat = x.detach().contiguous()?.reshape((rows, inputs))?;
        let (codes, scales) = quantise(&flat)?;
        let bias = bias
            .map(|bias| bias.detach().to_dtype(DType::BF16)?.contiguous())
            .transpose()?;
        let y = Space::new(x.device(), DType::BF16, shape)?;
        let product = Product {
            left: Kind::EightBits,
            result: Kind::Bf16,
            rows: outputs,
            columns: rows,
            inner: inputs,
            left_transposed: true,
            right_transposed: false,
            bias: bias.is_some(),
            gelu: false,
            scaled: true,
        };
        let scales = Scales {
            left: at(&self.scales)?,
            right: at(&scales)?,
        };
        multiply(
            &device,
            &product,
            at(&self.codes)?,
            at(&codes)?,
            y.at()?,
            at_or_nothing(bias.as_ref())?,
            Some(scales),
        )?;
        Ok(y.tensor())
    }
}
