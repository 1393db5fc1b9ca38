//! cuBLASLt: products in bf16, f32 and 8 bits with bias and GELU in the same pass.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::{CudaDevice, Result};
use cudarc::cublaslt::{result, sys};
use cudarc::driver::{CudaSlice, DevicePtr as _};

use super::launch::At;

/// Bytes that the library may use for its own; NVIDIA's advice for Hopper.
const WORKSPACE: usize = 32 << 20;

/// Element types of a product; sums are in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    F32,
    Bf16,
    EightBits,
}

impl Kind {
    const fn code(self) -> sys::cudaDataType {
        match self {
            Self::F32 => sys::cudaDataType_t::CUDA_R_32F,
            Self::Bf16 => sys::cudaDataType_t::CUDA_R_16BF,
            Self::EightBits => sys::cudaDataType_t::CUDA_R_8F_E4M3,
        }
    }
}

/// `result = op(left) op(right)`, columns first in memory, as the library counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Product {
    /// Of both sides.
    pub(crate) left: Kind,
    pub(crate) result: Kind,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) inner: usize,
    pub(crate) left_transposed: bool,
    pub(crate) right_transposed: bool,
    /// One number for each row, in the result's type.
    pub(crate) bias: bool,
    /// GELU's tanh form.
    pub(crate) gelu: bool,
    /// With a scale for each row of the left side and each column of the right.
    pub(crate) scaled: bool,
}

/// Scales of a product's sides, in `f32`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scales {
    pub(crate) left: At,
    pub(crate) right: At,
}

/// A GPU's handle, workspace and chosen algorithms.
struct Library {
    handle: sys::cublasLtHandle_t,
    workspace: CudaSlice<u8>,
    algorithms: HashMap<(Product, u32), sys::cublasLtMatmulAlgo_t>,
}

// SAFETY: a handle may be used by any thread, and the lock lets one at a time.
#[expect(unsafe_code, reason = "a foreign handle")]
unsafe impl Send for Library {}

/// By device: streams do not share workspaces.
static LIBRARIES: LazyLock<Mutex<HashMap<String, Library>>> = LazyLock::new(Mutex::default);

/// Closes what the library opened.
struct Closing<T: Copy>(
    T,
    unsafe fn(T) -> std::result::Result<(), result::CublasError>,
);

impl<T: Copy> Drop for Closing<T> {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        #[expect(unsafe_code, reason = "a foreign handle")]
        let _ = unsafe { (self.1)(self.0) };
    }
}

fn wrong(product: &Product) -> impl Fn(result::CublasError) -> candle_core::Error + '_ {
    move |error| candle_core::Error::msg(format!("cuBLASLt: {error} for {product:?}"))
}

/// The largest power of two up to 256 that divides all of the addresses.
fn alignment(places: &[At]) -> u32 {
    let bits = places.iter().fold(256, |bits, at| bits | at.0);
    1 << bits.trailing_zeros()
}

/// What the library thinks fastest for addresses that are multiples of `least`.
fn choose(
    handle: sys::cublasLtHandle_t,
    description: sys::cublasLtMatmulDesc_t,
    [left, right, to]: [sys::cublasLtMatrixLayout_t; 3],
    least: u32,
) -> std::result::Result<sys::cublasLtMatmulAlgo_t, result::CublasError> {
    use sys::cublasLtMatmulPreferenceAttributes_t as Preference;
    let preference = Closing(result::create_matmul_pref()?, result::destroy_matmul_pref);
    let prefer = |attribute, value: &[u8]| {
        let (at, size) = (value.as_ptr().cast::<c_void>(), value.len());
        // SAFETY: the value has the attribute's size and outlives the call.
        #[expect(unsafe_code, reason = "a foreign call")]
        unsafe {
            result::set_matmul_pref_attribute(preference.0, attribute, at, size)
        }
    };
    prefer(
        Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
        &WORKSPACE.to_ne_bytes(),
    )?;
    for attribute in [
        Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
    ] {
        prefer(attribute, &least.to_ne_bytes())?;
    }
    // SAFETY: all of the objects are open.
    #[expect(unsafe_code, reason = "a foreign call")]
    let found = unsafe {
        result::get_matmul_algo_heuristic(handle, description, left, right, to, to, preference.0)
    }?;
    Ok(found.algo)
}

/// Computes a product on the device's stream.
pub(crate) fn multiply(
    device: &CudaDevice,
    product: &Product,
    left: At,
    right: At,
    to: At,
    bias: At,
    scales: Option<Scales>,
) -> Result<()> {
    use sys::cublasLtMatmulDescAttributes_t as Attribute;
    let wrong = wrong(product);
    let stream = device.cuda_stream();
    stream
        .context()
        .bind_to_thread()
        .map_err(candle_core::Error::wrap)?;
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    let library = match libraries.entry(format!("{:?}", device.id())) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Library {
            handle: result::create_handle().map_err(&wrong)?,
            workspace: device.alloc_zeros::<u8>(WORKSPACE)?,
            algorithms: HashMap::new(),
        }),
    };
    let description = result::create_matmul_desc(
        sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        sys::cudaDataType_t::CUDA_R_32F,
    )
    .map_err(&wrong)?;
    let description = Closing(description, result::destroy_matmul_desc);
    let set = |attribute: Attribute, value: &[u8]| {
        // SAFETY: the value has the attribute's size and outlives the call.
        #[expect(unsafe_code, reason = "a foreign call")]
        unsafe {
            let (at, size) = (value.as_ptr().cast::<c_void>(), value.len());
            result::set_matmul_desc_attribute(description.0, attribute, at, size)
        }
        .map_err(&wrong)
    };
    let turn = |transposed: bool| i32::from(transposed).to_ne_bytes();
    set(
        Attribute::CUBLASLT_MATMUL_DESC_TRANSA,
        &turn(product.left_transposed),
    )?;
    set(
        Attribute::CUBLASLT_MATMUL_DESC_TRANSB,
        &turn(product.right_transposed),
    )?;
    let epilogue = match (product.bias, product.gelu) {
        (false, false) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_DEFAULT,
        (true, false) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS,
        (false, true) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_GELU,
        (true, true) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_GELU_BIAS,
    };
    set(
        Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE,
        &(epilogue as i32).to_ne_bytes(),
    )?;
    if product.bias {
        set(
            Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER,
            &bias.0.to_ne_bytes(),
        )?;
        let kind = product.result.code() as i32;
        set(
            Attribute::CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
            &kind.to_ne_bytes(),
        )?;
    }
    if let Some(scales) = scales {
        // CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: a scale a row, or a column.
        const OUTER_VECTOR: i32 = 3;
        for (mode, pointer, at) in [
            (
                Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_MODE,
                Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER,
                scales.left,
            ),
            (
                Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_MODE,
                Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER,
                scales.right,
            ),
        ] {
            set(mode, &OUTER_VECTOR.to_ne_bytes())?;
            set(pointer, &at.0.to_ne_bytes())?;
        }
    }
    // As they lie in memory: transposed ones have the inner size in front.
    let layout = |kind: Kind, rows: usize, columns: usize, transposed: bool| {
        let (rows, columns) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        result::create_matrix_layout(kind.code(), rows as u64, columns as u64, rows as i64)
            .map(|layout| Closing(layout, result::destroy_matrix_layout))
            .map_err(&wrong)
    };
    let Product {
        rows,
        columns,
        inner,
        ..
    } = *product;
    let left_layout = layout(product.left, rows, inner, product.left_transposed)?;
    let right_layout = layout(product.left, inner, columns, product.right_transposed)?;
    let to_layout = layout(product.result, rows, columns, false)?;

    let least = alignment(&[left, right, to]);
    let key = (*product, least);
    let algorithm = if let Some(algorithm) = library.algorithms.get(&key) {
        *algorithm
    } else {
        let layouts = [left_layout.0, right_layout.0, to_layout.0];
        let found = choose(library.handle, description.0, layouts, least).map_err(&wrong)?;
        library.algorithms.insert(key, found);
        found
    };
    let (one, zero) = (1.0_f32, 0.0_f32);
    let (workspace, _guard) = library.workspace.device_ptr(&stream);
    // SAFETY: the addresses are of memory of the sizes above, which lives until the stream
    // has got there.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe {
        result::matmul(
            library.handle,
            description.0,
            (&raw const one).cast(),
            (&raw const zero).cast(),
            left.0 as *const c_void,
            left_layout.0,
            right.0 as *const c_void,
            right_layout.0,
            to.0 as *const c_void,
            to_layout.0,
            to.0 as *mut c_void,
            to_layout.0,
            &raw const algorithm,
            workspace as *mut c_void,
            WORKSPACE,
            stream.cu_stream().cast(),
        )
    }
    .map_err(&wrong)
}
