#!/usr/bin/env bash
# Installs what building, testing or checking needs and is missing. Changes nothing that is there.
set -euo pipefail

# Debian packages: a C compiler (hashing and compression crates) and, for tests, Mesa's software Vulkan,
# on which the GPU path is trained where there is no GPU, and Redis, against which the store is tested (the
# tests start their own servers).
packages=()
need() { dpkg -s "$1" >/dev/null 2>&1 || packages+=("$1"); }

case "$1" in
build | verify)
    command -v cc >/dev/null || need build-essential
    ;;
test)
    command -v cc >/dev/null || need build-essential
    need mesa-vulkan-drivers
    need libvulkan1
    need redis-server
    need redis-sentinel
    ;;
*)
    echo "setup.sh: unknown purpose $1" >&2
    exit 2
    ;;
esac

if [ ${#packages[@]} -gt 0 ]; then
    echo "installing: ${packages[*]}" >&2
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -q >/dev/null
    $sudo apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install rustup (https://rustup.rs), the one prerequisite" >&2
    exit 1
fi

if [ "$1" = verify ] && ! cargo deny --version >/dev/null 2>&1; then
    echo "installing: cargo-deny" >&2
    # In its own target folder: its dependencies have nothing to do with ours.
    env -u CARGO_TARGET_DIR cargo install --locked cargo-deny --version 0.20.2 --quiet
fi
