//! Renaming of tensors between the layouts of different frameworks.

/// Rules from stored names to ours, tried in order on the whole name.
///
/// A name that no prefix rule matches is dropped, unless [`KeyMap::keep_others`].
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    prefixes: Vec<(String, String)>,
    parts: Vec<(String, String)>,
    keep_others: bool,
}

impl KeyMap {
    /// No rules: every name is dropped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that start with `from` start with `to` instead; the first such rule wins.
    #[must_use]
    pub fn prefix(mut self, from: &str, to: &str) -> Self {
        self.prefixes.push((from.to_owned(), to.to_owned()));
        self
    }

    /// After the prefix: every occurrence of `from` as whole dot-separated parts
    /// becomes `to`. Rules apply one after the other.
    #[must_use]
    pub fn part(mut self, from: &str, to: &str) -> Self {
        self.parts.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Names that no prefix rule matches stay instead of being dropped.
    #[must_use]
    pub fn keep_others(mut self) -> Self {
        self.keep_others = true;
        self
    }

    /// Our name for a stored one.
    pub fn apply(&self, name: &str) -> Option<String> {
        let matched = self.prefixes.iter().find_map(|(from, to)| {
            name.strip_prefix(from.as_str())
                .map(|rest| format!("{to}{rest}"))
        });
        let mut name = match matched {
            Some(name) => name,
            None if self.keep_others => name.to_owned(),
            None => return None,
        };
        for (from, to) in &self.parts {
            // Dots at both ends make whole parts findable as plain text.
            let dotted = format!(".{name}.").replace(&format!(".{from}."), &format!(".{to}."));
            dotted.trim_matches('.').clone_into(&mut name);
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_prefixes_and_whole_parts() {
        let keys = KeyMap::new()
            .prefix("model.diffusion_model.", "")
            .prefix("model.", "other.")
            .part("to_out.0", "to_out");
        assert_eq!(
            keys.apply("model.diffusion_model.a.to_out.0.weight")
                .as_deref(),
            Some("a.to_out.weight")
        );
        assert_eq!(
            keys.apply("model.a.to_out.01").as_deref(),
            Some("other.a.to_out.01")
        );
        assert_eq!(keys.apply("vae.a"), None);
        assert_eq!(keys.keep_others().apply("vae.a").as_deref(), Some("vae.a"));
    }
}
