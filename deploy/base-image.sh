#!/bin/sh
# Makes a base image where no image registry can be reached: Debian bookworm with its Python 3.11.
#
#   deploy/base-image.sh [NAME [MIRROR [SECURITY_MIRROR]]]
#
# NAME is what BASE_IMAGE is set to afterwards. The mirrors are Debian's own unless given; an empty
# SECURITY_MIRROR ('') leaves the security updates out. Needs root, debootstrap and a Docker daemon.
set -eu

name=${1:-audiostyle/base:bookworm}
mirror=${2:-http://deb.debian.org/debian}
security=${3-http://deb.debian.org/debian-security}
docker=${DOCKER:-docker}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# python3-venv carries the pip that fills the images; the images themselves hold no pip.
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
    bookworm "$root" "$mirror" >&2

if [ -n "$security" ]; then
    echo "deb $security bookworm-security main" >"$root/etc/apt/sources.list.d/security.list"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" apt-get -qq update >&2
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -qqy upgrade >&2
fi

# The mirrors are the site's business and stay out of the image; licenses stay in.
: >"$root/etc/apt/sources.list"
rm -rf "$root"/etc/apt/sources.list.d/* "$root"/etc/resolv.conf \
    "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale
find "$root/usr/share/doc" -type f ! -name copyright -delete

tar -C "$root" --numeric-owner -c . |
    "$docker" import --change 'CMD ["python3"]' --message 'debootstrap bookworm' - "$name" >&2
"$docker" image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' "$name"
