use crate::cuda::nvrtc::Nvrtc;
use crate::cuda::source::ALL;

const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90a", "sm_100a"];

/// Bytes that a thread may put aside for want of registers.
const MOST_SPILLED: u32 = 16;

/// Every kernel becomes machine code for every architecture, and stays in its registers.
#[test]
fn every_kernel_compiles() {
    let nvrtc = match Nvrtc::open() {
        Ok(nvrtc) => nvrtc,
        Err(error) => {
            eprintln!("skipped: {error} (tools/cuda/install.sh fetches it; set REWORD_CUDA)");
            return;
        }
    };
    assert!(
        nvrtc.version() >= (12, 8),
        "{:?} knows no sm_100a",
        nvrtc.version()
    );
    let print = std::env::var_os("REWORD_CUDA_LOG").is_some();
    let check = |architecture: &str| {
        for module in ALL {
            let (cubin, log) = nvrtc
                .compile(module.name, &module.text(), architecture)
                .unwrap();
            assert_eq!(cubin.get(..4), Some(&b"\x7fELF"[..]), "{}", module.name);
            let spilled = log.lines().filter_map(|line| {
                let (before, _) = line.split_once(" bytes spill stores")?;
                before.rsplit(' ').next()?.parse::<u32>().ok()
            });
            let most = spilled.max().unwrap_or(u32::MAX);
            assert!(
                most <= MOST_SPILLED,
                "{} {architecture}: {log}",
                module.name
            );
            for kernel in module.kernels {
                let name = [kernel.as_bytes(), b"\0"].concat();
                let found = cubin.windows(name.len()).any(|window| window == name);
                assert!(found, "{} has no {kernel} for {architecture}", module.name);
            }
            if print {
                eprintln!("{} {architecture}\n{log}", module.name);
            }
        }
    };
    std::thread::scope(|scope| {
        for architecture in ARCHITECTURES {
            scope.spawn(|| check(architecture));
        }
    });
}
