#!/usr/bin/env bash
# Replays docs/tutorial.md from an empty environment: installs what it says, and compares all that its snippets print.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
unset PYTHONPATH
"$scratch/venv/bin/python" scripts/replay.py --environment docs/tutorial.md
