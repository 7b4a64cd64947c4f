#!/bin/sh
# One layer of a stage's image. The Dockerfiles mount it, pip and the requirements at /tools.
#
#   install.sh wheel DIR          build the wheel of the sources in /src
#   install.sh core               what all stages need, so that their images share this layer
#   install.sh extra STAGE        what this stage needs beyond it, and kfp's executor
#   install.sh audiostyle DIR     the wheel
#   install.sh server             the MLflow server and its drivers, alone
set -eu

# A site's own index and certificates, for this step only; see deploy/README.md.
if [ -f /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
export PIP_CONSTRAINT=/tools/constraints.txt PIP_FIND_LINKS=/tools/wheels
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

install() {
    /tools/bin/pip --python /opt/venv/bin/python install "$@"
}

site() { # where packages are
    /opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

install_listed() { # what pyproject.toml lists at this path, e.g. project dependencies
    listed=$(python3 - "$@" <<'PYTHON'
import pathlib, sys, tomllib

found = tomllib.loads(pathlib.Path("/tools/pyproject.toml").read_text())
for key in sys.argv[1:]:
    found = found[key]
print(*found, sep="\n")
PYTHON
    )
    echo "$listed" | install --requirement /dev/stdin
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
wheel)
    /tools/bin/pip wheel --no-deps --wheel-dir "$2" /src
    ;;
core)
    python3 -m venv --without-pip /opt/venv
    # PyTorch's index gives torch alone (--no-deps); the rest comes from where all else comes from.
    install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
    # A fifth of it is headers and test programs, of no use where there is no compiler.
    torch=$(site)/torch
    rm -rf "$torch/include" "$torch/test"
    find "$torch/bin" -type f ! -name torch_shm_manager -delete
    install_listed project dependencies
    ;;
extra)
    install_listed project optional-dependencies "$2"
    # kfp.dsl.executor_main, which runs a task in its container, imports none of kfp's dependencies.
    install --no-deps kfp
    cp /tools/numba_cache.py "$(site)"
    if [ -d "$(site)/librosa" ]; then warm_numba; fi
    ;;
server)
    python3 -m venv --without-pip /opt/venv
    install_listed project optional-dependencies server
    ;;
audiostyle)
    install --no-deps "$2"/audiostyle-*.whl
    ;;
*)
    echo "install.sh: unknown step '$1'" >&2
    exit 2
    ;;
esac
