//! Low-rank adapters beside the method's transformer, such as those of `reword adapt`.

use models::lora::{LoraFile, LoraStack, LoraUse};

use super::model::EditYourself;
use crate::error::Result;

impl EditYourself {
    /// Puts adapters, each with its strength, beside the transformer's weights, in place of
    /// those that are there.
    ///
    /// # Errors
    /// When one belongs to another model; what does not fit is named.
    pub fn add_loras(&mut self, loras: &[(LoraFile, f64)]) -> Result<()> {
        let mut stack = LoraStack::default();
        for (file, strength) in loras {
            let how = LoraUse {
                strength: *strength,
                ..LoraUse::default()
            };
            stack.push(&mut self.transformer, file, how)?;
        }
        Ok(stack.set_time(&mut self.transformer, 1.0)?)
    }
}
