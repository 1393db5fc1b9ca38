//! Output vectors that several tasks write, and scratch memory a thread keeps.
#![expect(unsafe_code, reason = "tasks write disjoint parts of one vector")]

use std::cell::RefCell;
use std::marker::PhantomData;

/// Vector elements for which all-zero bits are a value, so that fresh zeroed
/// pages can be taken as they are.
pub(crate) trait Plain: Copy + Default + Send + Sync {}
impl<T: Copy + Default + Send + Sync> Plain for T {}

/// A zeroed vector (fresh pages from the system where it is large).
pub(crate) fn zeroed<T: Plain>(len: usize) -> Vec<T> {
    vec![T::default(); len]
}

/// A vector whose elements are whatever memory held: filling it with zeros first would
/// cost a pass over memory, which for element-wise operations is a third of their time.
///
/// # Safety
/// Every element is written before one is read.
#[expect(
    clippy::uninit_vec,
    reason = "every bit pattern is a value of these types, and the caller writes all of them"
)]
pub(crate) unsafe fn unwritten<T: Bits>(len: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(len);
    // SAFETY: the capacity is there; the caller writes the elements before reading them.
    unsafe { vector.set_len(len) };
    vector
}

/// A slice that tasks write at disjoint ranges.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `range`, whose caller promises disjointness.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            owner: PhantomData,
        }
    }

    /// The elements `start..start + len`.
    ///
    /// # Safety
    /// No two live results may overlap.
    ///
    /// # Panics
    /// When the range is outside of the slice.
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that ranges are disjoint"
    )]
    pub(crate) unsafe fn range(&self, start: usize, len: usize) -> &mut [T] {
        assert!(
            start <= self.len && len <= self.len - start,
            "range outside of the output"
        );
        // SAFETY: inside the slice by the assertion, not aliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

/// A vector aligned to cache lines.
#[derive(Default)]
pub(crate) struct Scratch {
    memory: Vec<Line>,
}

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([u64; 8]);

impl Scratch {
    /// `len` elements with unspecified, valid contents.
    pub(crate) fn of<T: Bits>(&mut self, len: usize) -> &mut [T] {
        let bytes = len * size_of::<T>();
        let lines = bytes.div_ceil(size_of::<Line>());
        if self.memory.len() < lines {
            self.memory.resize(lines, Line::default());
        }
        // SAFETY: large enough by the line above, aligned, initialised, and every bit
        // pattern is a value of `T` (`Bits`).
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast::<T>(), len) }
    }
}

/// Types of which every bit pattern is a value, aligned to at most 64 bytes.
///
/// # Safety
/// That must hold.
pub(crate) unsafe trait Bits: Copy {}
// SAFETY: plain numbers.
unsafe impl Bits for f32 {}
// SAFETY: plain numbers.
unsafe impl Bits for half::bf16 {}
// SAFETY: plain numbers.
unsafe impl Bits for u32 {}

thread_local! {
    static SCRATCH: RefCell<Vec<[Scratch; 4]>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's scratch memory; nested calls get memory of their own.
pub(crate) fn with_scratch<R>(f: impl FnOnce(&mut [Scratch; 4]) -> R) -> R {
    let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = f(&mut scratch);
    SCRATCH.with_borrow_mut(|kept| kept.push(scratch));
    result
}
