//! Names of an adapter's tensors, and the modules that they mean.

use std::collections::BTreeMap;

/// What a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Down,
    Up,
    Alpha,
}

/// Ends of names. PEFT puts the adapter's name, `default`, in between.
const ENDS: [(&str, Part); 11] = [
    (".lora_A.default.weight", Part::Down),
    (".lora_B.default.weight", Part::Up),
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".lora_down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    ("_lora.down.weight", Part::Down),
    ("_lora.up.weight", Part::Up),
    (".alpha", Part::Alpha),
];

/// What stands in front of a module's path, by program.
const PREFIXES: [&str; 7] = [
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "lora_unet_",
    "lora_transformer_",
    "unet.",
];

/// Names of modules in diffusers, and the official ones.
const DIFFUSERS: [(&str, &str); 2] = [("proj_in", "patchify_proj"), ("time_embed", "adaln_single")];

/// A stored name as the module that it belongs to and what it is.
pub(super) fn split(name: &str) -> Option<(String, Part)> {
    let (module, part) = ENDS
        .iter()
        .find_map(|(end, part)| Some((name.strip_suffix(end)?, *part)))?;
    let mut module = module;
    // PEFT's prefix stands in front of another program's.
    while let Some(rest) = PREFIXES.iter().find_map(|p| module.strip_prefix(p)) {
        module = rest;
    }
    Some((module.to_owned(), part))
}

/// A model's linears by every spelling that files use.
pub(super) struct Form {
    names: BTreeMap<String, String>,
}

impl Form {
    pub(super) fn of<'a>(known: impl Iterator<Item = &'a String>) -> Self {
        let mut names = BTreeMap::new();
        for name in known {
            let mut spellings = vec![name.clone()];
            for (theirs, official) in DIFFUSERS {
                let dotted = format!(".{name}.");
                let other = dotted.replace(&format!(".{official}."), &format!(".{theirs}."));
                if other != dotted {
                    spellings.push(other.trim_matches('.').to_owned());
                }
            }
            for spelling in spellings {
                // kohya writes underscores for dots; old files leave out the list's index.
                names.insert(spelling.replace('.', "_"), name.clone());
                if let Some(short) = spelling.strip_suffix(".to_out.0") {
                    names.insert(format!("{short}.to_out"), name.clone());
                    names.insert(format!("{short}.to_out").replace('.', "_"), name.clone());
                }
                names.insert(spelling, name.clone());
            }
        }
        Self { names }
    }

    /// The model's name for a module.
    pub(super) fn resolve(&self, module: &str) -> Option<String> {
        self.names.get(module).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_programs_mean_the_same_module() {
        let known = [
            "transformer_blocks.3.attn1.to_out.0".to_owned(),
            "adaln_single.emb.timestep_embedder.linear_1".to_owned(),
        ];
        let form = Form::of(known.iter());
        for (name, wanted, part) in [
            (
                "transformer.transformer_blocks.3.attn1.to_out.0.lora_A.weight",
                0,
                Part::Down,
            ),
            (
                "base_model.model.transformer_blocks.3.attn1.to_out.0.lora_B.default.weight",
                0,
                Part::Up,
            ),
            (
                "diffusion_model.transformer_blocks.3.attn1.to_out.0.lora_up.weight",
                0,
                Part::Up,
            ),
            (
                "lora_unet_transformer_blocks_3_attn1_to_out_0.alpha",
                0,
                Part::Alpha,
            ),
            (
                "lora_unet_transformer_blocks_3_attn1_to_out_0.lora_down.weight",
                0,
                Part::Down,
            ),
            (
                "transformer.time_embed.emb.timestep_embedder.linear_1.lora_A.weight",
                1,
                Part::Down,
            ),
            (
                "diffusion_model.adaln_single.emb.timestep_embedder.linear_1.lora_A.weight",
                1,
                Part::Down,
            ),
            (
                "lora_transformer_time_embed_emb_timestep_embedder_linear_1.lora_down.weight",
                1,
                Part::Down,
            ),
        ] {
            let (module, found) = split(name).unwrap();
            assert_eq!(found, part, "{name}");
            assert_eq!(form.resolve(&module).as_ref(), known.get(wanted), "{name}");
        }
        assert_eq!(split("transformer.x.lora_magnitude_vector"), None);
        assert_eq!(split("x.hada_w1_a"), None);
        assert_eq!(form.resolve("transformer_blocks.4.attn1.to_q"), None);
    }
}
