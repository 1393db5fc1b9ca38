#!/usr/bin/env bash
# Puts NVIDIA's compiler and libraries for CUDA 13 into a folder, from PyPI; needs no GPU and no root.
#
#   tools/cuda/install.sh DIR kernels   NVRTC: what checks that the kernels compile (95 MB to fetch)
#   tools/cuda/install.sh DIR all       nvcc, cuBLAS and cuRAND too: what builds `--features cuda` (1.2 GB)
#   tools/cuda/install.sh DIR nccl      NCCL too: what builds `--features nccl`
set -euo pipefail

dir=${1:?usage: install.sh DIR kernels|all|nccl}
what=${2:-kernels}
version=13.0
build=13.0.88

packages=("nvidia-cuda-nvrtc==$build")
if [ "$what" != kernels ]; then
  packages+=("nvidia-cuda-nvcc==$build" "nvidia-cuda-crt==$build" "nvidia-nvvm==$build"
    "nvidia-cuda-runtime==$version.*" "nvidia-cuda-cccl==$version.*"
    "nvidia-cublas==13.*" "nvidia-curand==10.4.*")
fi
if [ "$what" = nccl ]; then
  packages+=("nvidia-nccl-cu13")
fi

mark="$dir/.installed-$what-$build"
if [ -e "$mark" ]; then
  exit 0
fi
mkdir -p "$dir"
if ! python3 -m pip --version >/dev/null 2>&1; then
  echo "error: python3 with pip is needed to fetch NVIDIA's packages from PyPI" >&2
  exit 1
fi
python3 -m pip install --quiet --no-cache-dir --no-deps --disable-pip-version-check \
  --root-user-action=ignore --upgrade --target "$dir" "${packages[@]}"

lib="$dir/nvidia/cu13/lib"
# Another build of the compiler, which nothing here uses.
rm -f "$lib"/libnvrtc*.alt.so*
# The packages hold versioned libraries only; a linker looks for plain names.
for file in "$lib"/lib*.so.*; do
  name=$(basename "$file")
  ln -sf "$name" "$lib/${name%%.so.*}.so"
done
if [ -d "$dir/nvidia/nccl/lib" ]; then
  ln -sf "$dir/nvidia/nccl/lib/libnccl.so.2" "$lib/libnccl.so"
fi

# The driver's library comes with a driver. To link without one, an empty function stands
# for each of its names; the program finds the real library when it runs.
if [ "$what" != kernels ]; then
  include="$dir/nvidia/cu13/include"
  {
    grep --only-matching --no-filename --word-regexp 'cu[A-Z][A-Za-z0-9_]*' "$include/cuda.h" \
      | sort --unique | sed 's/.*/void &(void) {}/'
  } >"$dir/cuda-stub.c"
  mkdir -p "$lib/stubs"
  cc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$lib/stubs/libcuda.so" "$dir/cuda-stub.c"
fi
touch "$mark"
