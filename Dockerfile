# toolproxy as an image: docker build -t toolproxy .
#
# 3.13: the newest that the tests were run with; a call costs the same on 3.11 to 3.13. The official
# images are built with optimisation: without it a call costs 20 to 30 % more.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# 1: compile the hot path (mypyc). The compiler stays in this stage.
ARG COMPILED=1
# hadolint ignore=DL3008 # a pinned gcc is gone from the mirror with Debian's next point release
RUN if [ "${COMPILED}" = 1 ]; then \
      apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
      && rm -rf /var/lib/apt/lists/*; \
    fi
# For events.bus and tracing.otlp: --build-arg EXTRAS=[redis,otel]
ARG EXTRAS=
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
# hadolint ignore=DL3013 # what is installed lies here: it has no version to pin
RUN python -m venv --without-pip /opt/toolproxy \
    && HATCH_BUILD_HOOK_ENABLE_MYPYC="${COMPILED}" \
       pip --python /opt/toolproxy/bin/python install --no-cache-dir --no-compile ".${EXTRAS}"
# The base image has no bytecode of the standard library, and nothing can be written where this will
# run: without these files each start, reload and health check compiles it anew (0.8 s to the first
# answer instead of 0.35 s). Unchecked: what is in an image does not change, except for its times.
ENV PYTHONPYCACHEPREFIX=/opt/toolproxy/bytecode
RUN stdlib="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/toolproxy/lib \
    && python -m compileall -q --invalidation-mode unchecked-hash \
       -x '/(site-packages|ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo)/' "${stdlib}"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="toolproxy" \
      org.opencontainers.image.description="A sidecar proxy for tool servers" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/toolproxy /opt/toolproxy
ENV PATH=/opt/toolproxy/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/toolproxy/bytecode
# The registry is expected at /app/config/registry.yaml: mount a folder there, since a file that is
# mounted alone never shows what an editor or a ConfigMap puts in its place.
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
# Not urllib, which would ask through the proxy that HTTP_PROXY names.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8080), timeout=2); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
# Drains: no call that was accepted is lost. Give it more time than drain_timeout (25 s).
STOPSIGNAL SIGTERM
ENTRYPOINT ["toolproxy"]
CMD ["run"]
