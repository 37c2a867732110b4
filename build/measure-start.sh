#!/bin/sh
# Prints how long the published service takes to be ready: on an empty folder, and with many keys.
# usage: build/measure-start.sh [keys, default 100000] [runs, default 7]
set -eu
cd "$(dirname "$0")/.."
published=$(mktemp -d)
trap 'rm -rf "$published"' EXIT
dotnet publish src/Mira.Web -c Release --use-current-runtime --no-self-contained -o "$published" --nologo -v quiet
dotnet build tests/Mira.Benchmarks -c Release --nologo -v quiet
dotnet run -c Release --no-build --project tests/Mira.Benchmarks -- start "$published/Mira.Web.dll" "$@"
