# syntax=docker/dockerfile:1
# The worker, three ways:
#   docker build -f deploy/docker/worker.Dockerfile --target cpu    -t pretext-worker:cpu .
#   docker build -f deploy/docker/worker.Dockerfile --target vulkan -t pretext-worker:vulkan .
#   docker build -f deploy/docker/worker.Dockerfile --target cuda   -t pretext-worker:cuda .
FROM rust:1.95-bookworm AS source
WORKDIR /src
COPY . .

FROM source AS build-cpu
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p worker --bin worker --no-default-features \
    && install -D /target/release/worker /out/worker

FROM source AS build-vulkan
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p worker --bin worker --features spirv \
    && install -D /target/release/worker /out/worker

FROM source AS build-cuda
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p worker --bin worker --no-default-features \
    --features cuda && install -D /target/release/worker /out/worker

FROM gcr.io/distroless/cc-debian12:nonroot AS cpu
COPY --from=build-cpu /out/worker /usr/local/bin/worker
USER 65532:65532
WORKDIR /var/lib/pretext
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/worker"]
CMD ["--log-format", "json", "--device", "cpu", "--data-root", "/data", "--state-dir", "/var/lib/pretext"]

# The Vulkan loader; the driver comes from the host (device plugin, or --device /dev/dri).
FROM debian:bookworm-slim AS vulkan
RUN apt-get update && apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-vulkan /out/worker /usr/local/bin/worker
USER 65532:65532
WORKDIR /var/lib/pretext
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/worker"]
CMD ["--log-format", "json", "--device", "auto", "--data-root", "/data", "--state-dir", "/var/lib/pretext"]

# Kernels are compiled on the device, by NVRTC: the runtime image has it, the driver comes from the host.
FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04 AS cuda
COPY --from=build-cuda /out/worker /usr/local/bin/worker
USER 65532:65532
WORKDIR /var/lib/pretext
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/worker"]
CMD ["--log-format", "json", "--device", "auto", "--data-root", "/data", "--state-dir", "/var/lib/pretext"]
