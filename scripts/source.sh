#!/usr/bin/env bash
# Build the source distribution of a release and check what is in it.
#
#     scripts/source.sh [FOLDER]
#
# FOLDER is `dist` by default; PYTHON is the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-dist}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/tools"
"$scratch/tools/bin/python" -m pip install --quiet 'maturin>=1.14,<2' pyelftools
"$scratch/tools/bin/maturin" sdist --out "$folder"
"$scratch/tools/bin/python" scripts/check_distributions.py "$folder"/negmine-*.tar.gz
