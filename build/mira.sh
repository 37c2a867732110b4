#!/usr/bin/env bash
# One entry for everything a developer does here. `build/mira.sh help` lists the commands; each function command_<name> below is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

configuration=(--configuration Release)
quiet=(--nologo --verbosity quiet)
# These compute and start no server, so that all of them together take seconds.
fast_tests=(Mira.Domain.Tests Mira.Application.Tests Mira.Architecture.Tests)

command_help() {
    cat <<'TEXT'
usage: build/mira.sh COMMAND

  run [ARGS]      starts the service on http://localhost:5000; ARGS are its own
  check           before each commit: formatting of changed files, build, fast tests
  test [ARGS]     what CI runs: everything, with every test; ARGS are those of build/test.sh
  format          formats the changed files
  migrate NAME    adds a migration for SQLite and one for PostgreSQL, after a change of the tables
  client          writes docs/openapi.json from the service and generates the typed client, after a change of the API
  settings        writes defaults and values into docs/configuration.md, after a change of the settings
  bench [ARGS]    measures a call under load; ARGS are those of build/bench.sh
  help            prints this

Longer ones are scripts of their own: build/load.sh, build/soak.sh, build/drill.sh, build/measure-start.sh, build/measure-many.sh.
build/release.sh builds a release, and build/deploy.sh deploys one to Kubernetes: docs/releases.md.
tests/README.md says which test project answers which question.
TEXT
}

command_run() {
    exec dotnet run --project src/Mira.Web -- "$@"
}

command_test() {
    exec build/test.sh "$@"
}

command_bench() {
    exec build/bench.sh "$@"
}

# C# files that differ from where this branch left the main branch.
changed_files() {
    local base
    base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)
    { git diff --name-only --diff-filter=d "$base" -- '*.cs'; git ls-files --others --exclude-standard -- '*.cs'; } | sort -u
}

# Spaces, line ends and the order of usings, which need no build. The build refuses everything else that dotnet format would change.
format_changed() {
    local files
    mapfile -t files < <(changed_files)
    ((${#files[@]} == 0)) || dotnet format whitespace . --folder "$@" --include "${files[@]}"
}

command_format() {
    format_changed
}

command_check() {
    local project failed=()
    echo "Checking the formatting of changed files"
    format_changed --verify-no-changes || { echo "build/mira.sh format puts it right." >&2; exit 1; }
    echo "Building"
    dotnet build Mira.sln "${configuration[@]}" "${quiet[@]}"
    echo "Running the fast tests"
    for project in "${fast_tests[@]}"; do
        dotnet test "tests/$project" "${configuration[@]}" "${quiet[@]}" --no-build || failed+=("$project")
    done
    ((${#failed[@]} == 0)) || { echo "FAILED: ${failed[*]}" >&2; exit 1; }
    echo "Passed in $SECONDS s. build/mira.sh test runs every test."
}

# The folder and the namespace are those of the migrations that are there.
add_migration() {
    local name=$1 context=$2 snapshot
    snapshot=$(find src/Mira.Infrastructure -name "${context}ModelSnapshot.cs" -not -path '*/obj/*')
    dotnet ef migrations add "$name" "${configuration[@]}" --project src/Mira.Infrastructure --context "$context" \
        --namespace "$(sed -n 's/^namespace \([A-Za-z.]*\).*/\1/p' "$snapshot" | tr -d '\r')" \
        --output-dir "$(dirname "${snapshot#src/Mira.Infrastructure/}")"
}

# dotnet ef begins its files with a byte order mark, which no other file here has.
drop_byte_order_marks() {
    local file
    while read -r file; do
        [[ $(head -c 3 "$file") == $'\xEF\xBB\xBF' ]] || continue
        tail -c +4 "$file" >"$file.new" && mv "$file.new" "$file"
    done
}

command_migrate() {
    [[ ${1:-} =~ ^[A-Z][A-Za-z0-9]*$ ]] || { echo "usage: build/mira.sh migrate NAME, in PascalCase: KeyEnvironment" >&2; exit 2; }
    dotnet tool restore
    add_migration "$1" MiraDbContext
    add_migration "Postgres$1" PostgresDbContext
    git ls-files --modified --others --exclude-standard -- 'src/Mira.Infrastructure/*/Migrations/*.cs' | drop_byte_order_marks
    git status --short -- src/Mira.Infrastructure
}

command_client() {
    local data address=http://127.0.0.1:$((20000 + RANDOM % 20000))
    dotnet build src/Mira.Web "${configuration[@]}" "${quiet[@]}"
    data=$(mktemp -d)
    ASPNETCORE_URLS=$address MIRA_DATA_DIR=$data MIRA_DRAIN_SECONDS=0 dotnet src/Mira.Web/bin/Release/net10.0/Mira.Web.dll >"$data.log" 2>&1 &
    # shellcheck disable=SC2064 # The values of now.
    trap "kill $! 2>/dev/null; wait; rm -rf '$data' '$data.log'" EXIT
    curl -sf --retry 60 --retry-delay 1 --retry-connrefused --output "$data/openapi.json" "$address/swagger/v1/swagger.json" ||
        { cat "$data.log" >&2; exit 1; }
    cp "$data/openapi.json" docs/openapi.json
    dotnet build src/Mira.Client "${configuration[@]}" "${quiet[@]}"
    git status --short -- docs/openapi.json
}

command_settings() {
    MIRA_WRITE_CONFIGURATION=true dotnet test tests/Mira.Architecture.Tests "${configuration[@]}" "${quiet[@]}" \
        --filter Name=The_page_says_what_the_code_reads
    git status --short -- docs/configuration.md
}

command=${1:-help}
declare -F "command_$command" >/dev/null || { echo "mira.sh: there is no command $command" >&2; command_help >&2; exit 2; }
shift || true
"command_$command" "$@"
