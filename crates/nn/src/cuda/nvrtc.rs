//! NVIDIA's compiler as a library, opened when it is first needed.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use libloading::Library;
use thiserror::Error;

/// What goes wrong while kernels are compiled.
#[derive(Debug, Error)]
pub(crate) enum CompileError {
    /// The library is nowhere.
    #[error("NVRTC is not found: {0}")]
    Missing(String),
    /// A text holds a zero byte.
    #[error("{0}: the text holds a zero byte")]
    Text(&'static str),
    /// The compiler refused.
    #[error("{module} for {architecture}: NVRTC gives error {code}\n{log}")]
    Refused {
        /// The module's name.
        module: &'static str,
        /// As `sm_90a`.
        architecture: String,
        /// NVRTC's number.
        code: c_int,
        /// What the compiler says.
        log: String,
    },
}

type Program = *mut c_void;
type Text = *const c_char;

/// The open library.
pub(crate) struct Nvrtc {
    create:
        unsafe extern "C" fn(*mut Program, Text, Text, c_int, *const Text, *const Text) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const Text) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    /// Keeps the functions' code mapped.
    _library: Library,
    /// What the compiler opens by name, wherever that was found.
    _builtins: Option<Library>,
}

/// Where the library may be: beside what `REWORD_CUDA` or `CUDA_HOME` names, or where the
/// system looks.
fn places() -> Vec<PathBuf> {
    const NAMES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
    let folders = ["REWORD_CUDA", "CUDA_HOME"]
        .into_iter()
        .filter_map(std::env::var_os)
        .flat_map(|root| {
            let root = PathBuf::from(root);
            [
                root.join("nvidia/cu13/lib"),
                root.join("lib"),
                root.join("lib64"),
            ]
        });
    folders
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .filter(|path| path.exists())
        .chain(NAMES.map(PathBuf::from))
        .collect()
}

/// The file beside the compiler that holds its built-in functions. The compiler opens it
/// by name, so it must be open already where the system does not look.
fn builtins(compiler: &Path) -> Option<PathBuf> {
    let folder = compiler.parent()?;
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libnvrtc-builtins.so.")
        })
        .collect();
    found.sort();
    found.pop()
}

impl Nvrtc {
    /// Opens the library.
    ///
    /// # Errors
    /// When it is nowhere, or lacks a function.
    pub(crate) fn open() -> Result<Self, CompileError> {
        let mut reasons = Vec::new();
        for path in places() {
            match Self::open_at(&path) {
                Ok(nvrtc) => return Ok(nvrtc),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(CompileError::Missing(reasons.join("; ")))
    }

    fn open_at(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: NVRTC's initialisers have no requirements, and the types are those of nvrtc.h.
        #[expect(unsafe_code, reason = "a foreign library")]
        unsafe {
            let builtins = builtins(path).and_then(|path| Library::new(path).ok());
            let library = Library::new(path)?;
            Ok(Self {
                create: *library.get(b"nvrtcCreateProgram\0")?,
                destroy: *library.get(b"nvrtcDestroyProgram\0")?,
                compile: *library.get(b"nvrtcCompileProgram\0")?,
                log_size: *library.get(b"nvrtcGetProgramLogSize\0")?,
                log: *library.get(b"nvrtcGetProgramLog\0")?,
                cubin_size: *library.get(b"nvrtcGetCUBINSize\0")?,
                cubin: *library.get(b"nvrtcGetCUBIN\0")?,
                version: *library.get(b"nvrtcVersion\0")?,
                _library: library,
                _builtins: builtins,
            })
        }
    }

    /// Major and minor version.
    pub(crate) fn version(&self) -> (i32, i32) {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both places outlive the call.
        #[expect(unsafe_code, reason = "a foreign library")]
        unsafe {
            (self.version)(&raw mut major, &raw mut minor)
        };
        (major, minor)
    }

    /// Compiles a text for an architecture such as `sm_90a`; gives the cubin and the log.
    ///
    /// # Errors
    /// When the compiler refuses.
    pub(crate) fn compile(
        &self,
        module: &'static str,
        text: &str,
        architecture: &str,
    ) -> Result<(Vec<u8>, String), CompileError> {
        let text = CString::new(text).map_err(|_| CompileError::Text(module))?;
        let name = CString::new(format!("{module}.cu")).map_err(|_| CompileError::Text(module))?;
        let options = [
            format!("--gpu-architecture={architecture}"),
            "--std=c++17".to_owned(),
            "--ptxas-options=-v".to_owned(),
            // A module uses only some of the common functions.
            "--diag-suppress=177".to_owned(),
        ];
        let options: Vec<CString> = options
            .iter()
            .filter_map(|option| CString::new(option.as_str()).ok())
            .collect();
        let options: Vec<Text> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program = std::ptr::null_mut();
        // SAFETY: the texts outlive the calls, buffers have the sizes that NVRTC names, and
        // the program is destroyed once.
        #[expect(unsafe_code, reason = "a foreign library")]
        unsafe {
            let mut code = (self.create)(
                &raw mut program,
                text.as_ptr(),
                name.as_ptr(),
                0,
                std::ptr::null(),
                std::ptr::null(),
            );
            let mut cubin = Vec::new();
            let mut log = String::new();
            if code == 0 {
                code = (self.compile)(program, options.len() as c_int, options.as_ptr());
                let mut size = 0;
                (self.log_size)(program, &raw mut size);
                let mut bytes = vec![0_u8; size];
                (self.log)(program, bytes.as_mut_ptr().cast());
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
                log = String::from_utf8_lossy(&bytes).into_owned();
                if code == 0 {
                    code = (self.cubin_size)(program, &raw mut size);
                    cubin = vec![0_u8; size];
                    code |= (self.cubin)(program, cubin.as_mut_ptr().cast());
                }
                (self.destroy)(&raw mut program);
            }
            if code == 0 && !cubin.is_empty() {
                Ok((cubin, log))
            } else {
                Err(CompileError::Refused {
                    module,
                    architecture: architecture.to_owned(),
                    code,
                    log,
                })
            }
        }
    }
}
