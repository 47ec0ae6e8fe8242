# The courier, without torch: docker build --file deploy/courier.Dockerfile --tag mascaron-courier .
FROM python:3.11-slim
COPY pyproject.toml README.md LICENSE /src/
COPY client /src/client
COPY common /src/common
COPY protos /src/protos
COPY server /src/server
COPY simulations /src/simulations
RUN pip install --no-cache-dir '/src[courier]' && rm -r /src
# Volumes that are new take their owners and modes from here.
RUN groupadd --gid 61001 agent && groupadd --gid 61002 courier && groupadd --gid 61003 door \
 && useradd --uid 61001 --gid 61001 --groups 61003 --no-create-home agent \
 && useradd --uid 61002 --gid 61002 --groups 61003 --no-create-home courier \
 && cd /var/lib && install --directory --owner 61001 --group 61001 --mode 0755 \
    mascaron/site mascaron/site/trust mascaron/site/run \
 && install --directory --owner 61001 --group 61001 --mode 0700 \
    mascaron/site/agent mascaron/site/courier
ENV MASCARON_SITE=/var/lib/mascaron/site
USER 61002:61002
ENTRYPOINT ["mascaron-site"]
CMD ["join"]
