#!/usr/bin/env bash
# Runs cargo with what a build for CUDA needs, without a toolkit or a GPU on this machine:
#
#   tools/cuda/build.sh build --release --package cli --features cuda
#
# NVIDIA's packages go to target/cuda, or to $REWORD_CUDA. An installed toolkit is used
# instead when CUDA_HOME is set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ -z "${CUDA_HOME:-}" ]; then
  dir=${REWORD_CUDA:-$root/target/cuda}
  what=all
  case "$*" in *nccl*) what=nccl ;; esac
  "$here/install.sh" "$dir" "$what"
  dir=$(cd "$dir" && pwd)
  export CUDA_HOME="$dir/nvidia/cu13"
  export LIBRARY_PATH="$CUDA_HOME/lib:$CUDA_HOME/lib/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}"
fi
export CUDA_PATH=$CUDA_HOME CUDA_ROOT=$CUDA_HOME CUDA_TOOLKIT_ROOT_DIR=$CUDA_HOME
export PATH="$CUDA_HOME/bin:$PATH"
# The architecture of candle's own kernels; ours are compiled when the program runs.
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
exec cargo "$@"
