#!/bin/sh
# Runs the long reliability tests in full and prints their figures: MIRA_ROUNDS kills (default 500), and the races with more rounds;
# of three nodes, 1000 revocations and the faults with more rounds; fail-overs of the database ten times each. A filter may be given: build/soak.sh 'FullyQualifiedName~Cluster'.
# MIRA_SEED=<the printed seed> draws the same numbers again.
set -eu
cd "$(dirname "$0")/.."
export MIRA_ROUNDS="${MIRA_ROUNDS:-500}"
dotnet build tests/Mira.Web.Tests -c Release --nologo -v quiet
exec dotnet test tests/Mira.Web.Tests -c Release --no-build --nologo --filter "(FullyQualifiedName~Mira.Web.Tests.Reliability|FullyQualifiedName~Mira.Web.Tests.Cluster)${1:+&$1}" --logger "console;verbosity=normal" -- NUnit.ShowInternalProperties=false 2>&1 |
    grep -v '^{"timestamp"'
