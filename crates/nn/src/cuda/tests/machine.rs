//! The machine itself: it must see what would go wrong on a GPU.

use crate::cuda::host::{Memory, available, run};
use crate::cuda::launch::Launch;
use crate::cuda::source::Module;

const FAULTS: &str = r"
// Every thread reads what its neighbour in another warp wrote.
KERNEL neighbours(float *out, int wait) {
  SHARED float values[64];
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (wait) __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + 32) % 64];
}
KERNEL uneven(float *out, int wait) {
  if (wait || threadIdx.x < 40) __syncthreads();
  out[threadIdx.x] = 1.0f;
}
KERNEL hasty(float *out, int wait) {
  SHARED float values[4];
  copy_start(values, out, 16);
  copy_commit();
  if (wait) copy_wait<0>();
  out[threadIdx.x + 64] = values[threadIdx.x % 4];
  copy_wait<0>();
}
";

static FAULTY: Module = Module::of("faulty", &[FAULTS], &["neighbours", "uneven", "hasty"]);

fn launch(kernel: &str, out: &mut Memory, wait: usize) -> Launch {
    Launch::new(&FAULTY, kernel, [1, 1, 1], 64)
        .at(out.at())
        .int(wait)
}

#[test]
fn forgotten_waits_show() {
    if !available() {
        return;
    }
    for order in [0, 1] {
        let mut out = Memory::new(64 * 4);
        run(&[launch("neighbours", &mut out, 1)], order);
        let wanted: Vec<f32> = (0..64).map(|i| ((i + 32) % 64) as f32).collect();
        assert_eq!(out.f32(), wanted);
        run(&[launch("neighbours", &mut out, 0)], order);
        assert!(out.f32().iter().any(|x| x.is_nan()));

        let mut data = Memory::of_f32(&[3.0; 128]);
        run(&[launch("hasty", &mut data, 1)], order);
        assert!(data.f32().iter().all(|x| x.to_bits() == 3.0_f32.to_bits()));
        run(&[launch("hasty", &mut data, 0)], order);
        assert!(data.f32().iter().any(|x| x.is_nan()));
    }
}

#[test]
#[should_panic(expected = "wait for each other")]
fn uneven_barriers_show() {
    assert!(available(), "no compiler, so: wait for each other");
    let mut out = Memory::new(64 * 4);
    run(&[launch("uneven", &mut out, 1)], 0);
    assert_eq!(out.f32(), [1.0; 64]);
    run(&[launch("uneven", &mut out, 0)], 0);
}

#[test]
#[should_panic(expected = "argument 1")]
fn wrong_arguments_show() {
    assert!(available(), "no compiler for argument 1");
    let mut out = Memory::new(64 * 4);
    let launch = Launch::new(&FAULTY, "uneven", [1, 1, 1], 64)
        .at(out.at())
        .long(1);
    run(&[launch], 0);
}
