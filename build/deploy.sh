#!/usr/bin/env bash
# Applies an overlay of build/k8s, waits for the rollout and tries it. When either fails, it goes back to what ran before, and fails.
#
#   build/deploy.sh single|production [--image NAME:TAG | --image NAME@sha256:…] [--dry-run]
#
# MIRA_SMOKE_URL   where the smoke test calls Mira; without it through `kubectl port-forward`
# MIRA_SMOKE_KEY   a key for the smoke test
# MIRA_ROLLOUT     how long a rollout may take, default 10m
# It needs kubectl 1.27 or newer with access to the cluster, and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { echo "usage: build/deploy.sh single|production [--image IMAGE] [--dry-run]" >&2; exit 2; }

overlay=${1:-}
[[ $overlay == single || $overlay == production ]] || usage
shift
image='' dry_run=false
while (($# > 0)); do
    case $1 in
        --image) image=${2:-}; [[ -n $image ]] || usage; shift ;;
        --dry-run) dry_run=true ;;
        *) usage ;;
    esac
    shift
done
timeout=${MIRA_ROLLOUT:-10m}
name=ghcr.io/mira/mira
mira=(kubectl --namespace mira)

# Another image is another kustomization on top, so that no file of the repository changes.
target=build/k8s/overlays/$overlay
if [[ -n $image ]]; then
    target=artifacts/deploy
    mkdir -p "$target"
    case $image in
        *@sha256:*) newest="digest: ${image#*@}"; image=${image%@*} ;;
        *:*) newest="newTag: \"${image##*:}\""; image=${image%:*} ;;
        *) usage ;;
    esac
    cat >"$target/kustomization.yaml" <<TEXT
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../build/k8s/overlays/$overlay
images:
  - name: $name
    newName: $image
    $newest
TEXT
fi

if $dry_run; then
    exec kubectl kustomize "$target"
fi

# Empty before the first deployment, which nothing can be undone to.
before=$("${mira[@]}" get deployment mira --ignore-not-found --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}')

undo() {
    echo "deploy.sh: $1" >&2
    "${mira[@]}" get pods --output wide >&2 || true
    if [[ -z $before ]]; then
        echo "deploy.sh: this was the first deployment: there is nothing to go back to" >&2
    else
        "${mira[@]}" rollout undo deployment/mira --to-revision="$before" >&2
        "${mira[@]}" rollout status deployment/mira --timeout="$timeout" >&2
        echo "deploy.sh: revision $before runs again" >&2
    fi
    exit 1
}

forward=''
stop_forward() { [[ -z $forward ]] || kill "$forward" 2>/dev/null || true; }
trap stop_forward EXIT

smoke() {
    local url=${MIRA_SMOKE_URL:-}
    if [[ -z $url ]]; then
        "${mira[@]}" port-forward service/mira 15000:80 >/dev/null &
        forward=$!
        url=http://127.0.0.1:15000
    fi
    build/smoke.sh "$url"
}

kubectl apply -k "$target"
"${mira[@]}" rollout status deployment/mira --timeout="$timeout" || undo "the rollout did not end within $timeout"
smoke || undo "the smoke test failed"
echo "deploy.sh: $overlay runs"
