#!/bin/sh
# Prints what a call costs beside a bare MVC action: the service under load, in interleaved rounds on this machine.
# usage: build/bench.sh [rounds, default 5] [seconds of each, default 12] [letters of what to measure, default all]
set -eu
cd "$(dirname "$0")/.."
type wrk >/dev/null || apt-get install --yes --no-install-recommends wrk >/dev/null || { echo "missing: wrk" >&2; exit 1; }
dotnet build src/Mira.Web -c Release --nologo -v quiet
dotnet build tests/Mira.Benchmarks -c Release --nologo -v quiet
exec dotnet tests/Mira.Benchmarks/bin/Release/net10.0/Mira.Benchmarks.dll load src/Mira.Web/bin/Release/net10.0/Mira.Web.dll "$@"
