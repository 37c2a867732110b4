#!/usr/bin/env bash
# Loads a server and writes a page of results: build/load.sh [steady|spike|soak|many-keys|wrong-key-storm] [--url URL] [--key KEY].
# Without a URL it starts a node of its own. build/load.sh --help lists the rest. Exit code 1 when a limit is missed, 2 when it could not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
build() {
    dotnet build "$1" --configuration Release --nologo --verbosity quiet >"$log" || { cat "$log" >&2; exit 2; }
}

build tests/Mira.Load
[[ " $* " == *" --url "* || " $* " == *" --help "* ]] || build src/Mira.Web
dotnet tests/Mira.Load/bin/Release/net10.0/Mira.Load.dll "$@"
