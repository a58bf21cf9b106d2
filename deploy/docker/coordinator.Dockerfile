# syntax=docker/dockerfile:1
# The coordinator: docker build -f deploy/docker/coordinator.Dockerfile -t pretext-coordinator .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Caches keep dependencies between builds; they are not part of any layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p coordinator --bin coordinator \
    && install -D /target/release/coordinator /out/coordinator \
    && install -d -o 65532 -g 65532 /out/state

# Only libc: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/coordinator /usr/local/bin/coordinator
COPY --from=build --chown=65532:65532 /out/state /var/lib/pretext
USER 65532:65532
WORKDIR /var/lib/pretext
EXPOSE 7878 7879
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/coordinator"]
CMD ["--log-format", "json", "serve", "--state-dir", "/var/lib/pretext"]
