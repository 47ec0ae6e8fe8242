# The centre: docker build --file deploy/centre.Dockerfile --tag mascaron-centre .
FROM python:3.11-slim
# URL of an index with CPU builds of torch; without it pip's own, whose Linux build is for GPUs too.
ARG TORCH_INDEX=
COPY pyproject.toml README.md LICENSE /src/
COPY client /src/client
COPY common /src/common
COPY protos /src/protos
COPY server /src/server
COPY simulations /src/simulations
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0 \
 && pip install --no-cache-dir '/src[centre]' \
 && rm -r /src
RUN groupadd --gid 61000 centre \
 && useradd --uid 61000 --gid 61000 --no-create-home --home-dir /var/lib/mascaron/centre centre \
 && install --directory --owner 61000 --group 61000 --mode 0700 /var/lib/mascaron/centre
ENV ORT_DISABLE_TELEMETRY=1 MASCARON_CENTRE=/var/lib/mascaron/centre
USER 61000:61000
EXPOSE 8443
ENTRYPOINT ["mascaron-admin"]
CMD ["serve"]
