# Two commands matter: `make demo` and `make test`. Each installs what is missing, builds, and runs.

CLIP ?=
SCRIPT ?=
TRANSCRIPT ?=
OUT ?= demo

.PHONY: demo test setup format lint docs

demo: setup
	cargo build --release --locked --package cli
	@tools/demo.sh "$(OUT)" "$(CLIP)" "$(SCRIPT)" "$(TRANSCRIPT)"

# Where tools/setup.sh puts NVIDIA's compiler, with which a test compiles the GPU kernels.
test: export REWORD_CUDA ?= $(CURDIR)/target/cuda
test: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --no-fail-fast
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

setup:
	@tools/setup.sh

format:
	cargo fmt --all

lint:
	cargo clippy --workspace --all-targets -- -D warnings

docs:
	cargo doc --workspace --no-deps --open
