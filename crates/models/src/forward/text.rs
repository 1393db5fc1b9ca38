//! The text encoder on saved tensors.

use super::{Call, Tensors, one};
use crate::error::Result;
use crate::t5::{T5Config, T5Encoder};

pub(super) fn t5(call: &Call<'_>) -> Result<Tensors> {
    let config = call.resolve(
        "t5",
        "t5-xxl",
        T5Config::preset,
        T5Config::from_json,
        || T5Encoder::detect(call.weights),
    )?;
    let model = T5Encoder::load(call.weights, &config, call.dtype, call.device)?;
    let mask = call.inputs.get("attention_mask");
    let hidden = model.forward(call.input("input_ids")?, mask)?;
    Ok(one("hidden", hidden))
}
