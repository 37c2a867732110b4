#!/usr/bin/env bash
# Replaces the nodes of the cluster one after another by the image that is there now; the others serve meanwhile.
# usage: build/compose/roll.sh
# COMPOSE names the command when it is not docker-compose or docker compose. docs/containers.md has the whole upgrade.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ready_within=120

compose() {
    ${COMPOSE:-$(type -P docker-compose || echo docker compose)} -f docker-compose.yml -f build/compose/cluster.yml "$@"
}

fail() {
    echo "roll.sh: $1" >&2
    exit 1
}

wait_until_ready() {
    local end=$((SECONDS + ready_within))
    until docker exec "$1" dotnet Mira.Web.dll health >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "the new node ${1:0:12} is not ready after $ready_within s; the nodes after it were left alone. docker logs ${1:0:12} says why."
        sleep 0.5
    done
}

mapfile -t old < <(compose ps -q mira)
((${#old[@]} > 1)) || fail "one node cannot be replaced without a gap; --scale mira=3 makes more of them."
for node in "${old[@]}"; do
    docker stop "$node" >/dev/null
    docker rm "$node" >/dev/null
    compose up -d --no-deps --no-recreate --no-build --scale "mira=${#old[@]}" mira >/dev/null 2>&1 || fail "a node could not be started."
    new=$(comm -13 <(printf '%s\n' "${old[@]}" "${made[@]:-}" | sort) <(compose ps -q mira | sort))
    wait_until_ready "$new"
    made+=("$new")
    echo "replaced ${node:0:12} by ${new:0:12}"
done
