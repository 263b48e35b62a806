"""The public contract of candidate sources: who keeps it, and that a source that breaks any clause of it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import negmine
from negmine.search import PoolArrays, PoolRequest
from negmine.testing import DTYPES, LINES, SourceContractError, check_candidate_source


class BruteForce:
    """Inner products in float64, and every rule looked up document by document."""

    def __init__(self, documents: NDArray[np.float32], document_ids: NDArray[np.int64] | None = None) -> None:
        self.documents, self.document_ids = documents.astype(np.float64), document_ids

    def __len__(self) -> int:
        return len(self.documents)

    def score_pairs(self, queries: Any, query_indices: Any, document_indices: Any) -> NDArray[np.float64]:
        return np.einsum("nd,nd->n", np.asarray(queries, np.float64)[query_indices], self.documents[document_indices])

    def line(self, rules: Any, q: int, d: int) -> str | None:
        positives = rules.positives.items[rules.positives.offsets[q] : rules.positives.offsets[q + 1]]
        groups, eligible = rules.groups, rules.eligible
        if d in positives:
            return "positives"
        if rules.exclude and d in rules.exclude.items[rules.exclude.offsets[q] : rules.exclude.offsets[q + 1]]:
            return "excluded"
        if rules.self_rows is not None and rules.self_rows[q] == d:
            return "self"
        if groups is not None and groups[d] != -1 and groups[d] in groups[positives]:
            return "group"
        outside = eligible is not None and not eligible.admits(q, [d]).all()
        return "ineligible" if outside else None

    def candidates(self, queries: Any, request: PoolRequest, *, num_threads: Any = None, progress: Any = None) -> Any:
        rows: list[dict[str, Any]] = []
        offsets, items = request.rules.positives.offsets, request.rules.positives.items
        for q in range(len(queries)):
            scores = np.asarray(queries[q], np.float64) @ self.documents.T
            own = items[offsets[q] : offsets[q + 1]]
            each = request.reference == "each" and len(own) > 0
            reduce = {"min": np.min, "max": np.max, "mean": np.mean, "each": np.max}[request.reference]
            for p, reference in (
                zip(own, scores[own], strict=True) if each else [(-1, reduce(scores[own]) if len(own) else np.nan)]
            ):
                rows.append(self.row(request, q, p, reference, scores))
        width = request.range_max - request.range_min
        names = ("counts", "reasons", "query_indices", "positive_indices")
        names += ("reference_scores", "cap_scores", "floor_scores")
        return PoolArrays(
            indices=np.array([r["kept"] + [-1] * (width - len(r["kept"])) for r in rows]).reshape(-1, width),
            scores=np.array([r["scores"] + [-np.inf] * (width - len(r["kept"])) for r in rows]).reshape(-1, width),
            positive_scores=self.score_pairs(queries, np.repeat(np.arange(len(queries)), np.diff(offsets)), items),
            lines={line: np.array([r["lines"].count(line) for r in rows]) for line in LINES},
            **{name: np.array([r[name] for r in rows], dtype=DTYPES[name]) for name in names},
        )

    def row(self, request: PoolRequest, q: int, p: int, reference: float, scores: Any) -> dict[str, Any]:
        absolute, relative = request.absolute_margin, request.relative_margin
        floors = [-np.inf]
        floors += [] if request.min_score is None else [request.min_score]
        floors += [] if request.absolute_floor is None else [reference - request.absolute_floor]
        floors += [] if request.relative_floor is None else [reference - abs(reference) * request.relative_floor]
        caps = [(np.inf, "")]
        caps += [] if request.max_score is None else [(request.max_score, "above_max_score")]
        caps += [] if absolute is None else [(reference - absolute, "above_absolute_margin")]
        caps += [] if relative is None else [(reference - abs(reference) * relative, "above_relative_margin")]
        floor = np.nanmax(floors)
        row = {"query_indices": q, "positive_indices": p, "reference_scores": reference, "floor_scores": floor}
        if any(np.isnan(bound) for bound in [*floors, *(cap for cap, _ in caps)]):
            return row | {"cap_scores": np.nan, "counts": 0, "kept": [], "scores": [], "lines": [], "reasons": 1}
        cap, name = min(caps, key=lambda pair: pair[0])
        taken = [self.line(request.rules, q, d) or (name if scores[d] > cap else None) for d in range(len(self))]
        left = [d for d in np.lexsort((np.arange(len(self)), -scores)).tolist() if taken[d] is None]
        passing = [d for d in left if scores[d] >= floor]
        kept = passing[request.range_min : request.range_max]
        short = 5 if name in taken and name else 6 if len(left) > len(passing) else 7
        reason = 0 if len(passing) >= request.range_max else short
        values = {"kept": kept, "scores": scores[kept].tolist(), "counts": len(kept), "lines": taken}
        return row | values | {"cap_scores": cap, "reasons": reason}


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_the_exact_index_keeps_the_contract(metric: Any) -> None:
    check_candidate_source(lambda documents, ids: negmine.ExactIndex(documents, metric=metric, ids=ids))


def test_a_streamed_index_keeps_the_contract() -> None:
    check_candidate_source(lambda documents, ids: negmine.ExactIndex(documents, ids=ids, memory_limit=5 << 20))


def test_a_brute_force_source_keeps_the_contract() -> None:
    check_candidate_source(BruteForce)


def without(name: str) -> Any:
    """Make a source that does not look at one kind of rule."""

    class Forgetful(BruteForce):
        def line(self, rules: Any, q: int, d: int) -> str | None:
            found = super().line(rules, q, d)
            return None if found == name else found

    return Forgetful


def changed(change: Any) -> Any:
    """Make a source whose request or answer is changed."""

    class Changed(BruteForce):
        def candidates(self, queries: Any, request: PoolRequest, **options: Any) -> Any:
            return change(super().candidates, queries, request)

    return Changed


def edited(edit: Any) -> Any:
    """Make a source whose answer is edited."""
    return changed(lambda candidates, queries, request: edit(candidates(queries, request)))


def asked(**options: Any) -> Any:
    """Make a source that takes another option than it was given."""
    return changed(lambda candidates, queries, request: candidates(queries, replace(request, **options)))


def ties_by_higher_row(found: PoolArrays) -> PoolArrays:
    """Turn equal neighbors around."""
    indices = found.indices.copy()
    for row, scores in zip(indices, found.scores, strict=True):
        for i in range(len(row) - 1):
            if scores[i] == scores[i + 1] and np.isfinite(scores[i]):
                row[i], row[i + 1] = row[i + 1], row[i]
    return replace(found, indices=indices)


class Labeled(BruteForce):
    """Makes up labels."""

    def __init__(self, documents: Any, document_ids: Any = None) -> None:
        super().__init__(documents, np.arange(len(documents)) if document_ids is None else document_ids)


class Longer(BruteForce):
    """Counts one document too many."""

    def __len__(self) -> int:
        return len(self.documents) + 1


class Sorted(BruteForce):
    """Scores pairs in an order of its own."""

    def score_pairs(self, queries: Any, query_indices: Any, document_indices: Any) -> NDArray[np.float64]:
        order = np.lexsort((document_indices, query_indices))
        return super().score_pairs(queries, query_indices[order], document_indices[order])


BROKEN = {
    "labels are made up": (Labeled, "labels"),
    "the length is wrong": (Longer, "length"),
    "pairs are sorted": (Sorted, "scores"),
    "ties go to the higher row": (edited(ties_by_higher_row), "rank order"),
    "padding is zero": (edited(lambda f: replace(f, indices=np.maximum(f.indices, 0))), "padding"),
    "padded scores are NaN": (
        edited(lambda f: replace(f, scores=np.where(f.indices < 0, np.nan, f.scores))),
        "padding",
    ),
    "counts are the width": (edited(lambda f: replace(f, counts=np.full_like(f.counts, 6))), "counts"),
    "counts are 64 bits wide": (edited(lambda f: replace(f, counts=f.counts.astype(np.int64))), "dtypes"),
    "scores are rounded": (edited(lambda f: replace(f, scores=f.scores + 1e-9)), "scores"),
    "positives are candidates": (without("positives"), "rank order|counts"),
    "exclusions are candidates": (without("excluded"), "rank order|counts"),
    "the query is a candidate": (without("self"), "rank order|counts"),
    "groups are not looked at": (without("group"), "rank order|counts"),
    "eligibility is not looked at": (without("ineligible"), "rank order|counts"),
    "there is no highest score": (asked(max_score=None), "rank order|counts"),
    "there is no floor": (asked(min_score=None), "counts"),
    "there is no absolute margin": (asked(absolute_margin=None), "rank order|counts"),
    "there is no relative margin": (asked(relative_margin=None), "rank order|counts"),
    "the reference is the lowest": (asked(reference="min"), "shape|rank order|counts"),
    "ranks are counted from 0": (asked(range_min=0), "shape|rank order"),
    "reasons are left out": (edited(lambda f: replace(f, reasons=np.zeros_like(f.reasons))), "`reasons`"),
    "lines are left out": (
        edited(lambda f: replace(f, lines={name: 0 * line for name, line in f.lines.items()})),
        "lines",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_source_that_breaks_a_clause_fails(broken: str) -> None:
    make, clause = BROKEN[broken]
    with pytest.raises(SourceContractError, match=f"^(?:{clause})"):
        check_candidate_source(make)


def test_the_miner_takes_any_source() -> None:
    rng = np.random.default_rng(0)
    documents, queries = rng.standard_normal((60, 8)).astype(np.float32), rng.standard_normal((9, 8)).astype(np.float32)
    options = {"sampling": negmine.Softmax(0.1), "num_random": 3, "relative_margin": 0.1, "seed": 3}
    positives = [[row] for row in range(9)]
    index = negmine.ExactIndex(documents, metric="ip")
    ours = negmine.HardNegativeMiner(4, **options).mine(index, queries, positives)  # type: ignore[arg-type]
    theirs = negmine.mine(queries, BruteForce(documents), positives, num_negatives=4, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_array_equal(ours.source, theirs.source)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-6)
