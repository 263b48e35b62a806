"""The recipes for Slurm and Spark give the results of one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import negmine
from jobs import files
from negmine.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "clusters"


def write_problem(folder: Path, n_queries: int) -> None:
    draw = np.random.default_rng(0)
    np.save(folder / "queries.npy", draw.normal(size=(n_queries, 16)).astype(np.float32))
    np.save(folder / "corpus.npy", draw.normal(size=(500, 16)).astype(np.float32))
    positives = draw.integers(500, size=n_queries)
    np.save(folder / "positives.npy", positives)
    lines = [f"{query}\t{document}\t1\n" for query, document in enumerate(positives)]
    (folder / "positives.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *lines]))


def test_a_slurm_array_writes_the_job_of_one_process(tmp_path: Path) -> None:
    write_problem(tmp_path, 100)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "negmine"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m negmine "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    given = [f"--{name}={tmp_path / name}.npy" for name in ("queries", "corpus")]
    given += [f"--positives={tmp_path / 'positives.tsv'}", "--tile-queries=16"]
    for task in (1, 0):
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1"}
        subprocess.run([EXAMPLES / "slurm.sh", tmp_path / "out", *given], env=environment | array, check=True)
    subprocess.run([EXAMPLES / "slurm.sh", tmp_path / "out"], env=environment, check=True)
    assert main(["mine", *given, "--job", str(tmp_path / "one"), "--num-threads=1"]) == 0
    assert files(tmp_path / "out" / "all") == files(tmp_path / "one")


@pytest.mark.slow
def test_spark_writes_the_rows_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    import pyarrow.parquet as pq

    write_problem(tmp_path, 20_000)
    queries, corpus, positives = (np.load(tmp_path / f"{name}.npy") for name in ("queries", "corpus", "positives"))
    expected = negmine.mine(queries, corpus, positives, relative_margin=0.05)
    paths = [str(tmp_path / f"{name}.npy") for name in ("queries", "corpus", "positives")]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    subprocess.run([sys.executable, EXAMPLES / "spark.py", *paths, str(tmp_path / "out")], env=environment, check=True)
    found = pq.read_table(tmp_path / "out").sort_by("query_index")
    assert found["query_index"].to_pylist() == list(range(20_000))
    rows = found["negative_indices"].to_pylist()
    assert rows == [row[:count].tolist() for row, count in zip(expected.indices, expected.counts, strict=True)]
