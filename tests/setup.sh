#!/usr/bin/env bash
# Installs missing programs that building, testing or checking needs. Existing programs are not changed.
set -euo pipefail

# Debian packages: a C compiler (hashing and compression crates). For tests also Mesa's software Vulkan, for the GPU
# path on machines without a GPU, and Redis, for the store (the tests start their own servers). Of Prometheus only
# promtool is installed, below, because its package would start a server.
packages=()
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
need() { dpkg -s "$1" >/dev/null 2>&1 || packages+=("$1"); }

case "$1" in
build | verify | sbom)
    command -v cc >/dev/null || need build-essential
    ;;
mutants)
    command -v cc >/dev/null || need build-essential
    command -v patch >/dev/null || need patch
    ;;
test)
    command -v cc >/dev/null || need build-essential
    need mesa-vulkan-drivers
    need libvulkan1
    need redis-server
    need redis-sentinel
    # A browser for the web page; any Chromium or Chrome is enough.
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
        need chromium
    python3 -c "import ensurepip" 2>/dev/null || need python3-venv
    ;;
bench)
    # PyTorch, for comparison.
    [ -x "$2/bin/python" ] || python3 -m venv "$2"
    "$2/bin/python" -c 'import torch, torchvision' 2>/dev/null || "$2/bin/pip" install --quiet -r "$(dirname "$0")/bench/requirements.txt"
    ;;
*)
    echo "setup.sh: unknown purpose $1" >&2
    exit 2
    ;;
esac

if [ ${#packages[@]} -gt 0 ]; then
    echo "installing: ${packages[*]}" >&2
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
    # In a target folder of its own: its dependencies are not ours.
    env -u CARGO_TARGET_DIR cargo install --locked cargo-deny --version 0.20.2 --quiet
fi

# Python programs for tests, each group in an environment of its own. An environment is made again when its list
# changes.
environment() {
    local tools="${XDG_CACHE_HOME:-$HOME/.cache}/pretext/$1" wanted="$2" what="$3"
    if ! cmp -s "$wanted" "$tools/requirements.txt"; then
        echo "installing: $what" >&2
        rm -rf "$tools"
        python3 -m venv "$tools"
        # Compiling every module takes as long as everything else, and few of them are ever imported.
        "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-compile -r "$wanted"
        cp "$wanted" "$tools/requirements.txt"
    fi
}
# Downloads Debian packages into this folder. The package cache may be empty, and the package lists may be old.
fetch_packages() {
    apt-get download -q "$@" >/dev/null 2>&1 || { $sudo apt-get update -q >/dev/null && apt-get download -q "$@" >/dev/null; }
}
if [ "$1" = test ]; then
    # At the same time as everything below, because an installation mostly waits for the network.
    environments=()
    environment manifest-tools "$(dirname "$0")/manifests/requirements.txt" "the programs that check manifests" &
    environments+=($!)
    environment exports "$(dirname "$0")/exports/requirements.txt" "the programs that read exports" &
    environments+=($!)
    environment s3-server "$(dirname "$0")/s3/requirements.txt" "the S3 server that artifacts are tested on" &
    environments+=($!)
    promtool="${XDG_CACHE_HOME:-$HOME/.cache}/pretext/prometheus/bin/promtool"
    if [ ! -x "$promtool" ]; then
        echo "installing: promtool, which tests alert rules" >&2
        unpacked=$(mktemp -d)
        (cd "$unpacked" && fetch_packages prometheus)
        dpkg-deb -x "$unpacked"/prometheus_*.deb "$unpacked/files"
        install -D "$unpacked/files/usr/bin/promtool" "$promtool"
        rm -rf "$unpacked"
    fi
fi

# Looks for problems of accessibility. Tests alone use it; its licence is the MPL-2.0.
axe_core() {
    local tools="${XDG_CACHE_HOME:-$HOME/.cache}/pretext/axe-core" version=4.14.1 unpacked
    [ "$(cat "$tools/version" 2>/dev/null)" = "$version" ] && return
    echo "installing: axe-core" >&2
    unpacked=$(mktemp -d)
    curl -fsSL -o "$unpacked/axe.tgz" "https://registry.npmjs.org/axe-core/-/axe-core-$version.tgz"
    echo "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745  $unpacked/axe.tgz" | sha256sum --check --quiet
    tar -xzf "$unpacked/axe.tgz" -C "$unpacked"
    install -D -m 644 "$unpacked/package/axe.min.js" "$tools/axe.min.js"
    echo "$version" > "$tools/version"
    rm -rf "$unpacked"
}
# Sets the tables of a report. The packages are only unpacked: installing them makes the formats of every other engine.
latex() {
    local tools="${XDG_CACHE_HOME:-$HOME/.cache}/pretext/latex"
    [ -x "$tools/bin/pdflatex" ] && return
    echo "installing: pdfLaTeX" >&2
    rm -rf "$tools"
    mkdir -p "$tools/packages" "$tools/bin"
    (cd "$tools/packages" && fetch_packages texlive-binaries texlive-base texlive-latex-base texlive-latex-recommended \
        libkpathsea6)
    for package in "$tools/packages"/*.deb; do dpkg-deb -x "$package" "$tools"; done
    rm -r "$tools/packages"
    cat > "$tools/environment" <<EOF
export LD_LIBRARY_PATH="$(echo "$tools"/usr/lib/*-linux-gnu*)"
export TEXMFDIST="$tools/usr/share/texlive/texmf-dist" TEXFORMATS="$tools"
export TEXMF="\$TEXMFDIST" TEXMFCNF="\$TEXMFDIST/web2c"
EOF
    echo "english hyphen.tex" > "$tools/language.dat"
    (cd "$tools" && . ./environment &&
        TEXINPUTS=".:$TEXMFDIST/tex//" usr/bin/pdftex -ini -etex -interaction=batchmode -progname=pdflatex \
            -jobname=pdflatex "*pdflatex.ini" >/dev/null)
    # Last: an interrupted installation starts again.
    cat > "$tools/pdflatex" <<EOF
#!/bin/sh
. "$tools/environment"
exec "$tools/usr/bin/pdftex" -fmt=pdflatex -progname=pdflatex "\$@"
EOF
    chmod +x "$tools/pdflatex"
    mv "$tools/pdflatex" "$tools/bin/pdflatex"
}
if [ "$1" = test ]; then
    axe_core
    latex
    # Fails if one of them failed.
    for environment in "${environments[@]}"; do wait "$environment"; done
fi

if [ "$1" = sbom ] && ! cargo cyclonedx --version >/dev/null 2>&1; then
    echo "installing: cargo-cyclonedx" >&2
    env -u CARGO_TARGET_DIR cargo install --locked cargo-cyclonedx --version 0.5.7 --quiet
fi
