#!/usr/bin/env bash
# Looks for known vulnerabilities in the packages of NuGet, in those of npm, and in an image.
#
#   build/scan.sh                  the packages
#   build/scan.sh --image IMAGE    the packages and an image, with trivy
#   build/scan.sh --strict         what could not be checked is an error, as in the workflow
#
# Exit code 1 when a vulnerability is known. What could not be checked is said and is no pass: the last line counts it.
# Whether a source of packages serves advisories shows on a planted package that is known to be vulnerable.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en

image='' strict=false
while (($# > 0)); do
    case $1 in
        --image) image=${2:?"scan.sh: --image needs a name"}; shift ;;
        --strict) strict=true ;;
        *) echo "usage: build/scan.sh [--image IMAGE] [--strict]" >&2; exit 2 ;;
    esac
    shift
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
checked=0 unchecked=0 found=0

not_checked() { echo "NOT CHECKED: $1"; unchecked=$((unchecked + 1)); }
clean() { echo "checked: $1"; checked=$((checked + 1)); }
vulnerable() { echo "VULNERABLE: $1"; found=$((found + 1)); }

# One line for each package with a known vulnerability.
vulnerable_packages() {
    dotnet list "$1" package --vulnerable --include-transitive --format json >"$scratch/list.json" 2>"$scratch/list.log" || return 1
    jq --raw-output '.projects[]?.frameworks[]? | ((.topLevelPackages // []) + (.transitivePackages // []))[]
        | "\(.id) \(.resolvedVersion): \([.vulnerabilities[]? | "\(.severity) \(.advisoryurl)"] | join(", "))"' "$scratch/list.json" | sort -u
}

scan_nuget() {
    local lines
    cat >"$scratch/planted.csproj" <<'TEXT'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><TargetFramework>net10.0</TargetFramework><NuGetAudit>false</NuGetAudit></PropertyGroup>
  <ItemGroup><PackageReference Include="Newtonsoft.Json" Version="12.0.1" /></ItemGroup>
</Project>
TEXT
    if ! dotnet restore "$scratch/planted.csproj" >"$scratch/restore.log" 2>&1; then
        not_checked "packages of NuGet: the planted package could not be restored"
    elif ! lines=$(vulnerable_packages "$scratch/planted.csproj") || [[ $lines != *Newtonsoft.Json* ]]; then
        not_checked "packages of NuGet: this source of packages serves no advisories, not even for the planted package"
    elif ! lines=$(vulnerable_packages Mira.sln); then
        cat "$scratch/list.log" >&2
        not_checked "packages of NuGet: dotnet list failed"
    elif [[ -n $lines ]]; then
        vulnerable "packages of NuGet"$'\n'"$lines"
    else
        clean "packages of NuGet, transitive ones included"
    fi
}

scan_npm() {
    local folder
    for folder in build/openapi build/workflows; do
        if ! type -P npm >/dev/null; then
            not_checked "packages of $folder: npm is missing"
        # Validators run on a developer's machine and on no user's data: what is low or moderate is left to the weekly updates.
        elif npm audit --prefix "$folder" --package-lock-only --audit-level=high --json >"$scratch/npm.json" 2>/dev/null; then
            clean "packages of $folder"
        elif jq --exit-status '.metadata.vulnerabilities' "$scratch/npm.json" >/dev/null 2>&1; then
            vulnerable "packages of $folder: $(jq --compact-output '.metadata.vulnerabilities' "$scratch/npm.json")"
        else
            not_checked "packages of $folder: this source of packages serves no advisories"
        fi
    done
}

scan_image() {
    if ! type -P trivy >/dev/null; then
        not_checked "image $image: trivy is missing"
    elif trivy image --severity HIGH,CRITICAL --ignore-unfixed --exit-code 3 --quiet "$image"; then
        clean "image $image"
    elif (($? == 3)); then
        vulnerable "image $image"
    else
        not_checked "image $image: trivy failed"
    fi
}

scan_nuget
scan_npm
[[ -z $image ]] || scan_image
echo "scan.sh: $checked checked, $unchecked not checked, $found with known vulnerabilities"
((found == 0)) || exit 1
! $strict || ((unchecked == 0)) || { echo "scan.sh: --strict, and not everything could be checked" >&2; exit 1; }
