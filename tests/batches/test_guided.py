"""In-batch false negatives by the scores of a guide."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_guard
from negmine import Positives
from negmine.batches import false_negative_mask, guided, guided_mask, guided_pairs

BLOCKS = list(guided.BLOCKS)


def dense(pairs: tuple[Any, Any], n_columns: int) -> np.ndarray:
    """Return the mask that sparse lists stand for; columns must be in ascending order."""
    offsets, columns = pairs
    mask = np.zeros((len(offsets) - 1, n_columns), dtype=bool)
    for row, (begin, end) in enumerate(itertools.pairwise(offsets)):
        assert (np.diff(columns[begin:end]) > 0).all()
        mask[row, columns[begin:end]] = True
    return mask


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """A batch of small integers, in which equal scores are common."""
    n_documents = draw(st.integers(1, 12))
    vector = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    documents = draw(st.lists(vector, min_size=n_documents, max_size=n_documents))
    target = draw(st.lists(st.integers(0, n_documents - 1), max_size=9))
    queries = draw(st.lists(vector, min_size=len(target), max_size=len(target)))
    return {
        "queries": np.array(queries, dtype=np.float32).reshape(-1, 3),
        "documents": np.array(documents, dtype=np.float32),
        "target": target,
        "kind": draw(st.sampled_from(["absolute", "relative"])),
        "margin": draw(st.sampled_from([0.0, 0.05, 0.5, 1.0, 3.0])),
        "block": draw(st.sampled_from(BLOCKS)),
        "metric": draw(st.sampled_from(["cosine", "ip", "l2"])),
    }


@given(batch=batches(), at_once=st.integers(1, 30), depth=st.integers(1, 4))
def test_masks_and_lists_are_those_of_the_oracle(batch: dict[str, Any], at_once: int, depth: int) -> None:
    queries, documents, target = batch.pop("queries"), batch.pop("documents"), batch.pop("target")
    expected = np.array(oracle_guard.guided(queries, documents, target, **batch), dtype=bool)
    n_columns = len(queries) if batch["block"] == "query-query" else len(documents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guided, "AT_ONCE", at_once)
        patch.setattr(guided, "FIRST_DEPTH", depth)
        mask = guided_mask(queries, documents, target=target, **batch)
        pairs = guided_pairs(queries, documents, target=target, **batch)
    assert mask.tolist() == expected.reshape(len(target), n_columns).tolist()
    assert dense(pairs, n_columns).tolist() == mask.tolist()


@pytest.mark.parametrize(
    ("kind", "margin", "keeps"),
    [
        ("absolute", 0.0, ["100101", "111000"]),
        ("absolute", 0.1, ["100100", "111000"]),
        ("relative", 0.05, ["100101", "111000"]),
    ],
)
def test_the_golden_batch(kind: Any, margin: float, keeps: list[str]) -> None:
    """Scores of the guide: labeled .8 and .7, other documents .85 and .3, queries .4, documents .75."""
    gram = np.array([[3.0, 0.4, 0.8, 0.85], [0.4, 3.0, 0.3, 0.7], [0.8, 0.3, 3.0, 0.75], [0.85, 0.7, 0.75, 3.0]])
    # Inner products, because unit vectors with these scores need not exist; the diagonals are masked in any case.
    rows = np.linalg.cholesky(gram)
    options: dict[str, Any] = {"kind": kind, "margin": margin, "metric": "ip"}
    kept = ~np.concatenate([guided_mask(rows[:2], rows[2:], block=block, **options) for block in guided.BLOCKS], axis=1)  # type: ignore[arg-type]
    assert ["".join(map(str, row)) for row in kept.astype(int).tolist()] == keeps


def test_copies_of_the_target_are_kept_and_the_mask_by_ids_has_them() -> None:
    queries = np.random.default_rng(0).standard_normal((64, 24)).astype(np.float32)
    documents = (queries + np.random.default_rng(1).standard_normal((64, 24))).astype(np.float32)
    documents = np.concatenate([documents, documents])
    copies = np.arange(64) + 64
    mask = guided_mask(queries, documents)
    assert int((~mask[np.arange(64), copies]).sum()) == 64
    by_ids = false_negative_mask(
        np.arange(64), np.tile(np.arange(64), 2), Positives.from_lists([[i] for i in range(64)])
    )
    by_ids[np.arange(64), np.arange(64)] = False
    assert (mask | by_ids)[np.arange(64), copies].all()
    assert guided_mask(queries, documents, margin=1e-9)[np.arange(64), copies].all()


def test_a_larger_margin_never_keeps_more_and_a_relative_one_lowers_negative_limits() -> None:
    draw = np.random.default_rng(2)
    queries, documents = draw.standard_normal((2, 30, 5)).astype(np.float32)
    for kind in ("absolute", "relative"):
        masks = [guided_mask(queries, documents, kind=kind, margin=margin) for margin in (0.0, 0.1, 0.2, 0.4)]  # type: ignore[arg-type]
        assert all((low <= high).all() for low, high in itertools.pairwise(masks))
        assert masks[0].sum() < masks[-1].sum()
    # The target scores -1, the other document -1.04: above -1 - 1 * 0.05, but not above -1 * (1 - 0.05).
    found = guided_mask(np.array([[1.0]]), np.array([[-1.0], [-1.04]]), kind="relative", margin=0.05, metric="ip")
    assert found.tolist() == [[False, True]]


def test_a_guide_that_scores_relevant_documents_above_the_target_gives_the_mask_by_ids() -> None:
    draw = np.random.default_rng(3)
    relevant = draw.random((40, 40)) < 0.1
    np.fill_diagonal(relevant, True)
    scores = np.where(relevant, 0.9, draw.uniform(0.0, 0.7, (40, 40)))
    np.fill_diagonal(scores, 0.8)
    by_ids = false_negative_mask(
        np.arange(40), np.arange(40), Positives.from_lists([np.flatnonzero(row) for row in relevant])
    )
    np.fill_diagonal(by_ids, False)
    assert guided_mask(scores, np.eye(40), metric="ip").tolist() == by_ids.tolist()


def test_lists_do_not_depend_on_threads_or_element_types() -> None:
    draw = np.random.default_rng(4)
    queries, documents = draw.integers(-3, 4, (2, 300, 7)).astype(np.int8)
    expected = guided_pairs(queries, documents, margin=0.1, num_threads=1)
    for dtype in ("float32", "float16", "float64"):
        found = guided_pairs(queries.astype(dtype), documents.astype(dtype), margin=0.1, num_threads=3)
        assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    assert len(expected[1]) > 300
