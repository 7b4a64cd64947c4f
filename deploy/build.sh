#!/bin/sh
# Builds the images of the stages with plain `docker build` and prints their names and sizes.
#
#   deploy/build.sh [--push] [STAGE…]        all four stages unless named; mlflow is the server's
#
# --push also pushes them and writes their digests to deploy/images.lock.yaml.
# Settings are environment variables; deploy/README.md explains them:
#   IMAGE_PREFIX  BASE_IMAGE  TORCH_INDEX  TAG_SUFFIX  PIP_CONF  CA_BUNDLE  BUILD_NETWORK  DOCKER
set -eu
cd "$(dirname "$0")/.."

push=
if [ "${1-}" = --push ]; then push=yes && shift; fi
# Names of stages, as the rows of the table say them.
[ $# -gt 0 ] || set -- $(sed -n 's/^    "\([a-z]*\)": Stage(.*/\1/p' audiostyle/stages.py)

docker=$(deploy/docker-client.sh)
if ! "$docker" info >/dev/null 2>&1; then
    echo "images: no Docker daemon answers; start it (systemctl start docker), or be in its group" >&2
    exit 1
fi
lock=deploy/images.lock.yaml
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git rev-parse --verify --quiet HEAD 2>/dev/null || true)

dockerfile() { # of a stage, or of the server
    if [ "$1" = mlflow ]; then echo deploy/mlflow/Dockerfile; else echo deploy/Dockerfile; fi
}

build() { # the stage, then the name of its image
    # Unset settings are left out, so that the Dockerfile's own defaults hold.
    DOCKER_BUILDKIT=1 "$docker" build --file "$(dockerfile "$1")" --tag "$2" \
        --build-arg STAGE="$1" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        ${BASE_IMAGE:+--build-arg BASE_IMAGE="$BASE_IMAGE"} \
        ${TORCH_INDEX+--build-arg TORCH_INDEX="$TORCH_INDEX"} \
        ${PIP_CONF:+--secret id=pip_conf,src="$PIP_CONF"} \
        ${CA_BUNDLE:+--secret id=ca,src="$CA_BUNDLE"} \
        ${BUILD_NETWORK:+--network "$BUILD_NETWORK"} \
        .
}

digest() { # the name that the registry gave the image, by digest
    "$docker" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" |
        grep "^${1%:*}@" | head -n 1
}

keep() { # write stage $1's image $2 to the lock file, other stages' lines kept
    touch "$lock"
    { grep -v -e "^$1:" -e '^#' "$lock" || true; echo "$1: $2"; } | sort >"$lock.new"
    { echo "# Written by deploy/build.sh --push; read by pipeline/images.py."; cat "$lock.new"; } >"$lock"
    rm "$lock.new"
}

for stage in "$@"; do
    image=${IMAGE_PREFIX:-audiostyle}/$stage:$version${TAG_SUFFIX-}
    build "$stage" "$image" >&2
    if [ -n "$push" ]; then
        "$docker" push "$image" >&2
        keep "$stage" "$(digest "$image")"
    fi
    "$docker" image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' "$image"
done
