# The agent, without flwr: docker build --file deploy/agent.Dockerfile --tag mascaron-agent .
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
 && pip install --no-cache-dir '/src[agent]' \
 && rm -r /src
RUN groupadd --gid 61001 agent && groupadd --gid 61003 door \
 && useradd --uid 61001 --gid 61001 --groups 61003 --no-create-home agent \
 && cd /var/lib && install --directory --owner 61001 --group 61001 --mode 0755 \
    mascaron/site mascaron/site/trust mascaron/site/run \
 && install --directory --owner 61001 --group 61001 --mode 0700 \
    mascaron/site/agent mascaron/site/courier
ENV ORT_DISABLE_TELEMETRY=1 MASCARON_SITE=/var/lib/mascaron/site
USER 61001:61001
ENTRYPOINT ["mascaron-site"]
CMD ["serve", "--group", "61003"]
