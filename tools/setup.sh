#!/usr/bin/env bash
# Checks for what the build and the program need, and installs what is missing with apt.
# Without root or sudo it changes nothing and says what to install.
set -euo pipefail

packages=(
  build-essential ca-certificates clang libclang-dev pkg-config   # to fetch, to compile and to bind libav
  libavcodec-dev libavformat-dev libavutil-dev             # libav: decoding, encoding, containers
  libavfilter-dev libavdevice-dev libswscale-dev libswresample-dev
  ffmpeg                                                   # makes test clips in odd formats
  flite espeak-ng                                          # offline voices, phonemes
  pocketsphinx pocketsphinx-en-us                          # alignment of known text
)

# To fetch NVIDIA's compiler for the test of the GPU kernels.
if [ "${REWORD_CUDA:-}" ] && ! python3 -m pip --version >/dev/null 2>&1; then
  packages+=(python3-pip)
fi

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
    missing+=("$package")
  fi
done

if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null; then
    echo "error: this needs Debian's packages (or their like): ${missing[*]}" >&2
    exit 1
  elif [ "$(id -u)" = 0 ]; then
    run=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo)
  else
    echo "error: packages are missing, and installing them needs root. Run:" >&2
    echo "  sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "Installing ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
  if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    echo "error: cargo is installed, but not on the path. Run:" >&2
    echo "  . \"${CARGO_HOME:-$HOME/.cargo}/env\"" >&2
  else
    echo "error: Rust is missing. Install it from https://rustup.rs, then run this again" >&2
  fi
  exit 1
fi

needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
found=$(cargo --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n' "$needed" "${found%%-*}" | sort --version-sort | head -n 1)" != "$needed" ]; then
  echo "error: Rust $found is too old, $needed is needed. Run:" >&2
  echo "  rustup update stable" >&2
  exit 1
fi

# A test compiles the GPU kernels; that needs no GPU, and is skipped without this (95 MB).
if [ "${REWORD_CUDA:-}" ]; then
  "$(dirname "$0")/cuda/install.sh" "$REWORD_CUDA" kernels ||
    echo "note: NVIDIA's compiler could not be fetched; the test of the GPU kernels will be skipped" >&2
fi
