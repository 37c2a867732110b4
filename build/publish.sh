#!/usr/bin/env bash
# Publishes what build/release.sh has built in artifacts/release, except for the image, which release.sh pushes itself.
# usage: build/publish.sh [--dry-run]
# A release of GitHub for the tag that is checked out gets all files. With MIRA_NUGET_SOURCE the package of the typed client goes there too.
# It needs gh with GH_TOKEN (contents: write), and for the package the .NET SDK and MIRA_NUGET_KEY.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run=()
case ${1:-} in
    '') ;;
    --dry-run) run=(echo) ;;
    *) echo "usage: build/publish.sh [--dry-run]" >&2; exit 2 ;;
esac

files=(artifacts/release/*)
packages=(artifacts/release/*.nupkg)
[[ -e ${packages[0]} ]] || { echo "publish.sh: artifacts/release holds no package: run build/release.sh first" >&2; exit 1; }
(cd artifacts/release && sha256sum --check --quiet SHA256SUMS)
tag=${GITHUB_REF_NAME:-$(git describe --tags --exact-match)}

"${run[@]}" gh release create "$tag" --verify-tag --title "Mira ${tag#v}" --notes "See CHANGELOG.md." "${files[@]}"
if [[ -z ${MIRA_NUGET_SOURCE:-} ]]; then
    echo "publish.sh: no MIRA_NUGET_SOURCE: the package is a file of the release only"
elif ((${#run[@]} > 0)); then
    "${run[@]}" dotnet nuget push "${packages[@]}" --source "$MIRA_NUGET_SOURCE" --skip-duplicate
else
    dotnet nuget push "${packages[@]}" --source "$MIRA_NUGET_SOURCE" --skip-duplicate --api-key "$MIRA_NUGET_KEY"
fi
