#!/bin/sh
# Runs the kernels' tests as 64-bit ARM code in an emulator. Needs
#   rustup target add aarch64-unknown-linux-gnu
#   apt-get install gcc-aarch64-linux-gnu qemu-user-static
set -eu
cd "$(dirname "$0")/.."
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
for level in neon scalar; do
    REWORD_CPU=$level cargo test --package nn --lib --target aarch64-unknown-linux-gnu -- cpu:: "$@"
done
