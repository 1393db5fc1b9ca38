//! Patterns for names of parameters: `*` stands for any text, dots included.

use serde::{Deserialize, Serialize};

/// A list of patterns; a name fits when one of them does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Patterns(pub Vec<String>);

impl Patterns {
    /// From texts.
    pub fn of<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }

    /// Whether `name` fits one of the patterns.
    pub fn fit(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern, name))
    }

    /// The first pattern that fits none of `names`: most likely a slip of the pen.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers make the iterator for this alone"
    )]
    pub fn idle<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Option<&str> {
        self.0
            .iter()
            .find(|pattern| !names.clone().any(|name| fits(pattern, name)))
            .map(String::as_str)
    }
}

/// Whether all of `name` is described by `pattern`.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else {
        return name.is_empty();
    };
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The slow twin: every way of sharing the name out.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|n| slow(rest, &name[n..])),
            [c, rest @ ..] => name.first() == Some(c) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn fits_as_the_slow_twin_says(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            prop_assert_eq!(fits(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn patterns_that_fit_nothing_are_found() {
        let patterns = Patterns::of(["*.audio_attn.*", "audio_projektion.*"]);
        let names = [
            "transformer_blocks.0.audio_attn.to_q.weight",
            "audio_projection.mix",
        ];
        assert!(patterns.fit(names[0]) && !patterns.fit(names[1]));
        assert_eq!(patterns.idle(names.into_iter()), Some("audio_projektion.*"));
    }
}
