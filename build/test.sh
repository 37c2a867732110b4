#!/usr/bin/env bash
# Builds Mira once and runs every test project of Mira.sln. The one test command, here and in CI.
#
#   build/test.sh              formatting, build, all tests
#   build/test.sh --coverage   also line coverage of the domain and the application, at least 95 %
#   build/test.sh --needs      only prints the Debian packages that are missing
#   build/test.sh --projects   only prints the test projects
#
# It needs the .NET 10 SDK; what the tests need beside it is in `needs` below and is installed when this runs as root on Debian.
# Results are in artifacts/test-results. Exit code 0 only if everything was built, formatted, run and passed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# A command that tests call, and the Debian package it comes in.
needs=(
    kill:procps         # signals to the server's process
    script:bsdutils     # a terminal for a start by hand
    jq:jq               # the commands of the README
    chromium:chromium   # the browser that opens /swagger/
    postgres:postgresql # the store of several nodes
    pgbouncer:pgbouncer # the pooler that may stand before it
    redis-server:redis-server
    faketime:faketime   # a node whose clock is off
    prometheus:prometheus # rules, alerts and the queries of dashboards
    promtool:prometheus
    nginx:nginx-light   # proxies in front of forward authentication
    caddy:caddy
    haproxy:haproxy
    npm:npm             # the validators of the OpenAPI document, and the linter of the workflows
    curl:curl           # the smoke test of a deployment
    dockerd:docker.io   # the engine, where none runs
    docker-compose:docker-compose
    debootstrap:debootstrap # the base of images where no registry is reached
)
results=artifacts/test-results
minimum_coverage=95
covered_projects=(Mira.Domain Mira.Application)
per_project_limit=30m
hang_limit=4m

# Nothing here may ask, phone home or leave a process behind that holds this script's output open.
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en MSBUILDDISABLENODEREUSE=1 DEBIAN_FRONTEND=noninteractive
# A machine that is busy may take its time to start a test host.
export VSTEST_CONNECTION_TIMEOUT=300
export HOME="${HOME:-$(echo ~)}"
exec </dev/null

fail() {
    echo "test.sh: $1" >&2
    exit 1
}

# Only files on the path count: kill is a builtin too, but tests start it as a process. Debian keeps PostgreSQL's server off the path.
is_there() {
    type -P "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

missing_packages() {
    local need
    for need in "${needs[@]}"; do
        is_there "${need%%:*}" || echo "${need##*:}"
    done | sort -u
}

test_projects() {
    sed -n 's/^Project(.*"\(tests[^"]*\.Tests\.csproj\)".*/\1/p' Mira.sln | tr '\\' '/' | tr -d '\r'
}

coverage=false
case "${1:-}" in
    '') ;;
    --coverage) coverage=true ;;
    --needs) missing_packages; exit ;;
    --projects) test_projects; exit ;;
    *) echo "usage: build/test.sh [--coverage | --needs | --projects]" >&2; exit 2 ;;
esac

# Debian starts the servers it installs. The tests start their own: whatever is asked to start meanwhile is told no.
policy=/usr/sbin/policy-rc.d
start_nothing() {
    [[ -e $policy ]] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
}

install_needs() {
    local missing
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) && return

    if ((EUID != 0)) || ! type -P apt-get >/dev/null; then
        fail "missing: ${missing[*]}. Install them (Debian: apt-get install ${missing[*]}) and run again."
    fi

    echo "Installing ${missing[*]}"
    start_nothing
    { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >artifacts/apt.log 2>&1 ||
        { tail -n 20 artifacts/apt.log >&2; fail "could not install: ${missing[*]}"; }
    [[ -n $(trap -p EXIT) ]] && rm -f "$policy"
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || fail "still missing after installing: ${missing[*]}"
}

# passed, failed and skipped of one trx file. A run that was aborted or said no more than that it failed has one failure.
counts() {
    awk '
        function number(name,    match_at) {
            match_at = match($0, " " name "=\"[0-9]+\"")
            return match_at ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) + 0 : 0
        }
        /<ResultSummary / { broken = $0 !~ /outcome="Completed"/ }
        /<Counters / {
            total = number("total"); passed = number("passed")
            failed = number("failed") + number("error") + number("timeout") + number("aborted")
            found = 1
        }
        END {
            if (!found || (broken && failed == 0)) { failed++; total++ }
            print passed + 0, failed + 0, total - passed - failed
        }' "$1"
}

# Lines of a project covered by any report, and all its lines. Reports name a line once in its method and once in its class.
line_coverage() {
    find "$results" -name '*.cobertura.xml' -exec cat {} + | awk -v project="/src/$1/" '
        match($0, /filename="[^"]*"/) {
            file = substr($0, RSTART + 10, RLENGTH - 11)
            gsub(/\\/, "/", file)
            wanted = index(file, project) && file !~ /\/obj\// && file !~ /\.g\.cs$/
        }
        wanted && /<line / && match($0, /number="[0-9]+"/) {
            line = file ":" substr($0, RSTART + 8, RLENGTH - 9)
            lines[line] += $0 !~ /hits="0"/
        }
        END {
            for (line in lines) { all++; covered += lines[line] > 0 }
            print covered + 0, all + 0
        }'
}

dotnet --version >/dev/null 2>&1 || fail "missing: the .NET 10 SDK (or what it needs to start: dotnet --version fails)"
rm -rf "$results"
mkdir -p "$results"
install_needs

# Images take minutes. They are made beside the build, and are ready before the first test.
tests/Mira.Containers.Tests/engine.sh >artifacts/containers.log 2>&1 &
images=$!

echo "Building"
dotnet build Mira.sln --configuration Release --nologo --verbosity quiet --consoleLoggerParameters:NoSummary >artifacts/build.log 2>&1 ||
    { cat artifacts/build.log; fail "the build failed"; }

problems=()
echo "Checking the formatting"
dotnet format Mira.sln --verify-no-changes --no-restore >artifacts/format.log 2>&1 ||
    { cat artifacts/format.log; problems+=("dotnet format --verify-no-changes"); }

echo "Checking the OpenAPI document"
build/openapi/check.sh >artifacts/openapi.log 2>&1 || { cat artifacts/openapi.log; problems+=("build/openapi/check.sh"); }

echo "Looking for known vulnerabilities"
build/scan.sh >artifacts/scan.log 2>&1 || problems+=("build/scan.sh")
cat artifacts/scan.log

# The tests of the containers report a failure themselves, because they ask for the same.
wait "$images" || cat artifacts/containers.log

mapfile -t projects < <(test_projects)
((${#projects[@]} > 0)) || fail "Mira.sln has no test project"

options=(--configuration Release --no-build --nologo --results-directory "$results" --blame-hang-timeout "$hang_limit" --blame-hang-dump-type none)
workers=$(nproc 2>/dev/null || echo 2)
((workers > 4)) && workers=4

# Runs one project, and leaves "passed failed skipped seconds note" in its .outcome.
run_project() {
    local project=$1 name=$2 begin=$SECONDS code passed=0 failed=1 skipped=0 note=''
    # The architecture tests read the assemblies, which must be as they were compiled.
    local collect=()
    $coverage && [[ $name != *.Architecture.* ]] && collect=(--collect "Code Coverage;Format=cobertura" --settings build/coverage.runsettings)
    timeout --kill-after=30s "$per_project_limit" dotnet test "$project" "${options[@]}" "${collect[@]}" --logger "trx;LogFileName=$name.trx" \
        -- "NUnit.NumberOfTestWorkers=$workers" >"$results/$name.log" 2>&1
    code=$?

    if [[ -s $results/$name.trx ]]; then
        read -r passed failed skipped < <(counts "$results/$name.trx")
        if ((passed + failed + skipped == 0)); then
            failed=1 note='(ran no test)'
        elif ((code != 0 && failed == 0)); then
            failed=1 note="(exit code $code)"
        fi
    else
        note="(no results, exit code $code)"
    fi
    echo "$passed $failed $skipped $((SECONDS - begin)) $note" >"$results/$name.outcome"
}

report_project() {
    local name=$1 passed=0 failed=1 skipped=0 seconds=0 note='(was not run)'
    [[ -s $results/$name.outcome ]] && read -r passed failed skipped seconds note <"$results/$name.outcome"
    printf '%-28s %5d passed %4d failed %4d skipped %5d s %s\n' "$name" "$passed" "$failed" "$skipped" "$seconds" "$note"
    if ((failed > 0)); then
        problems+=("$name")
        [[ -e $results/$name.log ]] &&
            grep -vE '^\s*$|^(Test run for|VSTest version|Starting test execution|Results File|A total of)|^Attachments:|cobertura.xml$|Sequence file will not be generated' "$results/$name.log" | tail -n 200
    fi
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_skipped=$((total_skipped + skipped))
}

# The names of the tests that failed. They are printed last, because a long output is often cut at its start.
failed_tests() {
    grep -hE '^  Failed [^ ]' "$results"/*.log 2>/dev/null | sed 's/^  Failed /failed: /' | sort -u | head -n 40
}

# Projects that only compute run beside those that start servers; the latter run one after another.
total_passed=0 total_failed=0 total_skipped=0
beside=() alone=()
for project in "${projects[@]}"; do
    name=$(basename "$project" .csproj)
    if [[ $name == @(Mira.Infrastructure.Tests|Mira.Operations.Tests|Mira.Web.Tests|Mira.Containers.Tests) ]]; then
        alone+=("$project")
    else
        beside+=("$project")
    fi
done
for project in "${beside[@]}"; do
    run_project "$project" "$(basename "$project" .csproj)"
done &
for project in "${alone[@]}"; do
    run_project "$project" "$(basename "$project" .csproj)"
done
wait
tests/Mira.Containers.Tests/engine.sh stop
for project in "${projects[@]}"; do
    report_project "$(basename "$project" .csproj)"
done
echo "$total_passed $total_failed $total_skipped" >"$results/counts"

if $coverage; then
    for project in "${covered_projects[@]}"; do
        read -r covered all < <(line_coverage "$project")
        awk -v project="$project" -v covered="$covered" -v all="$all" -v minimum="$minimum_coverage" 'BEGIN {
            share = all ? 100 * covered / all : 0
            printf "%-28s %.1f %% of %d lines covered\n", project, share, all
            exit share < minimum
        }' || problems+=("the coverage of $project is below $minimum_coverage %")
    done
fi

((total_passed + total_failed > 0)) || problems+=("no test ran")
echo "Tests: $total_passed passed, $total_failed failed, $total_skipped skipped in $SECONDS s."
if ((${#problems[@]} > 0)); then
    failed_tests
    printf 'FAILED: %s\n' "${problems[@]}"
    exit 1
fi
