#!/usr/bin/env bash
# Asks a running Mira a few questions that only a healthy one answers as expected.
# usage: build/smoke.sh URL     with MIRA_SMOKE_KEY, a key that works, also a call with that key
# A key is no argument, because every process of the machine can read arguments. It needs curl.
set -uo pipefail
url=${1:?"usage: build/smoke.sh URL"}
url=${url%/}
failures=0

# The status of a call, and its body in $body. The key is read from standard input and is on no command line.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
status() {
    curl --silent --show-error --max-time 10 --retry 3 --retry-connrefused --retry-delay 1 --output "$body" --write-out '%{http_code}' "$@"
}

expect() {
    local what=$1 wanted=$2 text=$3 got
    shift 3
    got=$(status "$@")
    if [[ $got == "$wanted" ]] && grep --quiet --fixed-strings -- "$text" "$body"; then
        echo "ok: $what"
    else
        echo "FAILED: $what: $got, expected $wanted with $text" >&2
        failures=$((failures + 1))
    fi
}

expect 'the process is alive' 200 '"status":"healthy"' "$url/health/live"
expect 'the node decides about keys' 200 '"status":' "$url/health/ready"
expect 'a call without a key is refused' 401 '"code":"missing_credentials"' "$url/api/auth/validate"
expect 'an invalid key is refused' 401 '"code":"invalid_key"' --header 'Authorization: Bearer smoke-test' "$url/api/auth/validate"
if [[ -n ${MIRA_SMOKE_KEY:-} ]]; then
    expect 'a key works' 200 '"valid":true' --header @- "$url/api/auth/validate" <<<"Authorization: Bearer $MIRA_SMOKE_KEY"
fi
exit $((failures > 0))
