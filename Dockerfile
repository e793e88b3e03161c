# The container image of go-mod-proxy: a Debian with git and root certificates, Deno, and the program with all of its
# packages, which it takes from the image alone when it runs. It runs as a user without a name, and writes to the two
# volumes and nowhere else, so that the root file system may be read-only:
#
#   docker build --tag go-mod-proxy .
#   docker run --read-only --cap-drop ALL --publish 8080:8080 --volume modules:/var/lib/go-mod-proxy go-mod-proxy
#
# The base images are build arguments, and named by version, so that a build from scratch has the current security fixes
# (--pull --no-cache). "deno task images pin" writes their digests here for a release (docs/install.md). Everything else
# is pinned: Deno by its version, the packages by deno.lock.
ARG NODE_IMAGE=node:24-trixie-slim
ARG DEBIAN_IMAGE=debian:13-slim

# Deno comes from npm, as all of the other packages do, so that one mirror (--build-arg NPM_CONFIG_REGISTRY=…) is enough.
FROM ${NODE_IMAGE} AS deno
ARG NPM_CONFIG_REGISTRY
RUN npm install --global --ignore-scripts deno@2.9.6 \
  && cp "$(npm root --global)"/deno/node_modules/@deno/linux-*/deno /usr/local/bin/deno

FROM ${DEBIAN_IMAGE}
LABEL org.opencontainers.image.title="go-mod-proxy" \
  org.opencontainers.image.description="A Go module proxy for teams with private code" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0"

# tini is process 1: what a git that was killed leaves behind is adopted by it and must be reaped.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git tini \
  && rm -rf /var/lib/apt/lists/*
COPY --from=deno /usr/local/bin/deno /usr/local/bin/deno

ENV DENO_DIR=/opt/deno DENO_NO_UPDATE_CHECK=1
# As in the start task of deno.json.
ENV DENO_TOKIO_EVENT_INTERVAL=2 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=33554432
WORKDIR /opt/go-mod-proxy
COPY LICENSE deno.json deno.lock main.ts ./
COPY cli cli
COPY lib lib
COPY routes routes
COPY server server
ARG NPM_CONFIG_REGISTRY
# deno.lock has the packages of the program alone; those of its tests are in dev.lock.
RUN deno install --frozen --entrypoint main.ts
COPY deploy/container/go-mod-proxy /usr/local/bin/go-mod-proxy

# Modules, where no bucket is configured: ./data of the working directory. Git mirrors and temporary files, which may be
# lost: go-mod-proxy in the cache directory.
RUN mkdir -p /var/lib/go-mod-proxy /var/cache/go-mod-proxy \
  && chown 65532:65532 /var/lib/go-mod-proxy /var/cache/go-mod-proxy
VOLUME ["/var/lib/go-mod-proxy", "/var/cache/go-mod-proxy"]
WORKDIR /var/lib/go-mod-proxy
ENV HOME=/var/lib/go-mod-proxy XDG_CACHE_HOME=/var/cache PORT=8080
USER 65532:65532

EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["go-mod-proxy", "healthcheck"]
ENTRYPOINT ["tini", "--", "go-mod-proxy"]
CMD ["serve", "--host", "0.0.0.0"]
