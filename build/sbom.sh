#!/usr/bin/env bash
# Writes the bill of materials of the service, in the form of CycloneDX. The typed client needs no package.
# usage: build/sbom.sh [folder, default artifacts/sbom] [version, default that of the newest tag]
# It needs the .NET SDK and jq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
folder=${1:-artifacts/sbom}

dotnet tool restore >/dev/null
version=${2:-$(dotnet minver --tag-prefix v --minimum-major-minor 0.1 --verbosity error)}
mkdir -p "$folder"
file=$folder/mira.cdx.json
log=$(mktemp)
trap 'rm -f "$log"' EXIT
dotnet dotnet-CycloneDX src/Mira.Web/Mira.Web.csproj --output "$folder" --filename "$(basename "$file")" --output-format Json \
    --set-name mira --set-version "$version" --set-type Application >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
# A bill that lists nothing is none.
jq --exit-status '.bomFormat == "CycloneDX" and (.components | length) > 0' "$file" >/dev/null ||
    { echo "sbom.sh: $file lists no component" >&2; exit 1; }
echo "$file: $(jq '.components | length' "$file") components of Mira $version"
