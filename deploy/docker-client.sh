#!/bin/sh
# Prints the Docker client to build with: DOCKER, or the first on the PATH that has BuildKit, by its
# plugin buildx or, as Debian's, by itself. Ends with 1 and says what is missing where there is none.
set -eu

can_build() { # the Dockerfiles need BuildKit: secrets and mounts at a build
    DOCKER_BUILDKIT=1 "$1" build --help 2>/dev/null | grep -q -e --secret
}

if [ -n "${DOCKER-}" ]; then
    if can_build "$DOCKER"; then echo "$DOCKER" && exit 0; fi
    echo "images: DOCKER=$DOCKER cannot build images with BuildKit; install its plugin buildx" \
        "(docker-buildx-plugin), or name another client" >&2
    exit 1
fi
seen=
IFS=:
for folder in $PATH; do
    client=${folder:-.}/docker
    [ -x "$client" ] && [ -f "$client" ] || continue
    if can_build "$client"; then echo "$client" && exit 0; fi
    seen="$seen $client"
done
if [ -n "$seen" ]; then
    echo "images:$seen cannot build images with BuildKit; install Docker's plugin buildx" \
        "(docker-buildx-plugin), or name another client by DOCKER" >&2
else
    echo "images: there is no Docker; install it (docs.docker.com/engine/install), with its plugin" \
        "buildx. Without it, everything but \`--runner docker\` and a cluster works" >&2
fi
exit 1
