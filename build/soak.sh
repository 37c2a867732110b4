#!/bin/sh
# Runs the long reliability tests in full and prints their figures: MIRA_ROUNDS kills (default 500), and the races with more rounds;
# of three nodes, 1000 revocations and the faults with more rounds; fail-overs of the database ten times each; bursts against limits on a busy machine,
# and every act of a person in Airtable in every gap between two calls. A filter may be given: build/soak.sh 'FullyQualifiedName~Cluster'.
# MIRA_SEED=<the printed seed> draws the same numbers again.
set -eu
cd "$(dirname "$0")/.."
export MIRA_ROUNDS="${MIRA_ROUNDS:-500}"

# The tests of a project that match a filter; prints nothing for a project that has none.
soak() {
    dotnet build "tests/$1" -c Release --nologo -v quiet
    dotnet test "tests/$1" -c Release --no-build --nologo --filter "($2)${3:+&$3}" --logger "console;verbosity=normal" -- NUnit.ShowInternalProperties=false 2>&1 |
        grep -v '^{"timestamp"'
}

soak Mira.Infrastructure.Tests 'FullyQualifiedName~LimitBurst|FullyQualifiedName~AirtableGap' "${1:-}"
soak Mira.Web.Tests 'FullyQualifiedName~Mira.Web.Tests.Reliability|FullyQualifiedName~Mira.Web.Tests.Cluster' "${1:-}"
