# Arguments: make reproduce PAPER=toth-czifra2026 PROFILE=paper DEVICE=cuda
PAPERS  := $(sort $(patsubst papers/%/Cargo.toml,%,$(wildcard papers/*/Cargo.toml)))
PAPER   ?=
PROFILE ?= quick
DEVICE  ?= cpu
SEED    ?=

# A wrong argument stops make here, before anything is built.
one_of = $(if $(and $(filter 1,$(words $2)),$(filter $3,$2)),,$(error $1=$2 is not known; use one of: $3))
$(call one_of,PROFILE,$(PROFILE),quick paper)
$(call one_of,DEVICE,$(DEVICE),cpu tch cuda)
$(if $(strip $(PAPER)),$(call one_of,PAPER,$(PAPER),$(PAPERS)))
$(if $(SEED),$(if $(shell echo '$(SEED)' | grep -x '[0-9]*'),,$(error SEED=$(SEED) is not a whole number)))

CARGO_FLAGS := --release --locked
TCH         := $(if $(filter tch cuda,$(DEVICE)),--features tch)
SETUP       := $(if $(TCH),setup-tch,setup-cpu)

# The stand-in libraries of .libtorch only link; on a GPU the real ones must be found before them.
ifeq ($(DEVICE),cuda)
TORCH_LIB := $(shell LIBTORCH='$(LIBTORCH)' scripts/find-torch)
$(if $(TORCH_LIB),,$(error DEVICE=cuda needs PyTorch 2.11 with CUDA for python3, or LIBTORCH=its folder))
export LD_LIBRARY_PATH := $(TORCH_LIB)$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))
endif

run_papers = set -e; for paper in $(or $(PAPER),$(PAPERS)); do \
	cargo run $(CARGO_FLAGS) -p $$paper $(TCH) -- --profile $(PROFILE) --device $(DEVICE) --out report $1; done

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help reproduce report test check bench stress test-tch build-cuda setup-cpu setup-tch

help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo 'Papers: $(PAPERS)'

reproduce: $(SETUP) ## Reproduce PAPER= (default all) with PROFILE=quick|paper on DEVICE=cpu|tch|cuda.
	@$(call run_papers)

report: $(SETUP) ## Rebuild report/index.html and the README's tables from the records alone.
	@$(call run_papers,--report-only --publish .)

test: setup-cpu ## Run the tests.
	cargo test $(CARGO_FLAGS) --workspace

check: setup-cpu ## Check the format, the lints and the documentation.
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(CARGO_FLAGS) --workspace --no-deps

bench: setup-cpu ## Run the benchmarks.
	cargo bench --locked --workspace

stress: setup-cpu ## Run the heavy statistical tests; SEED=n draws anew.
	$(if $(SEED),SLT_STRESS_SEED='$(SEED)' )cargo test $(CARGO_FLAGS) --workspace --tests -- --ignored

TCH_CRATES := -p slt-models -p cullen2026 -p toth-czifra2026 --features tch

test-tch: setup-tch ## Lint and test what runs on burn-tch, on libtorch's CPU.
	cargo clippy $(CARGO_FLAGS) $(TCH_CRATES) --all-targets -- -D warnings
	cargo test $(CARGO_FLAGS) $(TCH_CRATES)

build-cuda: ## Pack the program of PAPER= for a GPU machine with PyTorch and without Rust.
	@scripts/build-cuda $(PAPER)

setup-cpu:
	@scripts/setup cpu

setup-tch: setup-cpu
	@scripts/setup-libtorch
