//! Runs launches on the processor: the kernels' source, compiled by `g++` behind
//! `host/host.hpp`. For tests.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use half::bf16;
use libloading::Library;
use tempfile::TempDir;

use super::launch::{At, Launch};
use super::source::Module;

const MACHINE: &str = include_str!("host/host.hpp");

type LaunchFunction = unsafe extern "C" fn(
    *const c_char,
    *const u32,
    u32,
    u32,
    *mut *mut c_void,
    *const usize,
    usize,
    c_int,
    *mut *const c_char,
) -> c_int;

/// A module's machine; it runs one block at a time.
struct Machine {
    launch: LaunchFunction,
    _library: Library,
    _folder: TempDir,
}

static MACHINES: LazyLock<Mutex<HashMap<&'static str, &'static Mutex<Machine>>>> =
    LazyLock::new(Mutex::default);

/// Whether there is a compiler; says so when there is none.
pub(crate) fn available() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        Command::new("g++")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if !*FOUND {
        eprintln!("skipped: there is no g++ to run the kernels' source on the processor");
    }
    *FOUND
}

fn build(module: &'static Module) -> Machine {
    let mut text = module.with(MACHINE);
    text.push_str(
        "extern \"C\" int reword_launch(const char *name, const u32 *grid, u32 block, u32 shared,\n\
         void **arguments, const size_t *sizes, size_t count, int order, const char **error) {\n\
         static const std::vector<std::pair<const char *, machine::Kernel>> entries = {\n",
    );
    for kernel in module.kernels {
        text.push_str("{\"");
        text.push_str(kernel);
        text.push_str("\", machine::entry_of(");
        text.push_str(kernel);
        text.push_str(")},\n");
    }
    text.push_str(
        "};\nint result = 1;\nmachine::error = \"there is no such kernel\";\n\
         for (const auto &entry : entries) if (!strcmp(entry.first, name))\n\
         result = machine::launch(entry.second, grid, block, shared, arguments, sizes, count, order);\n\
         *error = machine::error.c_str();\nreturn result;\n}\n",
    );
    let folder = TempDir::new().unwrap();
    let source = folder.path().join(format!("{}.cpp", module.name));
    let library = folder.path().join(format!("lib{}.so", module.name));
    std::fs::write(&source, text).unwrap();
    let output = Command::new("g++")
        .args(["-std=c++17", "-O2", "-w", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {log}", module.name);
    // SAFETY: the library is the one above, whose function has this type.
    #[expect(unsafe_code, reason = "a library built above")]
    unsafe {
        let library = Library::new(&library).unwrap();
        Machine {
            launch: *library.get(b"reword_launch\0").unwrap(),
            _library: library,
            _folder: folder,
        }
    }
}

fn machine(module: &'static Module) -> &'static Mutex<Machine> {
    let mut machines = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    machines
        .entry(module.name)
        .or_insert_with(|| Box::leak(Box::new(Mutex::new(build(module)))))
}

/// Runs launches in turn; `order` 0 lets threads take turns, 1 lets warps run ahead.
pub(crate) fn run(launches: &[Launch], order: i32) {
    for launch in launches {
        let machine = machine(launch.module)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = CString::new(launch.kernel.as_str()).unwrap();
        // Arguments are read through pointers, so they need their types' alignment.
        let mut slots: Vec<Vec<u64>> = launch
            .arguments
            .iter()
            .map(|bytes| {
                let words = bytes.chunks(8).map(|word| {
                    let mut full = [0; 8];
                    full[..word.len()].copy_from_slice(word);
                    u64::from_ne_bytes(full)
                });
                words.collect()
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = slots
            .iter_mut()
            .map(|slot| slot.as_mut_ptr().cast())
            .collect();
        let sizes: Vec<usize> = launch.arguments.iter().map(Vec::len).collect();
        let mut error = std::ptr::null();
        // SAFETY: the machine checks number and sizes of the arguments; the addresses among
        // them are of memory that the caller holds.
        #[expect(unsafe_code, reason = "the point of this module")]
        let (result, error) = unsafe {
            let result = (machine.launch)(
                name.as_ptr(),
                launch.grid.as_ptr(),
                launch.block,
                launch.shared,
                pointers.as_mut_ptr(),
                sizes.as_ptr(),
                sizes.len(),
                order,
                &raw mut error,
            );
            (result, CStr::from_ptr(error).to_string_lossy().into_owned())
        };
        assert_eq!(result, 0, "{}: {error}", launch.kernel);
    }
}

/// Memory for kernels: aligned as a GPU's is, not a number until it is written, with a
/// margin behind it that nothing may touch.
pub(crate) struct Memory {
    words: Vec<u128>,
    bytes: usize,
}

const MARGIN: usize = 8;

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            words: vec![u128::MAX; bytes.div_ceil(16) + MARGIN],
            bytes,
        }
    }

    fn of(data: &[u8]) -> Self {
        let mut memory = Self::new(data.len());
        for (word, part) in memory.words.iter_mut().zip(data.chunks(16)) {
            let mut full = word.to_ne_bytes();
            full[..part.len()].copy_from_slice(part);
            *word = u128::from_ne_bytes(full);
        }
        memory
    }

    pub(crate) fn of_f32(values: &[f32]) -> Self {
        Self::of(
            &values
                .iter()
                .flat_map(|x| x.to_ne_bytes())
                .collect::<Vec<u8>>(),
        )
    }

    pub(crate) fn of_bf16(values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|x| bf16::from_f32(*x).to_ne_bytes());
        Self::of(&bytes.collect::<Vec<u8>>())
    }

    pub(crate) fn at(&mut self) -> At {
        At(self.words.as_mut_ptr() as u64)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let margin = &self.words[self.words.len() - MARGIN..];
        assert!(
            margin.iter().all(|word| *word == u128::MAX),
            "written behind the end"
        );
        let mut bytes: Vec<u8> = self
            .words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        bytes.truncate(self.bytes);
        bytes
    }

    pub(crate) fn f32(&self) -> Vec<f32> {
        let bytes = self.bytes();
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|x| f32::from_ne_bytes(*x))
            .collect()
    }

    pub(crate) fn bf16(&self) -> Vec<f32> {
        let bytes = self.bytes();
        let values = bytes.as_chunks::<2>().0.iter();
        values.map(|x| bf16::from_ne_bytes(*x).to_f32()).collect()
    }
}
