#!/bin/sh
# One layer of a stage's image. The Dockerfiles mount it, pip and the requirements at /tools.
#
#   install.sh wheel DIR          build the wheel of the sources in /src
#   install.sh core               what all stages need, so that their images share this layer
#   install.sh extra STAGE        what this stage needs beyond it, and kfp's executor
#   install.sh audiostyle DIR     the wheel
set -eu

# A site's own index and certificates, for this step only; see deploy/README.md.
if [ -f /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
export PIP_CONSTRAINT=/tools/constraints.txt PIP_FIND_LINKS=/tools/wheels
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

install() {
    /tools/bin/pip --python /opt/venv/bin/python install "$@"
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

case $1 in
wheel)
    /tools/bin/pip wheel --no-deps --wheel-dir "$2" /src
    ;;
core)
    python3 -m venv --without-pip /opt/venv
    # PyTorch's index gives torch alone (--no-deps); the rest comes from where all else comes from.
    install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
    # A fifth of it is headers and test programs, of no use where there is no compiler.
    torch=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch
    rm -rf "$torch/include" "$torch/test"
    find "$torch/bin" -type f ! -name torch_shm_manager -delete
    install_listed project dependencies
    ;;
extra)
    install_listed project optional-dependencies "$2"
    # kfp.dsl.executor_main, which runs a task in its container, imports none of kfp's dependencies.
    install --no-deps kfp
    ;;
audiostyle)
    install --no-deps "$2"/audiostyle-*.whl
    ;;
*)
    echo "install.sh: unknown step '$1'" >&2
    exit 2
    ;;
esac
