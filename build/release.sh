#!/usr/bin/env bash
# Builds what a release holds, in artifacts/release: the package of the typed client, the published service, bills of materials, checksums and the image.
#
#   build/release.sh                  everything but the image
#   build/release.sh --image          also the image
#   build/release.sh --image --push   also pushes the image, and writes its digest to artifacts/release/image-digest
#
# The version comes from the newest tag like v1.2.3. MIRA_IMAGE names the image without its tag.
# It needs the .NET SDK, git and jq, and for the image a container engine that is logged in where it pushes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
image=${MIRA_IMAGE:-ghcr.io/mira/mira}
out=artifacts/release
runtime=linux-x64

with_image=false push=false
for argument in "$@"; do
    case $argument in
        --image) with_image=true ;;
        --push) push=true ;;
        *) echo "usage: build/release.sh [--image [--push]]" >&2; exit 2 ;;
    esac
done
if $push && ! $with_image; then
    echo "release.sh: --push needs --image" >&2
    exit 2
fi

dotnet tool restore >/dev/null
version=$(dotnet minver --tag-prefix v --minimum-major-minor 0.1 --verbosity error)
revision=$(git rev-parse HEAD)
echo "Mira $version of $revision"
rm -rf "$out"
mkdir -p "$out"

dotnet pack src/Mira.Client --configuration Release --output "$out" -p:Version="$version" --nologo --verbosity quiet
published=$(mktemp -d)
trap 'rm -rf "$published"' EXIT
dotnet publish src/Mira.Web --configuration Release --runtime "$runtime" --no-self-contained --output "$published" -p:Version="$version" --nologo --verbosity quiet
tar --create --gzip --file "$out/mira-$version-$runtime.tar.gz" --sort=name --owner=0 --group=0 --numeric-owner --directory "$published" .
build/sbom.sh "$out" "$version"
(cd "$out" && sha256sum -- * >SHA256SUMS)

if $with_image; then
    docker build --file build/Dockerfile --build-arg VERSION="$version" --build-arg REVISION="$revision" --tag "$image:$version" .
fi
if $push; then
    docker push "$image:$version"
    # name@sha256:… as the registry knows it.
    docker inspect --format '{{index .RepoDigests 0}}' "$image:$version" >"$out/image-digest"
    cat "$out/image-digest"
fi
ls -l "$out"
