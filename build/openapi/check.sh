#!/usr/bin/env bash
# Has two validators that no one here wrote look at docs/openapi.json: Redocly and Spectral. No error and no warning passes. Each has to refuse
# a document with a planted mistake first, so that a validator which looks at nothing is seen.
# It needs npm. The validators are installed once, in artifacts/openapi, at the versions of package-lock.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
document=$PWD/docs/openapi.json
tools=artifacts/openapi

mkdir -p "$tools"
cp build/openapi/{package.json,package-lock.json,redocly.yaml,spectral.yaml} "$tools"
cd "$tools"
if ! cmp --silent package-lock.json node_modules/.installed; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed
fi

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
redocly() { node_modules/.bin/redocly lint --config redocly.yaml "$1"; }
spectral() { node_modules/.bin/spectral lint --ruleset spectral.yaml --fail-severity warn "$1"; }

# In turn: a reference to nothing, an answer whose example its schema forbids, an operation without a summary and a description.
plant() {
    node -e "const document = require('$document'); const get = document.paths['/health'].get; $2;
        require('fs').writeFileSync('$1', JSON.stringify(document))"
}
plant reference.json "get.responses['200'].content['application/json'].schema.\$ref = '#/components/schemas/Nothing'"
plant example.json "get.responses['200'].content['application/json'].example.details = 1"
plant summary.json "delete get.summary; delete get.description"

for tool in redocly spectral; do
    for planted in reference example summary; do
        if $tool "$planted.json" >"$tool-$planted.log" 2>&1; then
            echo "$tool sees nothing wrong with $planted.json" >&2
            exit 1
        fi
    done
    $tool "$document" >"$tool.log" 2>&1 || { cat "$tool.log" >&2; exit 1; }
done
