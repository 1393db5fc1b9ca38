//! The kernels' text.

/// Kernels that are compiled together.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// Its files, in order, without those that all modules begin with.
    files: &'static [&'static str],
    /// The functions that can be launched.
    pub(crate) kernels: &'static [&'static str],
}

const DEVICE: &str = include_str!("kernels/device.cu");
const COMMON: &str = include_str!("kernels/common.cu");
const ATTENTION_TILES: &str = include_str!("kernels/attention_tiles.cu");
const CONVOLUTION_SIZES: &str = include_str!("kernels/convolution_sizes.cu");

pub(crate) static ROWS: Module = Module {
    name: "rows",
    files: &[
        include_str!("kernels/rows.cu"),
        include_str!("kernels/sums.cu"),
        include_str!("kernels/residual.cu"),
        include_str!("kernels/rotary.cu"),
        include_str!("kernels/elements.cu"),
    ],
    kernels: &[
        "normalise_f32",
        "normalise_bf16",
        "normalise_backward_f32",
        "normalise_backward_bf16",
        "sum_rows_f32",
        "sum_rows_bf16",
        "gate_add_f32",
        "gate_add_bf16",
        "products_f32",
        "products_bf16",
        "rotate_f32",
        "rotate_bf16",
        "apply_f32",
        "apply_bf16",
        "slope_f32",
        "slope_bf16",
    ],
};

pub(crate) static CHANNELS: Module = Module {
    name: "channels",
    files: &[include_str!("kernels/channels.cu")],
    kernels: &[
        "position_scales_f32",
        "position_scales_bf16",
        "group_parts_f32",
        "group_parts_bf16",
        "join_parts",
        "channel_norm_f32",
        "channel_norm_bf16",
        "channel_sums_f32",
        "channel_sums_bf16",
        "position_backward_f32",
        "position_backward_bf16",
        "group_backward_f32",
        "group_backward_bf16",
    ],
};

pub(crate) static ATTENTION: Module = Module {
    name: "attention",
    files: &[ATTENTION_TILES, include_str!("kernels/attention.cu")],
    kernels: &["attention_forward_64", "attention_forward_128"],
};

pub(crate) static ATTENTION_BACKWARD: Module = Module {
    name: "attention_backward",
    files: &[
        ATTENTION_TILES,
        include_str!("kernels/attention_backward.cu"),
    ],
    kernels: &[
        "attention_offsets_f32",
        "attention_offsets_bf16",
        "attention_backward_queries_64",
        "attention_backward_keys_64",
        "attention_backward_queries_128",
        "attention_backward_keys_128",
    ],
};

pub(crate) static ATTENTION_PLAIN: Module = Module {
    name: "attention_plain",
    files: &[ATTENTION_TILES, include_str!("kernels/attention_plain.cu")],
    kernels: &[
        "plain_forward_f32",
        "plain_forward_bf16",
        "plain_backward_queries_f32",
        "plain_backward_queries_bf16",
        "plain_backward_keys_f32",
        "plain_backward_keys_bf16",
    ],
};

pub(crate) static CONVOLUTION: Module = Module {
    name: "convolution",
    files: &[
        CONVOLUTION_SIZES,
        include_str!("kernels/layout.cu"),
        include_str!("kernels/convolution.cu"),
        include_str!("kernels/convolution_weight.cu"),
        include_str!("kernels/convolution_plain.cu"),
    ],
    kernels: &[
        "channels_last",
        "taps_first",
        "convolution",
        "convolution_weight",
        "plain_convolution_f32",
        "plain_convolution_bf16",
        "plain_convolution_weight_f32",
        "plain_convolution_weight_bf16",
    ],
};

pub(crate) static EIGHT_BITS: Module = Module {
    name: "eight_bits",
    files: &[include_str!("kernels/eight_bits.cu")],
    kernels: &[
        "quantise_f32",
        "quantise_bf16",
        "restore_f32",
        "restore_bf16",
    ],
};

/// Every module.
pub(crate) static ALL: &[&Module] = &[
    &ROWS,
    &CHANNELS,
    &ATTENTION,
    &ATTENTION_BACKWARD,
    &ATTENTION_PLAIN,
    &CONVOLUTION,
    &EIGHT_BITS,
];

impl Module {
    /// Another module, for tests of what runs them.
    #[cfg(test)]
    pub(crate) const fn of(
        name: &'static str,
        files: &'static [&'static str],
        kernels: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            files,
            kernels,
        }
    }

    /// What NVRTC compiles.
    pub(crate) fn text(&self) -> String {
        self.with(DEVICE)
    }

    /// The kernels behind another machine's definitions.
    pub(crate) fn with(&self, machine: &str) -> String {
        let mut text = String::from(machine);
        for file in [&COMMON].into_iter().chain(self.files) {
            text.push('\n');
            text.push_str(file);
        }
        text
    }
}
