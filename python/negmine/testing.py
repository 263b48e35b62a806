"""Contract tests for extensions: candidate sources, and first passes that offer candidates.

[`check_candidate_source`][] generates small problems, calls the source, and compares every response with a
brute-force evaluation of the request on the scores that the source itself reports. [`check_offers`][] compares the
offers of a first pass with the exact index. Neither function needs a test framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr
from negmine.data.eligibility import Eligibility
from negmine.errors import NegmineError
from negmine.mining.report import LINES, Reason
from negmine.search.exact import ExactIndex
from negmine.search.offers import Offers
from negmine.search.protocol import CandidateSource
from negmine.search.request import PoolArrays, PoolRequest, Rules
from negmine.search.results import METRICS, Metric

__all__ = ["OffersContractError", "SourceContractError", "check_candidate_source", "check_offers"]

#: Types of the arrays in a response.
DTYPES = {
    "indices": np.int64,
    "scores": np.float64,
    "counts": np.int32,
    "reasons": np.uint8,
    "query_indices": np.int64,
    "positive_indices": np.int64,
    "reference_scores": np.float64,
    "cap_scores": np.float64,
    "floor_scores": np.float64,
    "positive_scores": np.float64,
}

#: Function that creates the source under test from embeddings of documents and, optionally, their labels.
MakeSource = Callable[[npt.NDArray[np.float32], npt.NDArray[np.int64] | None], CandidateSource]


class SourceContractError(NegmineError, AssertionError):
    """A candidate source violates a clause of its contract; the message names the clause and the case."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A small problem: embeddings and a request."""

    name: str
    queries: npt.NDArray[np.float32]
    documents: npt.NDArray[np.float32]
    request: PoolRequest


def check_candidate_source(make: MakeSource) -> None:
    """Check that a candidate source satisfies its contract.

    The clauses of the contract are:

    - The source has the right length and labels, and the arrays of its responses have the right types.
    - Pairs are scored in the order given.
    - Documents are in rank order, with ties by lower row, and padded with -1 and -inf after ``counts``.
    - Positives, excluded documents, the query itself, documents in the group of a positive and ineligible documents are
      never candidates.
    - Scores equal to the cap or the floor are kept, and ranks are counted after caps and floor are applied.
    - There is one result row per positive under "each".
    - The counts of the report's lines and the reasons are right.
    - A warm start does not change the result.

    Parameters
    ----------
    make : callable
        Called as ``make(documents, document_ids)`` with float32 (n_documents, width) and int64 (n_documents,) or None;
        returns the source under test.

    Raises
    ------
    SourceContractError
        A clause is violated; the message names it.

    Examples
    --------
    >>> import negmine
    >>> from negmine.testing import check_candidate_source
    >>> check_candidate_source(lambda documents, ids: negmine.ExactIndex(documents, ids=ids))
    """
    _check_members(make)
    for case in _cases():
        source = make(case.documents, None)
        scores = _all_scores(source, case)
        expected = _expected(case, scores)
        _compare(case, "a pool", source.candidates(case.queries, case.request), expected)
        warm = np.full((len(case.queries), 3), -1, dtype=np.int64)
        warm[:, 0] = len(case.documents) - 1
        started = PoolRequest(
            **{f.name: getattr(case.request, f.name) for f in fields(PoolRequest)} | {"warm_start": warm}
        )
        _compare(case, "a warm start", source.candidates(case.queries, started), expected)


def _check_members(make: MakeSource) -> None:
    documents = np.eye(5, 3, dtype=np.float32)
    if make(documents, None).document_ids is not None:
        raise SourceContractError("labels: `document_ids` must be None if no labels are given.")
    labels = np.arange(5, dtype=np.int64) * 7
    source = make(documents, labels)
    if not isinstance(source, CandidateSource):
        raise SourceContractError("protocol: the source must have every member of CandidateSource.")
    if len(source) != 5:
        raise SourceContractError(f"length: `len(source)` must be the number of documents, 5; got {len(source)}.")
    if source.document_ids is None or list(source.document_ids) != labels.tolist():
        raise SourceContractError(f"labels: `document_ids` must be the given labels; got {source.document_ids}.")


def _cases() -> Iterator[_Case]:
    """Yield small problems. Coordinates are small integers, so that many scores are equal."""
    rng = np.random.default_rng(7)
    variants: list[tuple[str, dict[str, object], dict[str, object]]] = [
        ("ties", {}, {}),
        ("positives", {"positives": [[0, 3], [], [5], [1]]}, {}),
        ("exclusions", {"positives": [[0], [1], [2], [3]], "exclude": [[1, 2], [0], [], [7, 8]]}, {"range_max": 24}),
        ("the query itself", {"self_rows": [0, -1, 5, 2]}, {"range_max": 24}),
        ("groups", {"positives": [[0], [1], [], [2]], "groups": True}, {}),
        ("eligibility", {"eligible": True}, {}),
        ("a highest score", {"positives": [[0], [1], [2], [3]]}, {"max_score": 0.5}),
        ("a lowest score", {}, {"min_score": 0.25}),
        ("an absolute floor", {"positives": [[0], [1], [2, 4], []]}, {"absolute_floor": 1.0}),
        (
            "a relative floor and a lowest score",
            {"positives": [[0, 6], [1], [2, 4], [3]]},
            {"relative_floor": 0.75, "min_score": 0.125, "reference": "each"},
        ),
        ("documents above the positive", {"positives": [[0], [1], [2], [3]]}, {"absolute_floor": -0.125}),
        ("an absolute margin", {"positives": [[0], [1], [2, 4], []]}, {"absolute_margin": 0.125}),
        ("a relative margin", {"positives": [[0], [1], [2, 4], [3]]}, {"relative_margin": 0.25}),
        (
            "the highest reference",
            {"positives": [[0, 6], [1], [2, 4], [3]]},
            {"absolute_margin": 0.0, "reference": "max"},
        ),
        ("each positive", {"positives": [[0, 6], [1], [], [3]]}, {"absolute_margin": 0.25, "reference": "each"}),
        ("ranks", {"positives": [[0], [1], [2], [3]]}, {"range_min": 2, "range_max": 4, "max_score": 0.75}),
        ("more ranks than documents", {}, {"range_max": 40}),
    ]
    for name, rules, options in variants:
        documents = rng.integers(-2, 3, (24, 3)).astype(np.float32)
        queries = rng.integers(-2, 3, (4, 3)).astype(np.float32)
        request = PoolRequest(
            rules=_rules(rules, len(documents), len(queries)),
            given_scores=None,
            max_score=options.get("max_score"),  # type: ignore[arg-type]
            absolute_margin=options.get("absolute_margin"),  # type: ignore[arg-type]
            relative_margin=options.get("relative_margin"),  # type: ignore[arg-type]
            reference=str(options.get("reference", "min")),
            min_score=options.get("min_score"),  # type: ignore[arg-type]
            absolute_floor=options.get("absolute_floor"),  # type: ignore[arg-type]
            relative_floor=options.get("relative_floor"),  # type: ignore[arg-type]
            range_min=int(options.get("range_min", 0)),  # type: ignore[call-overload]
            range_max=int(options.get("range_max", 6)),  # type: ignore[call-overload]
            warm_start=None,
        )
        yield _Case(name, queries, documents, request)


def _rules(given: dict[str, object], n_documents: int, n_queries: int) -> Rules:
    keys = np.arange(n_documents, dtype=np.int64) % 5
    lowest, highest = np.arange(n_queries, dtype=np.int64) - 1, np.arange(n_queries, dtype=np.int64) + 1
    self_rows = given.get("self_rows")
    return Rules(
        positives=_lists(given.get("positives", [[]] * n_queries)),
        exclude=_lists(given["exclude"]) if "exclude" in given else None,
        self_rows=None if self_rows is None else np.asarray(self_rows, dtype=np.int64),
        groups=np.where(keys == 4, -1, keys) if "groups" in given else None,
        eligible=Eligibility(keys, lowest, highest) if "eligible" in given else None,
    )


def _lists(lists: object) -> Csr:
    rows = [np.asarray(entries, dtype=np.int64) for entries in lists]  # type: ignore[attr-defined]
    offsets = np.concatenate([[0], np.cumsum([len(entries) for entries in rows])]).astype(np.int64)
    return Csr(offsets, np.concatenate([*rows, np.empty(0, dtype=np.int64)]))


def _all_scores(source: CandidateSource, case: _Case) -> npt.NDArray[np.float64]:
    """Return the source's own score of every pair, and check that the order of pairs does not matter."""
    n, m = len(case.queries), len(case.documents)
    query, document = (axis.ravel().astype(np.int64) for axis in np.indices((n, m)))
    scores = np.asarray(source.score_pairs(case.queries, query, document))
    if scores.shape != (n * m,) or scores.dtype != np.float64:
        raise SourceContractError(
            f"scores: `score_pairs` must return float64 ({n * m},); got {scores.dtype} {scores.shape}."
        )
    order = np.random.default_rng(3).permutation(n * m)
    if not np.array_equal(
        source.score_pairs(case.queries, query[order], document[order]), scores[order], equal_nan=True
    ):
        raise SourceContractError("scores: `score_pairs` must return scores in the order of the pairs.")
    return scores.reshape(n, m)


def _expected(case: _Case, scores: npt.NDArray[np.float64]) -> list[dict[str, object]]:
    """Evaluate the request by brute force and return one entry per result row."""
    request, rows = case.request, []
    for query in range(len(case.queries)):
        lines, candidates = _candidates(request.rules, query, len(case.documents))
        positives = _row(request.rules.positives, query)
        own = scores[query, positives]
        pairs: list[tuple[int, float]] = (
            [(-1, float(getattr(np, request.reference)(own)) if len(own) else np.nan)]
            if (request.reference != "each")
            else [(int(row), float(score)) for row, score in zip(positives, own, strict=True)] or [(-1, np.nan)]
        )
        for positive, reference in pairs:
            rows.append(_result_row(request, query, positive, reference, candidates, scores[query], lines))
    return rows


def _candidates(rules: Rules, query: int, n_documents: int) -> tuple[dict[str, int], list[int]]:
    """Return the number of documents that each rule rejects (the first rule that applies), and the candidates."""
    positives = set(_row(rules.positives, query).tolist())
    excluded = set() if rules.exclude is None else set(_row(rules.exclude, query).tolist())
    groups = set() if rules.groups is None else {int(rules.groups[row]) for row in positives} - {-1}
    everything = np.arange(n_documents)
    admitted = everything >= 0 if rules.eligible is None else rules.eligible.admits(query, everything)
    lines, candidates = dict.fromkeys(LINES, 0), []
    for row in range(n_documents):
        if row in positives:
            lines["positives"] += 1
        elif row in excluded:
            lines["excluded"] += 1
        elif rules.self_rows is not None and row == rules.self_rows[query]:
            lines["self"] += 1
        elif rules.groups is not None and int(rules.groups[row]) in groups:
            lines["group"] += 1
        elif not admitted[row]:
            lines["ineligible"] += 1
        else:
            candidates.append(row)
    return lines, candidates


def _result_row(
    request: PoolRequest,
    query: int,
    positive: int,
    reference: float,
    candidates: list[int],
    scores: npt.NDArray[np.float64],
    lines: dict[str, int],
) -> dict[str, object]:
    margins = (request.absolute_margin, request.relative_margin)
    floors = (request.absolute_floor, request.relative_floor)
    caps = {
        "above_max_score": request.max_score,
        "above_absolute_margin": None if margins[0] is None else reference - margins[0],
        "above_relative_margin": None if margins[1] is None else reference - abs(reference) * margins[1],
    }
    known = {line: cap for line, cap in caps.items() if cap is not None}
    row = {"query_indices": query, "positive_indices": positive, "reference_scores": reference}
    bounds = [
        -np.inf if request.min_score is None else request.min_score,
        -np.inf if floors[0] is None else reference - floors[0],
        -np.inf if floors[1] is None else reference - abs(reference) * floors[1],
    ]
    row["floor_scores"] = floor = float(np.nanmax(bounds))
    if np.isnan(reference) and any(option is not None for option in margins + floors):
        none = {"indices": [], "scores": [], "cap_scores": np.nan, "lines": dict.fromkeys(LINES, 0)}
        return row | none | {"reasons": int(Reason.NO_POSITIVE)}
    line = min(known, key=lambda name: known[name]) if known else None
    cap = known[line] if line else np.inf
    above = sum(scores[document] > cap for document in candidates)
    kept = sorted((d for d in candidates if floor <= scores[d] <= cap), key=lambda d: (-scores[d], d))
    ranked = kept[request.range_min : request.range_max]
    full = len(kept) >= request.range_max
    below = len(candidates) - above - len(kept)
    reason = (
        Reason.NONE if full else Reason.ABOVE_CAP if above else Reason.BELOW_FLOOR if below else Reason.CORPUS_EXHAUSTED
    )
    counted = lines if line is None else lines | {line: above}
    return row | {
        "indices": ranked,
        "scores": [float(scores[document]) for document in ranked],
        "cap_scores": cap,
        "lines": counted,
        "reasons": int(reason),
    }


def _row(lists: Csr, query: int) -> npt.NDArray[np.int64]:
    return lists.items[lists.offsets[query] : lists.offsets[query + 1]]


def _compare(case: _Case, what: str, found: PoolArrays, expected: list[dict[str, object]]) -> None:
    """Compare a response with the brute-force result, field by field."""
    width = case.request.range_max - case.request.range_min
    n = len(expected)

    def refuse(clause: str, got: object) -> None:
        raise SourceContractError(f"{clause}: {what} under {case.name!r} violates it; got {got}.")

    for name, dtype in DTYPES.items():
        if np.asarray(getattr(found, name)).dtype != dtype:
            refuse(f"dtypes: `{name}` must be {np.dtype(dtype).name}", np.asarray(getattr(found, name)).dtype)
    if np.shape(found.indices) != (n, width) or np.shape(found.scores) != (n, width):
        refuse(f"shape: `indices` and `scores` must have shape ({n}, {width})", np.shape(found.indices))
    counts = [len(row["indices"]) for row in expected]  # type: ignore[arg-type]
    if np.asarray(found.counts).tolist() != counts:
        refuse(f"counts: documents per result row must be {counts}", np.asarray(found.counts).tolist())
    for number, row in enumerate(expected):
        count = counts[number]
        if found.indices[number, :count].tolist() != row["indices"]:
            refuse(f"rank order: row {number} must hold {row['indices']}", found.indices[number].tolist())
        if found.scores[number, :count].tolist() != row["scores"]:
            refuse(f"scores: row {number} must have {row['scores']}", found.scores[number].tolist())
        if (found.indices[number, count:] != -1).any() or (found.scores[number, count:] != -np.inf).any():
            refuse(f"padding: row {number} must end with -1 and -inf", found.indices[number].tolist())
    for name in ("query_indices", "positive_indices", "reference_scores", "cap_scores", "floor_scores", "reasons"):
        values = np.array([row[name] for row in expected], dtype=np.float64)
        if not np.array_equal(np.asarray(getattr(found, name), dtype=np.float64), values, equal_nan=True):
            refuse(f"`{name}` must be {values.tolist()}", np.asarray(getattr(found, name)).tolist())
    for line in LINES:
        counted = [row["lines"][line] for row in expected]  # type: ignore[index]
        if np.asarray(found.lines[line]).tolist() != counted:
            refuse(f"lines: {line!r} must count {counted}", np.asarray(found.lines[line]).tolist())


#: Function that runs the first pass under test, which offers all candidates that it cannot rule out.
FirstPass = Callable[[Offers, npt.NDArray[np.float32], npt.NDArray[np.float32], Metric], None]


class _Recorded(Offers):
    """Offers that check every interval against the canonical score."""

    def offer(
        self, query_indices: npt.ArrayLike, document_indices: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike
    ) -> None:
        """Offer documents after their intervals have been checked."""
        queries, documents = np.asarray(query_indices), np.asarray(document_indices)
        scores = self._index.score_pairs(self._queries, queries, documents)
        below, above = np.asarray(low) > scores, np.asarray(high) < scores
        if (below | above).any():
            i = int(np.argmax(below | above))
            raise OffersContractError(
                f"intervals: every interval must hold the canonical score; query {queries[i]} and document "
                f"{documents[i]} score {scores[i]}, outside [{np.asarray(low)[i]}, {np.asarray(high)[i]}]."
            )
        super().offer(query_indices, document_indices, low, high)


class OffersContractError(NegmineError, AssertionError):
    """A first pass violates its contract; the message names the clause and the case."""


def check_offers(first_pass: FirstPass) -> None:
    """Check that a first pass satisfies its contract.

    The clauses of the contract are that every interval contains the canonical score (the ends are included), and that
    every document of the result is offered. The problems include near ties, cancellation, large and small magnitudes,
    caps, floors and exclusions.

    Parameters
    ----------
    first_pass : callable
        Called as ``first_pass(offers, queries, documents, metric)`` with float32 arrays; must offer all candidates that
        it cannot rule out.

    Raises
    ------
    OffersContractError
        A clause is violated; the message names it.
    """
    for metric in METRICS:
        for case in [*_cases(), *_hard_cases()]:
            index = ExactIndex(case.documents, metric=metric)
            offers = _Recorded(index, case.queries, case.request)
            first_pass(offers, case.queries, case.documents, metric)
            found, expected = offers.finish(), index.candidates(case.queries, case.request)
            for name in DTYPES:
                if not np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=name.endswith("scores")):
                    raise OffersContractError(
                        f"answer: every document that is in the answer must be offered; `{name}` differs under "
                        f"{case.name!r} and {metric!r}."
                    )


def _hard_cases() -> Iterator[_Case]:
    """Yield problems in which rounding matters: near ties, cancellation, and coordinates of many magnitudes."""
    rng = np.random.default_rng(11)
    base = rng.standard_normal((1, 64))
    problems = {
        "near ties": base + 1e-7 * rng.standard_normal((300, 64)),
        "cancellation": np.concatenate([base, -base] * 150) * (1 + 1e-6 * rng.standard_normal((300, 64))) * 1e4,
        "many magnitudes": rng.standard_normal((300, 64)) * 10.0 ** rng.integers(-12, 12, (300, 64)),
        "tiny rows": rng.standard_normal((300, 64)) * 1e-20,
    }
    for name, documents in problems.items():
        rows = documents.astype(np.float32)
        rules = _rules({"positives": [[0], [1], [2]]}, len(rows), 3)
        request = PoolRequest(
            rules=rules,
            range_max=20,
        )
        yield _Case(name, (rows[:3] * np.float32(1.0 + 2**-10)), rows, request)
