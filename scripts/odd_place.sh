#!/usr/bin/env bash
# Run the Python tests where paths hold spaces and non-ASCII letters, and where Ctrl-C is ignored, as `nohup` and
# background shells start their children.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
place="$scratch/straße mit Lücken"
git clone --quiet . "$place"
cp python/negmine/_native.abi3.so "$place/python/negmine/"
cd "$place"
trap '' INT
PYTHONPATH="$PWD/python" "${PYTHON:-python}" -m pytest -q -p no:cacheprovider "$@"
