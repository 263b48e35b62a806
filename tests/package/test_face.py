"""The face: how many names there are, how results look, and what a misspelt option says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import demo
from negmine.errors import NegmineTypeError

ROOT = Path(__file__).parents[2]
CORPUS = np.eye(40, 8, dtype=np.float32) + np.arange(320, dtype=np.float32).reshape(40, 8) / 1000


def test_the_package_hands_out_at_most_thirty_names() -> None:
    assert len([name for name in negmine.__all__ if name != "__version__"]) <= 30


def test_rooms_are_attributes_and_nothing_else_is() -> None:
    code = (
        "import sys, negmine; assert 'negmine.batches' not in sys.modules; print(negmine.batches.cluster_plan.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "cluster_plan\n"
    with pytest.raises(AttributeError, match="module 'negmine' has no attribute 'no_such_room'"):
        negmine.no_such_room  # noqa: B018


def results() -> dict[str, Any]:
    """Make one result of every kind."""
    positives = [[row] for row in range(20)]
    index = negmine.ExactIndex(CORPUS, ids=[f"d{row}" for row in range(40)])
    miner = negmine.HardNegativeMiner(3, range_max=9)
    pool = miner.candidates(index, CORPUS[:20], positives)
    negatives = miner.select(pool)
    clusters = negmine.balanced_clusters(CORPUS, n_clusters=4)
    return {
        "index": index,
        "miner": miner,
        "pool": pool,
        "sources": negmine.fuse([pool, pool]).sources,
        "negatives": negatives,
        "report": negatives.report,
        "issues": negatives.label_issues(),
        "top": index.search(CORPUS, 5),
        "plan": index.plan(100, 10),
        "sweep": miner.sweep(index, CORPUS[:20], positives, [0.0, 0.1]),
        "positives": negmine.Positives.from_lists(positives),
        "eligibility": negmine.Eligibility.equal(np.arange(40), np.arange(20)),
        "clusters": clusters,
        "duplicates": negmine.near_duplicates(embeddings=CORPUS, threshold=0.9),
        "batches": negmine.batches.cluster_plan(clusters, batch_size=10),
        "classes": negmine.batches.class_balanced_plan([0, 0, 1, 1], batch_size=4, per_class=2),
        "mixture": negmine.batches.mixture_plan([40, 20], batch_size=4),
        "no duplicates": negmine.batches.no_duplicate_plan(range(20), range(20), batch_size=4),
        "verification": negmine.verify(CORPUS, CORPUS, index.search(CORPUS, 5).indices, 5),
        "demo": demo.load(),
        "selected": negmine.selection.select(3, embeddings=CORPUS, diversity=0.5),
        "kept": negmine.selection.keep(CORPUS[:, 0], share=0.5),
        "synthetic": negmine.synthesis.oversample(CORPUS, np.arange(len(CORPUS)) % 3 // 2),
        "moved": negmine.synthesis.move(CORPUS, CORPUS[0], angle=0.1),
        "packed": negmine.context.pack_context(3, [1, 2], 3),
        "minhash": negmine.MinHash(16),
        "simhash": negmine.SimHash(dim=8),
    }


@pytest.mark.parametrize("kind", results())
def test_a_result_shows_itself_in_one_line(kind: str) -> None:
    shown = repr(results()[kind])
    assert "\n" not in shown
    assert len(shown) <= 300
    assert shown.startswith(type(results()[kind]).__name__)


def test_reports_and_sweeps_print_as_tables() -> None:
    made = results()
    assert str(made["report"]).startswith("20 rows x 40 documents = 800 pairs\n")
    lines = str(made["sweep"]).split("\n")
    assert lines[0].split() == ["relative", "margin", "hardness", "per", "row", "rejected", "short", "censored"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "0.1"]


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("relative_margn", "Did you mean 'relative_margin'?"),
        ("num_negative", "Did you mean 'num_negatives'?"),
        ("margin", "Did you mean 'relative_margin' or 'absolute_margin'?"),
        ("sampling_strategy", "Did you mean 'sampling'?"),
        ("faiss_batch_size", "Did you mean 'memory_limit'?"),
        ("random_state", "Did you mean 'seed'?"),
        ("ids", "Did you mean 'document_ids'?"),
        ("query_id", "Did you mean 'query_ids'?"),
    ],
)
def test_a_misspelt_or_foreign_option_is_answered_with_what_was_meant(option: str, meant: str) -> None:
    with pytest.raises(NegmineTypeError) as caught:
        negmine.mine(CORPUS[:3], CORPUS, [[0], [1], [2]], **{option: 1})  # type: ignore[arg-type]
    assert str(caught.value).startswith(
        f"`mine` has no option {option!r}. {meant} It has absolute_floor, absolute_margin, "
    )


def test_an_option_like_no_other_is_answered_with_the_list() -> None:
    with pytest.raises(
        NegmineTypeError, match=r"`search` has no option 'xyzzy'\. It has dtype, eligible, exclude, k, "
    ):
        negmine.ExactIndex(CORPUS).search(CORPUS, 1, xyzzy=1)  # type: ignore[call-arg]


def test_a_type_checker_sees_a_misspelt_option(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, negmine\n"
        "rows = np.eye(3, dtype=np.float32)\n"
        "negmine.mine(rows, rows, [0, 1, 2], num_negatives=1, relative_margin=0.1, memory_limit=10**9)\n"
        "negmine.mine(rows, rows, [0, 1, 2], relative_margn=0.1)\n"
        "negmine.HardNegativeMiner(2).mine(negmine.ExactIndex(rows), rows, [0, 1, 2], exclude_slef=True)\n"
        "negmine.mine_to('job', rows, rows, [0, 1, 2], num_negativs=3)\n"
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        "",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(script),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    lines = [line for line in done.stdout.splitlines() if "script.py" in line and "error" in line]
    assert [line.split(":")[1] for line in lines] == ["4", "5", "6"], done.stdout + done.stderr
    assert 'Unexpected keyword argument "relative_margn" for "mine"' in lines[0]


def test_the_shortest_call_takes_one_positive_per_query() -> None:
    lists = negmine.mine(CORPUS[:4], CORPUS, [[3], [2], [1], [0]])
    for positives in ([3, 2, 1, 0], (3, 2, 1, 0), np.array([3, 2, 1, 0]), np.array([3, 2, 1, 0], np.uint8)):
        np.testing.assert_array_equal(negmine.mine(CORPUS[:4], CORPUS, positives).indices, lists.indices)


def test_mine_obeys_a_memory_limit() -> None:
    with pytest.raises(negmine.errors.MemoryLimitError, match="`memory_limit` must be at least"):
        negmine.mine(CORPUS[:4], CORPUS, [0, 1, 2, 3], memory_limit=1)
    limited = negmine.mine(CORPUS[:4], CORPUS, [0, 1, 2, 3], memory_limit=6 << 20)
    np.testing.assert_array_equal(limited.indices, negmine.mine(CORPUS[:4], CORPUS, [0, 1, 2, 3]).indices)
