#!/usr/bin/env bash
# Uses a wheel in a fresh environment that holds NumPy and nothing else.
#
#     scripts/clean_environment.sh [WHEEL]
#
# Without WHEEL one is built first, for this machine. PYTHON is the interpreter of the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
wheel=${1:-}
bin=bin
if [[ ${OS:-} = Windows_NT ]]; then bin=Scripts; fi
if [[ -z $wheel ]]; then
    "$python" -m venv "$scratch/build"
    "$scratch/build/$bin/python" -m pip install --quiet 'maturin>=1.14,<2'
    "$scratch/build/$bin/maturin" build --quiet --release --out "$scratch/dist"
    wheel=$(echo "$scratch"/dist/negmine-*.whl)
fi
"$python" -m venv "$scratch/use"
"$scratch/use/$bin/python" -m pip install --quiet "$wheel"
smoke=$PWD/scripts/smoke.py
cd "$scratch"
"use/$bin/python" "$smoke"
