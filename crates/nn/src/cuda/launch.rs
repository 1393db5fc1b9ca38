//! A kernel's launch as data.

use super::source::Module;

/// An address in a device's memory; 0 stands for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) u64);

impl At {
    pub(crate) const NOTHING: Self = Self(0);

    /// Whether accesses of 16 bytes may start here.
    pub(crate) const fn aligned(self) -> bool {
        self.0.is_multiple_of(16)
    }
}

/// The element types that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    Bf16,
}

impl Element {
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// One launch: threads are in one dimension, blocks in three.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) module: &'static Module,
    pub(crate) kernel: String,
    pub(crate) grid: [u32; 3],
    pub(crate) block: u32,
    /// Bytes of shared memory beside what the kernel itself declares.
    pub(crate) shared: u32,
    /// The bytes of each argument.
    pub(crate) arguments: Vec<Vec<u8>>,
}

impl Launch {
    pub(crate) fn new(
        module: &'static Module,
        kernel: &str,
        grid: [usize; 3],
        block: usize,
    ) -> Self {
        Self {
            module,
            kernel: kernel.to_owned(),
            grid: grid.map(|blocks| blocks.max(1) as u32),
            block: block as u32,
            shared: 0,
            arguments: Vec::new(),
        }
    }

    /// The kernel of an element type.
    pub(crate) fn of(
        module: &'static Module,
        kernel: &str,
        element: Element,
        grid: [usize; 3],
        block: usize,
    ) -> Self {
        Self::new(
            module,
            &format!("{kernel}_{}", element.suffix()),
            grid,
            block,
        )
    }

    pub(crate) const fn shared(mut self, bytes: usize) -> Self {
        self.shared = bytes as u32;
        self
    }

    pub(crate) fn at(self, address: At) -> Self {
        self.raw(address.0.to_ne_bytes().to_vec())
    }

    pub(crate) fn int(self, value: usize) -> Self {
        self.raw((value as i32).to_ne_bytes().to_vec())
    }

    pub(crate) fn long(self, value: usize) -> Self {
        self.raw((value as i64).to_ne_bytes().to_vec())
    }

    pub(crate) fn float(self, value: f32) -> Self {
        self.raw(value.to_ne_bytes().to_vec())
    }

    pub(crate) fn fields(self, fields: Fields) -> Self {
        self.raw(fields.finish())
    }

    fn raw(mut self, bytes: Vec<u8>) -> Self {
        self.arguments.push(bytes);
        self
    }
}

/// A structure as C lays it out.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    alignment: usize,
}

impl Fields {
    fn push<const SIZE: usize>(mut self, bytes: [u8; SIZE]) -> Self {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(SIZE), 0);
        self.bytes.extend(bytes);
        self.alignment = self.alignment.max(SIZE);
        self
    }

    pub(crate) fn at(self, address: At) -> Self {
        self.push(address.0.to_ne_bytes())
    }

    pub(crate) fn int(self, value: usize) -> Self {
        self.push((value as i32).to_ne_bytes())
    }

    pub(crate) fn ints(self, values: &[usize]) -> Self {
        values.iter().fold(self, |fields, value| fields.int(*value))
    }

    pub(crate) fn long(self, value: usize) -> Self {
        self.push((value as i64).to_ne_bytes())
    }

    pub(crate) fn float(self, value: f32) -> Self {
        self.push(value.to_ne_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        let size = self.bytes.len().next_multiple_of(self.alignment.max(1));
        self.bytes.resize(size, 0);
        self.bytes
    }
}
