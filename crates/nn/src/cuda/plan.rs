//! What is launched for each operation. Buffers, scratch memory too, are the caller's.

pub(crate) mod attention;
pub(crate) mod channels;
pub(crate) mod convolution;
pub(crate) mod eight_bits;
pub(crate) mod elements;
pub(crate) mod rows;
pub(crate) mod sums;
