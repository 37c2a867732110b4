#!/bin/sh
# Prints what very many keys in PostgreSQL cost the published service: its start, the first call of a key, and warm calls.
# usage: build/measure-many.sh [keys, default 1000000]
set -eu
cd "$(dirname "$0")/.."
published=$(mktemp -d)
trap 'rm -rf "$published"' EXIT
dotnet publish src/Mira.Web -c Release --use-current-runtime --no-self-contained -o "$published" --nologo -v quiet
dotnet build tests/Mira.Benchmarks -c Release --nologo -v quiet
dotnet run -c Release --no-build --project tests/Mira.Benchmarks -- many "$published/Mira.Web.dll" "$@"
