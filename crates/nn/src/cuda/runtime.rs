//! Launches plans on a GPU: modules are compiled when they are first needed and kept, in
//! memory and as files.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::{CudaDevice, Result};
use cudarc::driver::{result, sys};
use sha2::{Digest as _, Sha256};

use super::launch::Launch;
use super::nvrtc::Nvrtc;
use super::source::{ALL, Module};

/// Shared memory that a kernel may ask for without being allowed to first.
const FREE_SHARED: u32 = 48 << 10;

/// A loaded module; it stays loaded until the process ends.
#[derive(Debug, Clone, Copy)]
struct Loaded(sys::CUmodule);

// SAFETY: a module's handle is a name, which any thread may use.
#[expect(unsafe_code, reason = "a foreign handle")]
unsafe impl Send for Loaded {}

/// A function of a loaded module.
#[derive(Debug, Clone, Copy)]
struct Function(sys::CUfunction);

// SAFETY: as for modules.
#[expect(unsafe_code, reason = "a foreign handle")]
unsafe impl Send for Function {}

#[derive(Debug, Default)]
struct Kernels {
    /// By GPU and module.
    modules: HashMap<(usize, &'static str), Loaded>,
    /// By GPU and kernel, with the shared memory that it may ask for.
    functions: HashMap<(usize, String), (Function, u32)>,
}

static KERNELS: LazyLock<Mutex<Kernels>> = LazyLock::new(Mutex::default);

/// Runs launches in turn on the device's stream.
///
/// The addresses among their arguments must be of memory that lives until the stream has
/// got there, which holds for memory that is freed in the stream's order.
pub(crate) fn run(device: &CudaDevice, launches: &[Launch]) -> Result<()> {
    let stream = device.cuda_stream();
    stream
        .context()
        .bind_to_thread()
        .map_err(candle_core::Error::wrap)?;
    for launch in launches {
        let function = function(device, launch)?;
        // Arguments are read through pointers while the call lasts; 8 bytes align any of them.
        let mut slots: Vec<Vec<u64>> = launch.arguments.iter().map(|bytes| words(bytes)).collect();
        let mut pointers: Vec<*mut c_void> = slots
            .iter_mut()
            .map(|slot| slot.as_mut_ptr().cast())
            .collect();
        let [x, y, z] = launch.grid;
        // SAFETY: number and types of the arguments are those of the kernel, as the same
        // plans show on the processor's machine, which checks them.
        #[expect(unsafe_code, reason = "launching is what this is for")]
        unsafe {
            result::launch_kernel(
                function.0,
                (x, y, z),
                (launch.block, 1, 1),
                launch.shared,
                stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(|error| {
            candle_core::Error::msg(format!(
                "{} with {:?} blocks of {}: {error}",
                launch.kernel, launch.grid, launch.block
            ))
        })?;
    }
    Ok(())
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |part: &[u8]| {
        let mut full = [0; 8];
        full[..part.len()].copy_from_slice(part);
        u64::from_ne_bytes(full)
    };
    bytes.chunks(8).map(word).collect()
}

fn function(device: &CudaDevice, launch: &Launch) -> Result<Function> {
    let gpu = device.cuda_stream().context().ordinal();
    let mut kernels = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (gpu, launch.kernel.clone());
    let (function, allowed) = match kernels.functions.get(&key) {
        Some(known) => *known,
        None => (kernels.find(device, gpu, launch)?, FREE_SHARED),
    };
    if launch.shared > allowed {
        let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is of a module that stays loaded.
        #[expect(unsafe_code, reason = "a foreign handle")]
        unsafe { result::function::set_function_attribute(function.0, most, launch.shared as i32) }
            .map_err(candle_core::Error::wrap)?;
    }
    let known = (function, allowed.max(launch.shared));
    kernels.functions.insert(key, known);
    Ok(function)
}

impl Kernels {
    fn find(&mut self, device: &CudaDevice, gpu: usize, launch: &Launch) -> Result<Function> {
        let key = (gpu, launch.module.name);
        let module = if let Some(module) = self.modules.get(&key) {
            *module
        } else {
            let module = load(device, launch.module)?;
            self.modules.insert(key, module);
            module
        };
        let name = CString::new(launch.kernel.as_str()).map_err(candle_core::Error::wrap)?;
        // SAFETY: the module is loaded and never unloaded.
        #[expect(unsafe_code, reason = "a foreign handle")]
        let function = unsafe { result::module::get_function(module.0, name) };
        function.map(Function).map_err(candle_core::Error::wrap)
    }
}

/// The architecture as NVRTC names it; with the features of just this chip where it has some.
pub(crate) fn architecture(device: &CudaDevice) -> Result<String> {
    let (major, minor) = device
        .cuda_stream()
        .context()
        .compute_capability()
        .map_err(candle_core::Error::wrap)?;
    let own = if major >= 9 { "a" } else { "" };
    Ok(format!("sm_{major}{minor}{own}"))
}

fn load(device: &CudaDevice, module: &'static Module) -> Result<Loaded> {
    let text = module.text();
    let architecture = architecture(device)?;
    let file = cache_file(&text, &architecture)?;
    let kept = file.as_ref().and_then(|file| std::fs::read(file).ok());
    let cubin = if let Some(cubin) = kept {
        cubin
    } else {
        let cubin = compile(module, &text, &architecture)?;
        if let Some(file) = &file {
            keep(file, &cubin);
        }
        cubin
    };
    // SAFETY: the image is a cubin, which the driver copies.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe { result::module::load_data(cubin.as_ptr().cast()) }
        .map(Loaded)
        .map_err(|error| candle_core::Error::msg(format!("kernels {}: {error}", module.name)))
}

static NVRTC: LazyLock<std::result::Result<Nvrtc, String>> =
    LazyLock::new(|| Nvrtc::open().map_err(|error| error.to_string()));

/// NVRTC's major and minor version.
pub(crate) fn compiler_version() -> Result<(i32, i32)> {
    let nvrtc = NVRTC.as_ref().map_err(candle_core::Error::msg)?;
    Ok(nvrtc.version())
}

/// Compiles and loads every kernel; gives their number.
pub(crate) fn load_all(device: &CudaDevice) -> Result<usize> {
    let stream = device.cuda_stream();
    stream
        .context()
        .bind_to_thread()
        .map_err(candle_core::Error::wrap)?;
    let mut count = 0;
    for module in ALL {
        for kernel in module.kernels {
            function(device, &Launch::new(module, kernel, [1, 1, 1], 32))?;
            count += 1;
        }
    }
    Ok(count)
}

fn compile(module: &'static Module, text: &str, architecture: &str) -> Result<Vec<u8>> {
    let nvrtc = NVRTC.as_ref().map_err(candle_core::Error::msg)?;
    let (cubin, _) = nvrtc
        .compile(module.name, text, architecture)
        .map_err(candle_core::Error::wrap)?;
    Ok(cubin)
}

/// `$XDG_CACHE_HOME/reword/kernels/DIGEST.cubin`, by text, architecture and driver.
fn cache_file(text: &str, architecture: &str) -> Result<Option<PathBuf>> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let Some(cache) = cache else { return Ok(None) };
    let mut driver = 0;
    // SAFETY: the place outlives the call.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe { sys::cuDriverGetVersion(&raw mut driver) }
        .result()
        .map_err(candle_core::Error::wrap)?;
    let mut digest = Sha256::new();
    digest.update(text);
    digest.update(architecture);
    digest.update(driver.to_le_bytes());
    let digest = digest.finalize();
    let half = digest.iter().take(16);
    let name = half.fold(0_u128, |name, byte| name << 8 | u128::from(*byte));
    Ok(Some(
        cache
            .join("reword/kernels")
            .join(format!("{name:032x}.cubin")),
    ))
}

/// Writes a file under another name first, so that nobody reads half of it. Without a
/// place to write, kernels are compiled again next time.
fn keep(file: &std::path::Path, cubin: &[u8]) {
    let part = file.with_extension(format!("{}.part", std::process::id()));
    let written = file
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&part, cubin))
        .and_then(|()| std::fs::rename(&part, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
}

/// The pool that tensors' memory is taken from.
fn default_pool(device: &CudaDevice) -> Result<sys::CUmemoryPool> {
    let stream = device.cuda_stream();
    stream
        .context()
        .bind_to_thread()
        .map_err(candle_core::Error::wrap)?;
    // SAFETY: the device is that of a context.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe { result::device::get_default_mem_pool(stream.context().cu_device()) }
        .map_err(candle_core::Error::wrap)
}

/// Bytes taken from the pool, at most or now.
pub(crate) fn pool(device: &CudaDevice, most: bool) -> Result<u64> {
    let pool = default_pool(device)?;
    let attribute = if most {
        sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH
    } else {
        sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT
    };
    let mut bytes = 0_u64;
    // SAFETY: these attributes are numbers of 64 bits.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe { sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut bytes).cast()) }
        .result()
        .map_err(candle_core::Error::wrap)?;
    Ok(bytes)
}

/// Lets the pool's highest mark begin anew.
pub(crate) fn forget_peak(device: &CudaDevice) -> Result<()> {
    let pool = default_pool(device)?;
    let mut zero = 0_u64;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    // SAFETY: the attribute is a number of 64 bits, which may be set to 0.
    #[expect(unsafe_code, reason = "a foreign call")]
    unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut zero).cast()) }
        .result()
        .map_err(candle_core::Error::wrap)
}
