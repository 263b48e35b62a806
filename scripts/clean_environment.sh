#!/usr/bin/env bash
# Builds the wheel and uses it in a fresh environment that holds NumPy and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/build"
"$scratch/build/bin/pip" install --quiet 'maturin>=1.14,<2'
"$scratch/build/bin/maturin" build --quiet --release --out "$scratch/dist"
python3 -m venv "$scratch/use"
"$scratch/use/bin/pip" install --quiet "$scratch"/dist/negmine-*.whl
cd "$scratch"
use/bin/python - <<'PYTHON'
import importlib.metadata
import sys
from pathlib import Path

import numpy as np

import negmine

packages = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
assert packages <= {"negmine", "numpy", "pip", "setuptools"}, packages
corpus = np.random.default_rng(0).standard_normal((500, 32), dtype=np.float32)
found = negmine.mine(corpus[:20], corpus, [[i] for i in range(20)], num_negatives=3, relative_margin=0.05)
assert (found.counts == 3).all() and not (found.indices == np.arange(20)[:, None]).any()
assert not {"torch", "pyarrow", "pandas"} & set(sys.modules)
assert {"page.html", "page.css", "main.js"} <= {path.name for path in Path(negmine.inspect.__path__[0], "assets").iterdir()}
try:
    import negmine.torch
except negmine.errors.MissingExtraError as error:
    assert "negmine[torch]" in str(error), error
else:
    raise AssertionError("there should be no torch")
print("clean environment:", negmine.build_info())
PYTHON
