# Two stages: the first builds, the second runs and holds neither pip nor build tools.
#
#   docker run -p 8080:8080 -v multilogger-data:/data multilogger
#
# Own settings: mount a file over /etc/multilogger/logger.toml, or set MULTILOGGER__SECTION__KEY variables.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
# Dependencies first and alone, so that this layer is built again only when the locks change.
RUN python -m venv /build \
 && python -m venv --without-pip /opt/multilogger \
 && /build/bin/pip install --quiet --require-hashes -r requirements/build.txt \
 && /build/bin/pip --python /opt/multilogger/bin/python install --quiet --require-hashes \
      --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE logger.toml ./
COPY mappings mappings
COPY multilogger multilogger
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /opt/multilogger/bin/python install --quiet --no-deps /wheels/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="multilogger" \
      org.opencontainers.image.description="Records public market data of cryptocurrency exchanges into column files" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/multilogger/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MULTILOGGER__LOGGER__DATA_PATH=/data
COPY --from=build /opt/multilogger /opt/multilogger
COPY logger.toml /etc/multilogger/logger.toml
# The numbers are fixed, so that the owner of a bind-mounted directory can be set to them beforehand.
RUN groupadd --gid 10001 multilogger \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin multilogger \
 && install -d -o 10001 -g 10001 /data
USER 10001:10001
WORKDIR /etc/multilogger
VOLUME /data
EXPOSE 8080
# The logger drains, commits and leaves within 10 seconds of a SIGTERM: stop with `docker stop -t 15`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "multilogger.health.probe"]
ENTRYPOINT ["multilogger"]
