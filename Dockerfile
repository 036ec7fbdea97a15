# One image, for everything in one (the default) and for the programs apart (compose.yaml).
# Debian, not Alpine: the embedded servers are built for glibc.

FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements.txt ./
# Wheels only, each with its hash: nothing is compiled here.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.txt
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index --editable . \
    && /venv/bin/python -m compileall -q /app

FROM python:3.11-slim
# Volumes that are new take the owner and mode of these directories.
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin harborlite \
    && install -d -o harborlite -g harborlite -m 0700 /data \
    && install -d -o harborlite -g harborlite -m 0755 /secrets
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HARBORLITE_DATA=/data \
    HARBORLITE_BIND=0.0.0.0:8080
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["harborlite"]
CMD ["serve"]
