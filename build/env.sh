#!/usr/bin/env bash
# Makes .env with random secrets (mode 0600) for the profiles and the cluster, and a self-signed certificate for nginx
# if there is none.
# usage: build/env.sh
# An .env that is there stays as it is: its passwords are in use. docs/containers.md says which setting is for what.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "env.sh: $1" >&2
    exit 1
}

tls=build/compose/tls
[[ -e .env || -L .env ]] && fail ".env is there already and stays as it is; to begin anew, move it away and keep it, for the data needs its secrets."
type -P openssl >/dev/null || fail "openssl is missing, which makes the audit key and the certificate."
umask 077

# 256 random bits as hexadecimal digits, which need no quotes in a connection string.
secret() {
    openssl rand -hex 32
}

# A PEM on one line: .env has no values of several lines that every Compose reads.
audit_key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | tr '\n' ' ' | sed 's/ $//'
}

if [[ ! -e $tls/tls.key ]]; then
    mkdir -p "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$tls/tls.key" -out "$tls/tls.crt" 2>/dev/null ||
        fail "openssl could not make the certificate."
    echo "made $tls: a self-signed certificate for localhost; put your own tls.crt and tls.key in its place"
fi

# Written aside first, so that an .env is whole; ln refuses a name that is taken meanwhile.
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
cat >"$new" <<TEXT
# Made by build/env.sh. These secrets belong to the data: back them up with it, apart from it.
MIRA_ENV_MADE_BY=./build/env.sh
REDIS_PASSWORD=$(secret)
POSTGRES_PASSWORD=$(secret)
GRAFANA_PASSWORD=$(secret)
MIRA_PEPPER=$(openssl rand -base64 32)
MIRA_AUDIT_KEY=$(audit_key)
TEXT
ln "$new" .env || fail ".env could not be made."
echo "made .env: random secrets, which you alone can read"
