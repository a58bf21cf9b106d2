# syntax=docker/dockerfile:1
# The worker, in three variants:
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
# Bindings for the CUDA version of the image below. Without nvcc here, the build would use those of the newest CUDA that
# it knows.
ENV CUDARC_CUDA_VERSION=12060
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

# NVRTC compiles kernels at run time. They include CUDA's headers (cuda_fp16.h, mma.h, cooperative_groups.h,
# cuda/barrier), which a runtime image lacks. The headers come from the development image of the same version.
FROM nvidia/cuda:12.6.3-devel-ubuntu24.04 AS cuda-headers
RUN mkdir /headers && cp -rL /usr/local/cuda/include /headers/

# NVRTC is in the runtime image; the driver comes from the host (a device plugin, or --gpus all).
#
# Tested: NVRTC 12.6.85 on each of these headers, for sm_80 and sm_90a. It needs the headers of the runtime, the headers
# of CCCL, and those in crt/, which come with the compiler; without any one of the three a kernel fails. Not tested:
# this image itself, and CUDA 12.6 on a GPU.
FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04 AS cuda
COPY --from=cuda-headers /headers /opt/cuda-headers
# NVRTC searches for headers in include/ below this folder.
ENV CUDA_PATH=/opt/cuda-headers
COPY --from=build-cuda /out/worker /usr/local/bin/worker
USER 65532:65532
WORKDIR /var/lib/pretext
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/worker"]
CMD ["--log-format", "json", "--device", "auto", "--data-root", "/data", "--state-dir", "/var/lib/pretext"]
