"""Use an installed negmine in an environment that holds NumPy and nothing else."""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from pathlib import Path

import numpy as np

import negmine

packages = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
assert packages <= {"negmine", "numpy", "pip", "setuptools"}, packages
corpus = np.random.default_rng(0).standard_normal((500, 32), dtype=np.float32)
found = negmine.mine(corpus[:20], corpus, [[i] for i in range(20)], num_negatives=3, relative_margin=0.05)
assert (found.counts == 3).all()
assert not (found.indices == np.arange(20)[:, None]).any()
assert not {"torch", "pyarrow", "pandas"} & set(sys.modules)
# Large enough for the free memory to be looked up first, which every system says in its own way.
everything = negmine.ExactIndex(corpus).search(np.tile(corpus, (6, 1)), 500)
assert (everything.indices[:500, 0] == np.arange(500)).all()
assert everything.indices.nbytes + everything.scores.nbytes > 1 << 24
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "negatives.npz")
    found.save(path)
    loaded = negmine.HardNegatives.load(path)
assert (loaded.indices == found.indices).all()
assert (loaded.scores == found.scores).all()
assert {"page.html", "page.css", "main.js"} <= {
    path.name for path in Path(negmine.inspect.__path__[0], "assets").iterdir()
}
missing = ""
try:
    import negmine.torch
except negmine.errors.MissingExtraError as error:
    missing = str(error)
assert "negmine[torch]" in missing, missing
print("clean environment:", sys.version.split()[0], negmine.build_info())
