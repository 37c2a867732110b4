#!/usr/bin/env bash
# Gets this machine ready for the tests of containers: an engine, the public images, and Mira's image from
# build/Dockerfile.
#
#   tests/Mira.Containers.Tests/engine.sh          what is there already is left alone
#   tests/Mira.Containers.Tests/engine.sh stop     ends the engine, if this script has started it
#
# Where no registry is reached, stand-ins get the public names: the same servers from Debian's packages, and the .NET of
# this machine.
# They have the commands, paths and variables that docker-compose.yml uses, and no more. As root on Debian the script
# starts an engine itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=${MIRA_CONTAINERS_DIR:-/var/tmp/mira-containers}
export MIRA_TAG=${MIRA_TAG:-test} HOME="${HOME:-$(echo ~)}"

fail() {
    echo "engine.sh: $1" >&2
    exit 1
}

say() {
    printf '%4d s %s\n' "$SECONDS" "$1"
}

has_engine() {
    docker info >/dev/null 2>&1
}

# setsid and the redirections: an engine outlives this script, and holds none of its outputs open.
start_engine() {
    ((EUID == 0)) || fail "no container engine runs here, and only root can start one."
    type -P dockerd >/dev/null || fail "no container engine is installed here (Debian: apt-get install docker.io docker-compose)."
    setsid dockerd >"$work/engine.log" 2>&1 </dev/null &
    echo $! >"$work/engine.pid"
    for _ in {1..120}; do
        has_engine && return
        kill -0 "$(<"$work/engine.pid")" 2>/dev/null || break
        sleep 0.5
    done
    rm -f "$work/engine.pid"
    tail -n 3 "$work/engine.log" >&2
    fail "this machine cannot run a container engine: dockerd ended, and its last lines are above."
}

stop_engine() {
    [[ -s $work/engine.pid ]] || return 0
    local process
    process=$(<"$work/engine.pid")
    [[ $(ps -o comm= -p "$process") == dockerd ]] && kill "$process"
    rm -f "$work/engine.pid"
}

has_image() {
    docker image inspect "$1" >/dev/null 2>&1
}

# Each stand-in is a Dockerfile in a folder of its own, read from the standard input.
stand_in() {
    local image=$1 folder=$work/$2
    mkdir -p "$folder"
    cat >"$folder/Dockerfile"
    docker build --network host --quiet --label mira.stand-in=true --tag "$image" "$folder" >/dev/null 2>"$folder/build.log" ||
        { tail -n 20 "$folder/build.log" >&2; fail "the stand-in for $image could not be built."; }
    say "stand-in: $image"
}

make_base() {
    has_image mira-stand-in/base && return
    type -P debootstrap >/dev/null || fail "no registry is reached, and debootstrap is missing, which makes the base of the stand-ins."
    if [[ ! -e $work/base.done ]]; then
        rm -rf "$work/base"
        debootstrap --variant=minbase --include=ca-certificates,libicu72,libssl3,zlib1g,libgcc-s1,libstdc++6,tzdata \
            bookworm "$work/base" >"$work/base.log" 2>&1 || { tail -n 5 "$work/base.log" >&2; fail "debootstrap could not make the base."; }
        rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
        # A machine behind a proxy that opens TLS has that proxy's authority here.
        cp -L /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
        touch "$work/base.done"
    fi
    tar -C "$work/base" -c . | docker import - mira-stand-in/base >/dev/null
    say "base"
}

# One image with all servers: one download, and the others take from it.
make_servers() {
    has_image mira-stand-in/servers || stand_in mira-stand-in/servers servers <<'D'
FROM mira-stand-in/base
RUN apt-get update -qq \
 && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server postgresql nginx-light prometheus nodejs \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /etc/nginx/sites-enabled/default \
 && useradd --system nginx && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
D
}

make_dotnet() {
    local dotnet
    dotnet=$(dirname "$(readlink -f "$(type -P dotnet)")")
    if ! has_image mcr.microsoft.com/dotnet/sdk:10.0; then
        rm -rf "$work/sdk" && mkdir -p "$work/sdk" && cp -al "$dotnet" "$work/sdk/dotnet" 2>/dev/null || cp -a "$dotnet" "$work/sdk/dotnet"
        stand_in mcr.microsoft.com/dotnet/sdk:10.0 sdk <<'D'
FROM mira-stand-in/base
COPY dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet
ENV NUGET_CERT_REVOCATION_MODE=offline
D
        rm -rf "$work/sdk/dotnet"
    fi
    if ! has_image mcr.microsoft.com/dotnet/aspnet:10.0; then
        rm -rf "$work/aspnet" && mkdir -p "$work/aspnet/dotnet"
        cp -a "$dotnet"/{dotnet,host,shared} "$work/aspnet/dotnet/"
        stand_in mcr.microsoft.com/dotnet/aspnet:10.0 aspnet <<'D'
FROM mira-stand-in/base
COPY dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet && useradd --uid 1654 --user-group --create-home app
ENV ASPNETCORE_HTTP_PORTS=8080 DOTNET_RUNNING_IN_CONTAINER=true APP_UID=1654
D
        rm -rf "$work/aspnet/dotnet"
    fi
}

make_redis() {
    stand_in redis:7-alpine redis <<'D'
FROM mira-stand-in/servers
WORKDIR /data
CMD ["redis-server", "--protected-mode", "no"]
D
}

make_postgres() {
    mkdir -p "$work/postgres"
    cat >"$work/postgres/start.sh" <<'S'
#!/bin/sh
# The official image in small: POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, with the data in PGDATA.
set -e
: "${POSTGRES_PASSWORD:?must be set}" "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
chown postgres "$PGDATA" /run/postgresql && chmod 700 "$PGDATA"
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077
    echo "$POSTGRES_PASSWORD" >/tmp/password && chown postgres /tmp/password
    $as_postgres initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --encoding=UTF8 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    $as_postgres pg_ctl -o "-c listen_addresses=''" -w start >/dev/null
    [ "$POSTGRES_DB" = postgres ] || $as_postgres createdb -h /run/postgresql -U "$POSTGRES_USER" "$POSTGRES_DB"
    $as_postgres pg_ctl -m fast -w stop >/dev/null
fi
exec $as_postgres postgres -c listen_addresses='*' "$@"
S
    chmod +x "$work/postgres/start.sh"
    stand_in postgres:17-alpine postgres <<'D'
FROM mira-stand-in/servers
COPY start.sh /usr/local/bin/docker-entrypoint.sh
ENV PGDATA=/var/lib/postgresql/data
RUN mkdir -p "$PGDATA"
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
D
}

make_nginx() {
    stand_in nginx:1-alpine nginx <<'D'
FROM mira-stand-in/servers
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
D
}

make_prometheus() {
    stand_in prom/prometheus:latest prometheus <<'D'
FROM mira-stand-in/servers
RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
D
}

# Debian has no Grafana. This one only looks whether it was given what Grafana reads at its start.
make_grafana() {
    mkdir -p "$work/grafana"
    cat >"$work/grafana/run.sh" <<'S'
#!/bin/sh
set -e
ls /etc/grafana/provisioning/datasources/*.yml /etc/grafana/provisioning/dashboards/*.yml /etc/grafana/dashboards/*.json
echo "not Grafana: its files are in their places"
exec sleep infinity
S
    chmod +x "$work/grafana/run.sh"
    stand_in grafana/grafana:latest grafana <<'D'
FROM mira-stand-in/base
COPY run.sh /run.sh
RUN useradd --uid 472 grafana && mkdir -p /var/lib/grafana && chown 472 /var/lib/grafana
USER 472
ENTRYPOINT ["/run.sh"]
D
}

make_commander() {
    mkdir -p "$work/commander"
    # npm knows its own authorities only, and a proxy that opens TLS has one of this machine's.
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] && export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
    npm install --ignore-scripts --prefix "$work/commander" --no-fund --no-audit --silent redis-commander >"$work/commander/npm.log" 2>&1 ||
        { tail -n 5 "$work/commander/npm.log" >&2; fail "Redis Commander could not be installed."; }
    stand_in rediscommander/redis-commander:latest commander <<'D'
FROM mira-stand-in/servers
COPY node_modules /srv/node_modules
WORKDIR /srv/node_modules/redis-commander
EXPOSE 8081
ENTRYPOINT ["sh", "-c", "exec node bin/redis-commander.js --address 0.0.0.0 --redis-host \"$REDIS_HOST\" --redis-port \"$REDIS_PORT\" --redis-password \"$REDIS_PASSWORD\""]
D
}

# The public image, or what makes a stand-in for it. One failed pull says that no registry is reached.
registry=unknown
public() {
    local image=$1 make=$2
    has_image "$image" && return
    if [[ $registry != none ]]; then
        if timeout 300 docker pull --quiet "$image" >/dev/null 2>&1; then
            registry=there
            say "pulled: $image"
            return
        fi
        [[ $registry == unknown ]] && registry=none
    fi
    make_base
    [[ $make == make_dotnet || $make == make_grafana ]] || make_servers
    "$make"
}

mkdir -p "$work"
if [[ ${1:-} == stop ]]; then
    stop_engine
    exit
fi

# One at a time: the second finds what the first has made.
exec 9>"$work/lock"
flock 9
{ has_engine || start_engine; } 9>&-
public mcr.microsoft.com/dotnet/sdk:10.0 make_dotnet
public mcr.microsoft.com/dotnet/aspnet:10.0 make_dotnet
docker build --network host --quiet --file build/Dockerfile --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" --tag "mira:$MIRA_TAG" . \
    >/dev/null 2>"$work/mira.log" || { tail -n 20 "$work/mira.log" >&2; fail "build/Dockerfile could not be built."; }
say "built: mira:$MIRA_TAG"
public redis:7-alpine make_redis
public postgres:17-alpine make_postgres
public nginx:1-alpine make_nginx
public prom/prometheus:latest make_prometheus
public rediscommander/redis-commander:latest make_commander
public grafana/grafana:latest make_grafana
say "ready"
