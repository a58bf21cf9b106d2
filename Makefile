# Two commands matter: `make demo` and `make test`. Both set up what they need.

# Compiled dependencies live outside the checkout and are shared by all checkouts, by the demo, the tests and
# the checks. Any other CARGO_TARGET_DIR works too.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pretext/target

# What reports name as the revision of the program; empty outside a checkout.
export PRETEXT_REVISION ?= $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)

SHELL := /bin/bash
CARGO := cargo
BIN := $(CARGO_TARGET_DIR)/release
# One profile for everything: a clean build of burn is many minutes, and nobody should pay it twice.
PROFILE := --release --locked --workspace

VENV := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pretext/venv

.PHONY: demo build test verify fix sbom campaign campaign-processes fuzz bench setup-build setup-test setup-verify setup-sbom claim

## Build everything and run the main job: four methods, two fractions, two learning-rate policies.
demo: build
	$(BIN)/coordinator run examples/quickstart.yaml

build: setup-build
	$(CARGO) build $(PROFILE) --bins

## Install what the tests need, then run all of them.
test: setup-test
	$(CARGO) build $(PROFILE) --bins --tests
	PRETEXT_BIN=$(BIN) $(CARGO) test $(PROFILE)

## Read-only checks: formatting, lints, documentation, dependencies.
verify: setup-verify
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) --no-deps --document-private-items
	$(CARGO) deny --locked check bans licenses sources

## Mend what can be mended by a program.
fix:
	$(CARGO) fmt --all
	$(CARGO) clippy $(PROFILE) --all-targets --fix --allow-dirty --allow-staged

## A CycloneDX list of everything that each program links: PROGRAM/PROGRAM.cdx.json.
sbom: setup-sbom
	$(CARGO) cyclonedx --format json --spec-version 1.5 --describe binaries

## The long runs whose results are committed below docs/evidence/.
campaign: build
	tests/campaign.sh $(BIN)

## Training steps beside PyTorch's on this machine's CPU, as tables. Takes about twelve minutes; wants the machine for itself.
bench: setup-build
	@tests/setup.sh bench $(VENV)
	$(CARGO) build $(PROFILE) --benches
	@$(VENV)/bin/python tests/bench/compare.py "$$(ls -t $(BIN)/deps/step-* | grep -v '\.d$$' | head -1)"
	@$(VENV)/bin/python tests/bench/layers.py "$$(ls -t $(BIN)/deps/layers-* | grep -v '\.d$$' | head -1)"
	@$(VENV)/bin/python tests/bench/views.py "$$(ls -t $(BIN)/deps/views-* | grep -v '\.d$$' | head -1)"

## The campaigns with real processes that docs/evidence/reliability.md tabulates: hours.
campaign-processes: build
	$(BIN)/campaign coordinator-kills --runs 1000
	$(BIN)/campaign coordinator-kills --store redis --runs 300
	$(BIN)/campaign redis-kills --runs 100
	$(BIN)/campaign worker-kills --runs 300
	$(BIN)/campaign zombies --runs 200
	$(BIN)/campaign stops --runs 50
	$(BIN)/campaign stop-large --runs 5
	$(BIN)/campaign stop-large --runs 2 --image-size 224
	$(BIN)/campaign rehearsal --rounds 3
	$(BIN)/campaign resumes --runs 20
	$(BIN)/campaign away --seconds 120
	$(BIN)/campaign away --seconds 900
	$(BIN)/campaign restart --cells 100000
	$(BIN)/campaign restart --cells 100000 --store redis

## Hostile input to every reader, ten minutes each. The named bombs alone are a test.
fuzz: build
	$(BIN)/fuzz cases
	for target in sweep requests checkpoint pictures records; do $(BIN)/fuzz run $$target --seconds 600 || exit 1; done

setup-build: claim
	@tests/setup.sh build

setup-test: claim
	@tests/setup.sh test

setup-sbom:
	@tests/setup.sh sbom

setup-verify: claim
	@tests/setup.sh verify

# Cargo tells sources apart by their age and not by their place: what another checkout built of our own crates
# must not pass for this one's.
claim:
	@mkdir -p "$(CARGO_TARGET_DIR)"
	@if [ "$$(cat "$(CARGO_TARGET_DIR)/checkout" 2>/dev/null)" != "$(CURDIR)" ]; then \
		rm -rf "$(CARGO_TARGET_DIR)"/*/.fingerprint/{coordinator,worker,pretext}-*; \
		echo "$(CURDIR)" > "$(CARGO_TARGET_DIR)/checkout"; \
	fi
