#!/usr/bin/env bash
# Applies the change of docs/extend/policy.md to a clone of the last commit, builds it, and runs the tests of policies.
# PYTHON (default: python) needs the packages of the tests. CARGO_TARGET_DIR, if set, holds dependencies that are built.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$scratch/target}")
export CARGO_TARGET_DIR

git clone --quiet "$root" "$scratch/negmine"
cd "$scratch/negmine"
sed -n '/^```diff$/,/^```$/p' docs/extend/policy.md | sed '1d;$d' | git apply
PYO3_BUILD_EXTENSION_MODULE=1 cargo build --quiet -p negmine-python
cp "$CARGO_TARGET_DIR/debug/lib_native.so" python/negmine/_native.abi3.so
PYTHONPATH=$PWD/python "$python" -m pytest -q -p no:cacheprovider tests/mining/test_policy_near.py tests/mining/test_policies.py
