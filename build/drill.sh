#!/bin/sh
# Plays four faults to two real nodes on PostgreSQL and Redis (Redis killed, PostgreSQL stopped, brute force from one address, a leaked key in use),
# watched by a real Prometheus with the shipped rules, and prints what each dashboard and alert showed. Takes about five minutes.
# usage: build/drill.sh [by how much longer or shorter, default 1]
set -eu
cd "$(dirname "$0")/.."
for need in prometheus redis-server; do
    type "$need" >/dev/null || { echo "missing: $need" >&2; exit 1; }
done
dotnet build src/Mira.Web -c Release --nologo -v quiet
dotnet build tests/Mira.Benchmarks -c Release --nologo -v quiet
exec dotnet tests/Mira.Benchmarks/bin/Release/net10.0/Mira.Benchmarks.dll drill src/Mira.Web/bin/Release/net10.0/Mira.Web.dll build "$@"
