#!/usr/bin/env bash
# Build a wheel of a release and check it.
#
#     scripts/wheel.sh [FOLDER] [OPTIONS OF MATURIN ...]
#
# FOLDER is `dist` by default. On Linux the wheel is for manylinux_2_17 (glibc 2.17 of 2012) or later, linked by Zig,
# which has the symbols of every glibc. An interpreter with the GIL gives the abi3 wheel for Python 3.11 and later, a
# free-threaded one (3.14t and later) a wheel for its version alone. PYTHON is the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=${1:-dist}
shift || true
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bin=bin
if [[ ${OS:-} = Windows_NT ]]; then bin=Scripts; fi

"$python" -m venv "$scratch/tools"
"$scratch/tools/$bin/python" -m pip install --quiet 'maturin>=1.14,<2' abi3audit pyelftools ziglang
export PATH=$scratch/tools/$bin:$PATH

if [[ $(uname -s) = Linux ]]; then set -- --zig --compatibility manylinux_2_17 "$@"; fi
maturin build --release --locked --interpreter "$python" --out "$folder" "$@"
python scripts/check_distributions.py "$folder"/negmine-*.whl
