# Two commands matter: `make demo` and `make test`. Both install what they need.

# Compiled dependencies are outside the checkout. All checkouts share them, and so do the demo, the tests and the
# checks. You can set any other CARGO_TARGET_DIR.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pretext/target

# The program's revision in reports; empty outside a checkout.
export PRETEXT_REVISION ?= $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)

SHELL := /bin/bash
CARGO := cargo
BIN := $(CARGO_TARGET_DIR)/release
# One profile for everything, because a clean build of burn takes many minutes.
PROFILE := --release --locked --workspace

# Crates below which is neither burn nor a server.
FAST := pretext-fast pretext-shared pretext-proto pretext-identity pretext-client pretext-engine pretext-messages \
	pretext-report pretext-checkpoint pretext-data pretext-daemon

VENV := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pretext/venv

.PHONY: demo build test test-fast mutants verify fix sbom campaign campaign-processes fuzz bench \
	bench-coordinator setup-build setup-test setup-mutants setup-verify setup-sbom claim

# The programs without GPU backends, which take most of a first build.
CPU_ONLY := --release --locked -p coordinator -p worker --no-default-features

## Build for the CPU and run the demo: four methods, two fractions, two learning-rate policies. A worker with GPU support
## that is there is brought up to date instead, and never replaced.
demo: setup-build
	@if $(BIN)/worker --version 2>/dev/null | grep -q ', '; then $(MAKE) --no-print-directory build; \
	else echo "building for the CPU only; \`make build\` adds GPU support" >&2; $(CARGO) build $(CPU_ONLY); fi
	$(BIN)/coordinator run examples/quickstart.yaml

build: setup-build
	$(CARGO) build $(PROFILE) --bins

## Install what the tests need, then run all of them: the unit tests and every tier.
test: setup-test
	$(CARGO) build $(PROFILE) --bins --tests
	$(CARGO) test $(PROFILE)

## Run the tests of every crate that links neither burn nor a server, and the fast tier. They need no program.
test-fast: setup-build
	$(CARGO) test --release --locked $(FAST:%=-p %) --lib --tests

## Apply each deliberate bug to a copy of the code, and check that the tests find it. Takes about an hour.
mutants: setup-mutants
	@tests/mutants/run.sh engine; engine=$$?; tests/mutants/run.sh spool && exit $$engine

## Check formatting, lints, documentation, dependencies and the walls between crates; changes nothing.
verify: setup-verify
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings
	$(CARGO) clippy $(CPU_ONLY) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) --no-deps --document-private-items
	$(CARGO) deny --locked check bans licenses sources
	$(CARGO) test --release --locked -p pretext-fast --test fast tidy::

## Fix everything that a program can fix.
fix:
	$(CARGO) fmt --all
	$(CARGO) clippy $(PROFILE) --all-targets --fix --allow-dirty --allow-staged

## Write a CycloneDX list of everything that each program links: PROGRAM/PROGRAM.cdx.json.
sbom: setup-sbom
	$(CARGO) cyclonedx --format json --spec-version 1.5 --describe binaries

## Run the long sweeps whose results are committed below docs/evidence/.
campaign: build
	tests/campaign.sh $(BIN)

## Compare training steps with PyTorch's on this machine's CPU, as tables. Takes about twelve minutes on an idle
## machine.
bench: setup-build
	@tests/setup.sh bench $(VENV)
	$(CARGO) build $(PROFILE) --benches
	@$(VENV)/bin/python tests/bench/compare.py "$$(ls -t $(BIN)/deps/step-* | grep -v '\.d$$' | head -1)"
	@$(VENV)/bin/python tests/bench/layers.py "$$(ls -t $(BIN)/deps/layers-* | grep -v '\.d$$' | head -1)"
	@$(VENV)/bin/python tests/bench/views.py "$$(ls -t $(BIN)/deps/views-* | grep -v '\.d$$' | head -1)"

## Measure the coordinator with stub workers, on both stores, beside a raw loop that writes and syncs, as tables. Takes
## about twenty minutes on an idle machine. BENCH has more arguments: `make bench-coordinator BENCH=--large`.
bench-coordinator: setup-build
	$(CARGO) build --release --locked -p coordinator -p pretext-bench
	@$(BIN)/pretext-bench $(BENCH)

## Run the campaigns with real processes, for the tables of docs/evidence/reliability.md. Takes hours.
campaign-processes: build
	$(BIN)/campaign coordinator-kills --runs 1000
	$(BIN)/campaign coordinator-kills --store redis --runs 300
	$(BIN)/campaign redis-kills --runs 100
	$(BIN)/campaign worker-kills --runs 300
	$(BIN)/campaign zombies --runs 200
	$(BIN)/campaign stops --runs 50
	$(BIN)/campaign jobs --runs 100
	$(BIN)/campaign stop-large --runs 5
	$(BIN)/campaign stop-large --runs 2 --image-size 224
	$(BIN)/campaign rehearsal --rounds 3
	$(BIN)/campaign resumes --runs 20
	$(BIN)/campaign away --seconds 120
	$(BIN)/campaign away --seconds 900
	$(BIN)/campaign restart --cells 100000
	$(BIN)/campaign restart --cells 100000 --store redis

## Feed hostile input to every reader, ten minutes each. `make test` runs the named cases and a short run of each
## reader.
fuzz: build
	$(BIN)/fuzz cases
	for target in sweep requests checkpoint pictures records; do $(BIN)/fuzz run $$target --seconds 600 || exit 1; done

setup-build: claim
	@tests/setup.sh build

setup-test: claim
	@tests/setup.sh test

setup-mutants:
	@tests/setup.sh mutants

setup-sbom:
	@tests/setup.sh sbom

setup-verify: claim
	@tests/setup.sh verify

# Cargo tells sources apart by age and not by folder. Without this, it would use our own crates of another checkout.
claim:
	@mkdir -p "$(CARGO_TARGET_DIR)"
	@if [ "$$(cat "$(CARGO_TARGET_DIR)/checkout" 2>/dev/null)" != "$(CURDIR)" ]; then \
		rm -rf "$(CARGO_TARGET_DIR)"/*/.fingerprint/{coordinator,worker,pretext}-*; \
		echo "$(CURDIR)" > "$(CARGO_TARGET_DIR)/checkout"; \
	fi
