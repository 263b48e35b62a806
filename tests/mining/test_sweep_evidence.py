"""Sweeps with known false negatives: hidden positives and judged samples, against the oracle and the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import negmine
import oracle
import oracle_sweep
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Sweep, Verdicts
from negmine.mining.shares import wilson_interval
from oracle import Limits
from oracle_sweep import SelectedRow

stats = pytest.importorskip("scipy.stats")

N = 2


def index_of(n_documents: int, labels: bool = True) -> negmine.ExactIndex:
    """Index documents on which a query scores its own values."""
    ids = [f"d{row}" for row in range(n_documents)] if labels else None
    return negmine.ExactIndex(np.eye(n_documents, dtype=np.float32), metric="ip", ids=ids)


def names(n_queries: int) -> list[str]:
    """Name the queries."""
    return [f"q{row}" for row in range(n_queries)]


def journal(folder: Path, pairs: dict[tuple[int, int], tuple[bool, float]]) -> Verdicts:
    """Write verdicts on pairs, with the probabilities of their export."""
    lines = [
        {
            "query_id": f"q{query}",
            "document_id": f"d{document}",
            "verdict": "drop" if relevant else "keep",
            "judge": "a",
            "log_prob": math.log(p),
        }
        for (query, document), (relevant, p) in pairs.items()
    ]
    folder.mkdir(exist_ok=True)
    verdicts = Verdicts(folder / "journal")
    (folder / "lines").write_text("".join(json.dumps(line) + "\n" for line in lines))
    verdicts.read(folder / "lines")
    return verdicts


# ---- against the oracle

SCORES = st.lists(st.lists(st.integers(-3, 4), min_size=6, max_size=6), min_size=3, max_size=3)
ROWS = st.lists(st.lists(st.integers(0, 5), unique=True, max_size=3), min_size=3, max_size=3)
PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 5)), st.tuples(st.booleans(), st.sampled_from([1.0, 0.5, 0.1, 0.01]))
)


def expected(
    scores: list[list[int]],
    positives: list[list[int]],
    limits: Limits,
    depth: int,
    verdict: Callable[[int, int], tuple[bool, float] | None],
) -> oracle_sweep.Known:
    """Compute the figures of one margin by hand."""
    bare = Limits(reference=limits.reference, range_max=depth)
    found = oracle.candidates(np.array(scores) / 4, np.eye(6), positives, bare, metric="ip")
    rows = [row for row in found if not math.isnan(row.reference)]
    negatives = [oracle.swept_negatives(row, limits, depth, N) for row in rows]
    selected = [
        SelectedRow(row.query, row.reference, [(document, float(row.scores[document])) for document in documents])
        for row, documents in zip(rows, negatives, strict=True)
    ]
    return oracle_sweep.false_negatives(selected, verdict)


@given(
    scores=SCORES,
    positives=ROWS,
    pairs=PAIRS,
    margins=st.lists(st.sampled_from([None, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=3),
    kind=st.sampled_from(["relative", "absolute"]),
    reference=st.sampled_from(["min", "max", "each"]),
    range_min=st.integers(0, 2),
    extra=st.integers(0, 3),
    judged=st.booleans(),
)
def test_figures_of_false_negatives_are_those_of_the_oracle(
    scores: Any,
    positives: Any,
    pairs: Any,
    margins: list[float | None],
    kind: Literal["relative", "absolute"],
    reference: Any,
    range_min: int,
    extra: int,
    judged: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if kind == "relative":
        margins = [None if margin is None else abs(margin) for margin in margins]
    if judged:
        pairs = {pair: found for pair, found in pairs.items() if pair[1] not in positives[pair[0]]}
        rules: dict[str, Any] = {
            "verdicts": journal(tmp_path_factory.mktemp("sweep"), pairs),
            "query_ids": names(3),
        }
        verdict: Callable[[int, int], tuple[bool, float] | None] = lambda query, document: pairs.get((query, document))  # noqa: E731
    else:
        rules = {"hidden": [[d for d in range(6) if pairs.get((q, d), (False,))[0]] for q in range(3)]}
        verdict = lambda query, document: (pairs.get((query, document), (False,))[0], 1.0)  # noqa: E731
    depth = range_min + N + extra
    miner = negmine.HardNegativeMiner(N, range_min=range_min, reference=reference)
    queries = np.array(scores, dtype=np.float32) / 4
    swept = miner.sweep(index_of(6), queries, positives, margins, kind, depth=depth, **rules)
    known = swept.false_negatives
    assert known is not None
    assert known.evidence == ("verdicts" if judged else "hidden")
    for place, margin in enumerate(sorted(margins, key=lambda margin: -math.inf if margin is None else margin)):
        window = {"reference": reference, "range_min": range_min, "range_max": range_min + N}
        limits = Limits(**{f"{kind}_margin": margin}, **window)
        right = expected(scores, positives, limits, depth, verdict)
        assert swept.margins[place] == (-math.inf if margin is None else margin)
        assert known.n_judged[place] == right.n_judged
        for name in ("share", "represented", "loss_share", "signal"):
            np.testing.assert_allclose(getattr(known, name)[place], getattr(right, name), atol=1e-12, err_msg=name)
        np.testing.assert_allclose(known.bounds[place], right.bounds, atol=1e-9)
    for window_of in known.windows:
        first = window_of.range_min
        limits = Limits(reference=reference, range_min=first, range_max=first + N)
        right = expected(scores, positives, limits, depth, verdict)
        np.testing.assert_allclose(
            [window_of.share, window_of.low, window_of.high, window_of.represented],
            [right.share, *right.bounds, right.represented],
            atol=1e-9,
        )
    assert [one.range_min for one in known.windows] == [
        range_min + later for later in (0, 1, 2, 3) if later == 0 or range_min + later + N <= depth
    ]


# ---- intervals


@given(n=st.integers(1, 3000), part=st.floats(0, 1))
def test_wilson_intervals_are_those_of_scipy(n: int, part: float) -> None:
    found = round(part * n)
    right = stats.binomtest(found, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(found / n, n), (right.low, right.high), atol=1e-12)


@pytest.mark.parametrize("n", [20, 100, 500])
def test_upper_bounds_hold_as_often_as_they_say_by_an_exact_sum(n: int) -> None:
    high = np.array([wilson_interval(k / n, n)[1] for k in range(n + 1)])
    held = []
    for p in np.linspace(0.01, 0.2, 96):
        chance = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        held.append(math.fsum(c for c, bound in zip(chance, high, strict=True) if bound >= p))
    # One end of an interval of 95% has 2.5%; the Wilson bound of small shares errs on the safe side.
    assert np.mean(held) > 0.975
    assert min(held) > 0.95


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_fewer_effective_judgments_widen_the_interval(seed: int) -> None:
    share = np.random.default_rng(seed).random()
    widths = [np.diff(wilson_interval(share, n))[0] for n in (2.5, 10, 100.25, 1e6)]
    assert sorted(widths, reverse=True) == widths


# ---- a judged sample with known truth


@pytest.mark.parametrize("explore", [1.0, 0.5])
def test_intervals_of_a_judged_sample_hold_the_truth(explore: float, tmp_path: Path) -> None:
    # Candidates above the positive (score .5) are false with probability .3, the others with probability .05.
    draw = np.random.default_rng(5)
    n_queries, n_documents, depth = 60, 40, 8
    scores = draw.random((n_queries, n_documents)).astype(np.float32)
    scores[:, 0] = 0.9
    truth = draw.random(scores.shape) < np.where(scores > 0.9, 0.3, 0.05)
    truth[:, 0] = False
    index, miner = index_of(n_documents), negmine.HardNegativeMiner(N)
    margins, positives = [None, 0.0, 0.02], [[0]] * n_queries
    hidden = [np.flatnonzero(row).tolist() for row in truth]
    full = miner.sweep(index, scores, positives, margins, depth=depth, hidden=hidden).false_negatives
    ranks = negmine.HardNegativeMiner(N, range_max=depth)
    pool = ranks.candidates(index, scores, positives, query_ids=names(n_queries))
    assert full is not None
    held, shares, whole = [], [], []
    for seed in range(60):
        verdicts = Verdicts(tmp_path / f"journal{seed}")
        file = tmp_path / "pairs"
        verdicts.export(pool, 200, file, explore=explore, seed=seed)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            relevant = truth[int(line["query_id"][1:]), int(line["document_id"][1:])]
            line |= {"verdict": "positive" if relevant else "keep", "judge": "truth"}
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        verdicts.read(file)
        sweep = miner.sweep(
            index, scores, positives, margins, depth=depth, verdicts=verdicts, query_ids=names(n_queries)
        )
        known = sweep.false_negatives
        assert known is not None
        whole.append(known.represented >= 0.9)
        held.append((known.bounds[:, 0] <= full.share) & (full.share <= known.bounds[:, 1]))
        shares.append(known.share)
    assert (np.mean(held, axis=0) >= 0.9).all()
    assert np.mean(whole) >= 0.95
    np.testing.assert_allclose(np.mean(shares, axis=0), full.share, atol=0.02)


# ---- recommendations


def swept(pairs: dict[tuple[int, int], tuple[bool, float]], folder: Path, **options: Any) -> Sweep:
    """Sweep 100 queries whose negatives of margin 0 are documents 2 and 3, and of margin .5 documents 4 and 5."""
    scores = np.tile(np.array([1.0, 1.5, 0.9375, 0.75, 0.5, 0.25, 0.125, 0.0625], np.float32), (100, 1))
    verdicts = journal(folder, pairs)
    rules = {"depth": 7, "verdicts": verdicts, "query_ids": names(100), **options}
    miner = negmine.HardNegativeMiner(2)
    return miner.sweep(index_of(8), scores, [[0]] * 100, [None, 0.0, 0.5], **rules)


def all_of(documents: tuple[int, ...], false: tuple[int, ...] = ()) -> dict[tuple[int, int], tuple[bool, float]]:
    """Judge documents of all queries."""
    return {(query, document): (document in false, 1.0) for query in range(100) for document in documents}


def test_the_smallest_supported_margin_is_recommended(tmp_path: Path) -> None:
    found = swept(all_of((1, 2, 3, 4, 5), false=(1, 2)), tmp_path).recommend()
    assert (found.margin, found.range_min) == (0.5, 0)
    assert found.reason == (
        "the smallest margin whose false-negative share is at most 5.00% by its upper bound: 0.0%, 95% interval 0.0% "
        "to 1.9%, from 200 judged pairs; false negatives are 0.0% of the loss; hardness 0.375 (-0.844 against no "
        "margin, which has 100.0% false negatives), 2.00 negatives per row, 0.0% of rows short"
    )
    assert swept(all_of((2, 3)), tmp_path / "other").recommend(max_false_negatives=0.02).margin == 0.0


def test_no_margin_is_recommended_on_too_few_judgments(tmp_path: Path) -> None:
    few = dict.fromkeys(list(all_of((2, 3, 4, 5)))[::19], (False, 0.05))
    found = swept(few, tmp_path).recommend()
    assert (found.margin, found.range_min) == (None, None)
    assert "lowest share, 0.0%, 95% interval 0.0% to 25.9%, from 11 judged pairs: judge more pairs." in found.reason
    assert swept(few, tmp_path / "other").recommend(max_false_negatives=0.5).margin == 0.0


def test_no_margin_is_recommended_whose_negatives_were_not_exported(tmp_path: Path) -> None:
    # All of document 4 was judged, and nothing of document 5.
    found = swept(all_of((1, 2, 3, 4), false=(1, 2, 3)), tmp_path).recommend()
    assert found.margin is None
    assert "margin 0.5 has the lowest share, 0.0%" in found.reason
    assert "from 100 judged pairs, which stand for at most 50% of its negatives: judge a deeper pool" in found.reason


def test_a_rank_window_is_offered_if_no_margin_is_supported(tmp_path: Path) -> None:
    found = swept(all_of((1, 2, 3, 4, 5, 6, 7), false=(1, 2, 3, 4)), tmp_path).recommend()
    assert (found.margin, found.range_min) == (None, 5)
    assert found.reason == (
        "no margin up to 0.5 keeps the upper bound of the false-negative share at or below 5.00%; margin 0.5 has the "
        "lowest share, 50.0%, 95% interval 43.1% to 56.9%, from 200 judged pairs. Ranks from 5 on, without a margin, "
        "have 0.0%, 95% interval 0.0% to 1.9%, at hardness 0.094"
    )


def test_verdicts_on_other_pairs_recommend_nothing(tmp_path: Path) -> None:
    found = swept({(0, 7): (True, 1.0)}, tmp_path).recommend()
    assert (found.margin, found.range_min) == (None, None)
    assert "none of their negatives was judged" in found.reason
    assert str(swept({}, tmp_path / "other")).split("\n")[1].endswith("nan")


def test_rows_that_are_unknown_at_this_depth_support_nothing(tmp_path: Path) -> None:
    pairs = all_of((1, 2, 3, 4, 5, 6, 7), false=(1, 2, 3))
    found = swept(pairs, tmp_path, depth=4).recommend()
    assert found.margin is None
    assert "; 100% of its rows are unknown: raise `depth`" in found.reason


# ---- bad input


def test_verdicts_need_labels(tmp_path: Path) -> None:
    miner, verdicts = negmine.HardNegativeMiner(1), journal(tmp_path, {})
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(NegmineValueError, match="`verdicts` must have labels of the documents; got a source without"):
        miner.sweep(index_of(3, labels=False), rows, [0, 1, 2], [0.0], verdicts=verdicts, query_ids=names(3))
    with pytest.raises(NegmineValueError, match="`query_ids` must be given with `verdicts`; got None"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], verdicts=verdicts)
    with pytest.raises(NegmineValueError, match="`query_ids` must be unique; got 'a' more than once"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], verdicts=verdicts, query_ids=["a", "b", "a"])
    verdicts = journal(tmp_path, {(0, 1): (True, 1.0)})
    with pytest.raises(NegmineValueError, match="`query_ids` must have the type of the labels of the journal"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], verdicts=verdicts, query_ids=[1, 2, 3])


def test_verdicts_are_verdicts_and_exclude_hidden_positives(tmp_path: Path) -> None:
    miner, rows = negmine.HardNegativeMiner(1), np.eye(3, dtype=np.float32)
    with pytest.raises(NegmineTypeError, match="`verdicts` must be Verdicts; got str"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], verdicts="journal", query_ids=names(3))  # type: ignore[arg-type]
    with pytest.raises(NegmineValueError, match="`verdicts` must not be given together with `hidden`; got both"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], verdicts=journal(tmp_path, {}), hidden=[[], [], []])


def test_verdicts_that_were_applied_are_refused(tmp_path: Path) -> None:
    # The false negatives that were found are no candidates any more, so the sample would show none.
    miner, rows = negmine.HardNegativeMiner(1), np.eye(3, dtype=np.float32)
    rules: dict[str, Any] = {
        "verdicts": journal(tmp_path, {(0, 1): (True, 1.0), (0, 2): (True, 1.0), (1, 2): (False, 1.0)}),
        "query_ids": names(3),
    }
    with pytest.raises(NegmineValueError, match=r"`positives` must be those of the export.* got 1 of 2 among them"):
        miner.sweep(index_of(3), rows, [[0, 1], [1, 2], [2]], [0.0], **rules)
    with pytest.raises(NegmineValueError, match=r"`exclude` must be those of the export.* got 2 of 2 among them"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], exclude=[[1, 2], [], []], **rules)
    with pytest.raises(NegmineTypeError, match="`exclude`"):
        miner.sweep(index_of(3), rows, [0, 1, 2], [0.0], exclude=3, **rules)
    assert miner.sweep(index_of(3), rows, [[0], [1, 2], [2]], [0.0], **rules).false_negatives is not None


@pytest.mark.parametrize(("limit", "rule"), [(0.0, "greater than 0"), (-1, "greater"), (1.5, "at most 1; got 1.5")])
def test_the_limit_of_false_negatives_is_a_share(limit: float, rule: str, tmp_path: Path) -> None:
    sweep = swept({}, tmp_path)
    with pytest.raises(NegmineValueError, match=f"`max_false_negatives` must be {rule}"):
        sweep.recommend(max_false_negatives=limit)
    with pytest.raises(NegmineTypeError, match="`max_false_negatives` must be a number"):
        sweep.recommend(max_false_negatives="0.1")  # type: ignore[arg-type]
