#!/bin/sh
# One layer of a stage's image. The Dockerfiles mount it, pip and the lock at /tools.
#
#   install.sh setuptools         what builds the wheel, beside pip
#   install.sh wheel DIR          build the wheel of the sources in /src
#   install.sh core               what all stages need, so that their images share this layer
#   install.sh extra STAGE        what this stage needs beyond it
#   install.sh audiostyle DIR     the wheel
#   install.sh server             the MLflow server and its drivers, alone
#
# Nothing gets in but the files of requirements.lock, by hash, and the wheel of the sources.
set -eu

# A site's own index and certificates, for this step only; see deploy/README.md.
if [ -f /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
export PIP_FIND_LINKS=/tools/wheels
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

install_locked() { # of a Python, what a step installs; further arguments are pip's
    python=$1 listed=$(sh /tools/locked.sh "$2")
    shift 2
    # Source distributions are refused, too: pip would build them with what no hash is known of.
    echo "$listed" | /tools/bin/pip --python "$python" install --no-deps --require-hashes \
        --only-binary :all: "$@" --requirement /dev/stdin
}

site() { # where packages are
    /opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# librosa compiles as it is imported, 12 to 20 s of a core; numba_cache.py says how this spares them.
warm_numba() {
    # numba knows a source by its time, of which an image that was pushed keeps whole seconds only.
    find "$(site)/librosa" -name '*.py' -exec sh -c \
        'for file; do touch --date="@$(stat --format=%Y "$file")" "$file"; done' sh {} +
    NUMBA_CACHE_DIR=/opt/numba-cache /opt/venv/bin/python -c '
import numpy as np, librosa
librosa.feature.melspectrogram(y=np.ones(22050, np.float32), sr=22050)'
    chmod -R a+rX /opt/numba-cache
}

case $1 in
setuptools)
    install_locked /tools/bin/python wheel
    ;;
wheel)
    /tools/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir "$2" /src
    ;;
core)
    python3 -m venv --without-pip /opt/venv
    # PyTorch's index gives torch alone; the rest comes from where all else comes from. Told to take
    # the wheel at hand, pip would still take the index's build, whose hash it knows beforehand.
    if [ -z "${TORCH_INDEX-}" ] && ls /tools/wheels/torch-*.whl >/dev/null 2>&1; then
        install_locked /opt/venv/bin/python torch --no-index
    else
        install_locked /opt/venv/bin/python torch ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
    fi
    # A fifth of it is headers and test programs, of no use where there is no compiler.
    torch=$(site)/torch
    rm -rf "$torch/include" "$torch/test"
    find "$torch/bin" -type f ! -name torch_shm_manager -delete
    # A build for CUDA says which libraries it wants.
    if grep -q '^Requires-Dist: nvidia-' "$torch"-*.dist-info/METADATA; then
        install_locked /opt/venv/bin/python cuda
    fi
    install_locked /opt/venv/bin/python core
    ;;
extra)
    install_locked /opt/venv/bin/python "$2"
    cp /tools/numba_cache.py "$(site)"
    if [ -d "$(site)/librosa" ]; then warm_numba; fi
    ;;
server)
    python3 -m venv --without-pip /opt/venv
    install_locked /opt/venv/bin/python server
    ;;
audiostyle)
    /tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index "$2"/audiostyle-*.whl
    ;;
*)
    echo "install.sh: unknown step '$1'" >&2
    exit 2
    ;;
esac
