//! The two element types of activations.

use std::any::TypeId;

use half::bf16;

use super::buffer::Bits;

/// `f32` or `bf16`: stored as such, computed with as `f32`.
pub(crate) trait Real: Bits + Copy + Default + Send + Sync + 'static {
    fn get(self) -> f32;
    fn put(value: f32) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn put(value: f32) -> Self {
        value
    }
}

impl Real for bf16 {
    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// Round to nearest, ties to even, without a branch.
    #[inline(always)]
    fn put(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet = (bits >> 16) | 0x40;
        Self::from_bits(if value.is_nan() { quiet } else { rounded } as u16)
    }
}

/// Copies with conversion; a plain copy between equal types.
#[inline(always)]
pub(crate) fn convert<T: Real, E: Real>(from: &[T], to: &mut [E]) {
    if let Some(from) = same::<T, E>(from) {
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = E::put(from.get());
        }
    }
}

/// One element, unchanged between equal types.
#[inline(always)]
pub(crate) fn convert_one<T: Real, E: Real>(from: T) -> E {
    if TypeId::of::<T>() == TypeId::of::<E>() {
        // SAFETY: the same type.
        #[expect(unsafe_code, reason = "a cast between equal types")]
        unsafe {
            std::mem::transmute_copy(&from)
        }
    } else {
        E::put(from.get())
    }
}

/// The slice itself where the types are equal.
#[inline(always)]
pub(crate) fn same<T: Real, E: Real>(slice: &[T]) -> Option<&[E]> {
    // SAFETY: the same type.
    #[expect(unsafe_code, reason = "a cast between equal types")]
    (TypeId::of::<T>() == TypeId::of::<E>())
        .then(|| unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), slice.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_reference_does() {
        let mut bits = 0_u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(bits);
            let ours = <bf16 as Real>::put(x);
            if x.is_nan() {
                assert!(ours.is_nan());
            } else {
                assert_eq!(ours.to_bits(), bf16::from_f32(x).to_bits(), "{x}");
                assert_eq!(Real::get(ours).to_bits(), ours.to_f32().to_bits());
            }
        }
    }
}
