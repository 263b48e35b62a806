"""``mine_hard_negatives`` against that of sentence-transformers, and against brute force over the whole corpus."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")

import datasets
import sentence_transformers.util.hard_negatives as original

from negmine.errors import NegmineWarning
from negmine.integrations.sentence_transformers import mine_hard_negatives
from st_mining import BAND, HAS_FAISS, Case, Judge, Table, difference, make_case, read_rows, truths

CASES = 30


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the progress bars of the original."""
    for name in ("trange", "tqdm"):
        bar = getattr(original, name)
        monkeypatch.setattr(
            original, name, lambda *args, bar=bar, **options: bar(*args, **{**options, "disable": True})
        )


def test_the_parameters_are_those_of_the_original() -> None:
    theirs = list(inspect.signature(original.mine_hard_negatives).parameters.values())
    ours = list(inspect.signature(mine_hard_negatives).parameters.values())
    assert len(theirs) == 29
    assert [(p.name, p.kind, p.default) for p in ours[:29]] == [(p.name, p.kind, p.default) for p in theirs]
    assert [(p.name, p.kind, p.default) for p in ours[29:]] == [
        ("compat", inspect.Parameter.KEYWORD_ONLY, "strict"),
        ("seed", inspect.Parameter.KEYWORD_ONLY, 0),
        ("num_threads", inspect.Parameter.KEYWORD_ONLY, None),
        ("memory_limit", inspect.Parameter.KEYWORD_ONLY, None),
    ]


def compare(seeds: range) -> None:
    """Compare generated calls; the share of queries that ties leave open must stay small."""
    left_open = total = 0
    for seed in seeds:
        case = make_case(seed)
        ours = case.run(mine_hard_negatives)
        try:
            theirs = case.run(original.mine_hard_negatives)
        except ZeroDivisionError:
            continue  # margins removed all candidates, and the original divides by their number
        found, n = difference(case, theirs, ours)
        assert found is None, f"seed {seed}: {found}"
        left_open, total = left_open + n, total + len({anchor for anchor, _ in case.pairs})
    assert left_open < 0.3 * total


@pytest.mark.parametrize("part", range(10))
def test_strict_mode_mines_the_negatives_of_the_original(part: int) -> None:
    compare(range(part * CASES, (part + 1) * CASES))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(50))
def test_strict_mode_mines_the_negatives_of_the_original_in_5000_calls(part: int) -> None:
    compare(range(part * 100, (part + 1) * 100))


@pytest.mark.parametrize("compat", ["strict", "better"])
@pytest.mark.parametrize("seed", range(20))
def test_random_negatives_come_from_the_ranks_and_follow_the_seed(seed: int, compat: str) -> None:
    case = make_case(seed)
    case.options.update(output_format="labeled-pair", include_positives=False)
    n, first = case.options["num_negatives"], case.options.get("range_min", 0)
    end = case.options["range_max"] = case.options.get("range_max") or first + 10 * n
    mined = [case.run(mine_hard_negatives, sampling_strategy="random", seed=s, compat=compat) for s in (5, 5, 6)]
    assert mined[0].to_list() == mined[1].to_list()
    window = case.run(mine_hard_negatives, num_negatives=end - first, compat=compat)
    drawn, known = (read_rows(rows, case.options, case.pairs) for rows in (mined[2], window))
    for anchor, expected in known.items():
        got, all_of_them = drawn[anchor].negatives[""], expected.negatives[""]
        assert set(got) <= set(all_of_them)
        assert len(got) == len(set(got)) == min(n, len(all_of_them))
        # Best first.
        assert got == [document for document in all_of_them if document in got]


def test_random_negatives_are_drawn_uniformly() -> None:
    texts = [f"d{i}" for i in range(9)]
    vectors = {text: np.array([1.0, 0.1 * i]) for i, text in enumerate(texts)}
    rows = datasets.Dataset.from_dict({"q": ["d0"], "p": ["d1"]})
    counts = dict.fromkeys(texts, 0)
    for seed in range(400):
        mined = mine_hard_negatives(
            rows,
            Table(vectors),
            corpus=texts,
            num_negatives=2,
            range_max=6,
            sampling_strategy="random",
            seed=seed,
            verbose=False,
        )
        for text in mined["negative"]:
            counts[text] += 1
    drawn = [counts[text] for text in texts if counts[text]]
    assert len(drawn) == 6
    # 400 draws of 2 of 6: 133 of each, with a standard deviation of 9.4.
    assert max(abs(count - 800 / 6) for count in drawn) < 5 * 9.4


def expected_best(case: Case, anchor: str, scores: dict[str, float], include_positives: bool = False) -> list[str]:
    """Rank all documents of the corpus that pass the filters, slowly."""
    options = case.options
    own = [positive for a, positive in case.pairs if a == anchor]
    reference = min(scores[positive] for positive in own)

    def passes(score: float) -> bool:
        return (
            (options.get("max_score") is None or score <= options["max_score"])
            and (options.get("min_score") is None or score >= options["min_score"])
            and (options.get("absolute_margin") is None or score <= reference - options["absolute_margin"])
            and (
                options.get("relative_margin") is None
                or score <= reference - abs(reference) * options["relative_margin"]
            )
        )

    out = {anchor} - set(own) if include_positives else {anchor, *own}
    left = [d for d in scores if d not in out and passes(scores[d])]
    return sorted(left, key=lambda document: -scores[document])


@pytest.mark.parametrize("include_positives", [False, True])
@pytest.mark.parametrize("part", range(5))
def test_better_mode_is_brute_force_over_the_whole_corpus(part: int, include_positives: bool) -> None:
    for seed in range(part * CASES, (part + 1) * CASES):
        case = make_case(seed)
        case.judge = None
        form = "n-tuple" if include_positives else "labeled-pair"
        case.options.update(output_format=form, include_positives=include_positives, range_max=None)
        low, high = case.options.get("min_score"), case.options.get("max_score")
        if low is not None and high is not None and low > high:
            continue
        mined = read_rows(case.run(mine_hard_negatives, compat="better"), case.options, case.pairs)
        first, n, band = case.options.get("range_min", 0), case.options["num_negatives"], BAND[case.similarity]
        for anchor, truth in truths(case).items():
            # Filters with rounding at a score are left out; the window of strict mode has no meaning here.
            if truth.is_near:
                continue
            best = expected_best(case, anchor, truth.scores, include_positives)[first : first + n]
            if include_positives and len(best) < n:
                assert anchor not in mined  # tuples are complete
                continue
            got = next(iter(mined[anchor].negatives.values()))
            assert len(got) == len(best), (seed, anchor)
            np.testing.assert_allclose(
                [truth.scores[d] for d in got], [truth.scores[d] for d in best], rtol=0, atol=band
            )


def test_better_mode_fills_every_row_that_a_dry_window_loses() -> None:
    lost = filled = 0
    for seed in range(300):
        case = make_case(seed)
        case.judge = None
        case.options.update(output_format="labeled-pair", include_positives=False)
        low, high = case.options.get("min_score"), case.options.get("max_score")
        if low is not None and high is not None and low > high:
            continue
        strict, better = (
            read_rows(case.run(mine_hard_negatives, compat=compat), case.options, case.pairs)
            for compat in ("strict", "better")
        )
        first, n = case.options.get("range_min", 0), case.options["num_negatives"]
        for anchor, truth in truths(case).items():
            if truth.is_near or anchor in truth.scores:
                continue
            possible = len(expected_best(case, anchor, truth.scores)[first : first + n])
            few, many = (len(mined[anchor].negatives[""]) for mined in (strict, better))
            assert many == possible >= few
            lost, filled = lost + (few < possible), filled + (few < many)
    assert lost == filled > 50


# ---- what the original does, and better mode does not


def call(
    vectors: dict[str, Any], pairs: list[tuple[str, str]], *, similarity: str = "cosine", **options: Any
) -> dict[str, list[str]]:
    """Mine with scores of a table, and return the negatives of every anchor that has some."""
    mined = mine_hard_negatives(
        datasets.Dataset.from_dict({"q": [a for a, _ in pairs], "p": [p for _, p in pairs]}),
        Table(vectors, similarity),
        verbose=False,
        **options,
    )
    found: dict[str, list[str]] = {}
    for row in mined.to_list():
        found.setdefault(row["q"], []).append(row["negative"])
    return found


#: Documents by their cosine to the query, which lies on the first axis.
LINE = {f"{score:.2f}": np.array([score, np.sqrt(1 - score**2)]) for score in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)}
LINE["query"] = np.array([1.0, 0.0])


def test_a_window_can_run_dry_in_strict_mode_only() -> None:
    options: dict[str, Any] = {"corpus": [*LINE][:6], "num_negatives": 1, "range_max": 2, "max_score": 0.75}
    assert call(LINE, [("query", "0.80")], **options) == {}
    assert call(LINE, [("query", "0.80")], compat="better", **options) == {"query": ["0.70"]}


@pytest.mark.parametrize("compat", ["strict", "better"])
def test_range_min_counts_documents_that_pass_the_filters(compat: str) -> None:
    options: dict[str, Any] = {"corpus": [*LINE][:6], "num_negatives": 2, "range_min": 1, "max_score": 0.75}
    assert call(LINE, [("query", "0.80")], compat=compat, **options) == {"query": ["0.60", "0.50"]}


def test_an_anchor_is_its_own_negative_in_strict_mode_only() -> None:
    pairs = [("0.95", "0.90"), ("0.90", "0.95")]
    assert call(LINE, pairs, num_negatives=1) == {"0.95": ["0.95"], "0.90": ["0.90"]}
    assert call(LINE, pairs, num_negatives=1, corpus=["0.50"], compat="better") == {"0.95": ["0.50"], "0.90": ["0.50"]}


def test_a_cross_encoder_without_filters_is_applied_in_better_mode_only() -> None:
    judge, corpus = Judge(0), [*LINE][:6]
    with pytest.warns(NegmineWarning, match="`cross_encoder` is ignored without a margin"):
        strict = call(LINE, [("query", "0.80")], corpus=corpus, num_negatives=2, cross_encoder=judge)
    assert strict == {"query": ["0.95", "0.90"]}
    assert judge.scored == 0
    better = call(LINE, [("query", "0.80")], corpus=corpus, num_negatives=2, cross_encoder=judge, compat="better")
    others = [text for text in corpus if text != "0.80"]
    assert judge.scored == 6
    assert better["query"] == sorted(others, key=lambda text: -judge.score("query", text))[:2]


def test_a_cross_encoder_scores_each_pair_once() -> None:
    case = next(case for case in map(make_case, range(1000)) if case.judge and case.options.get("max_score"))
    case.run(mine_hard_negatives)
    distinct = {(a, d) for a in {a for a, _ in case.pairs} for d in case.vectors}
    assert case.judge is not None
    assert 0 < case.judge.scored <= len(distinct)


def test_distances_have_one_scale_with_and_without_faiss() -> None:
    vectors = {"q": [0.0, 0.0], "p": [2.0, 0.0], "near": [1.0, 0.0], "far": [4.0, 0.0], "further": [6.0, 0.0]}
    options: dict[str, Any] = {"corpus": ["near", "far", "further"], "num_negatives": 2, "similarity": "euclidean"}
    for use_faiss in (False, True):
        assert call(vectors, [("q", "p")], absolute_margin=0.0, use_faiss=use_faiss, **options) == {
            "q": ["far", "further"]
        }
        assert call(vectors, [("q", "p")], min_score=-4.0, use_faiss=use_faiss, **options) == {"q": ["near", "far"]}
        assert call(vectors, [("q", "p")], max_score=-4.0, use_faiss=use_faiss, **options) == {"q": ["far", "further"]}


def test_faiss_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    assert call(LINE, [("query", "0.80")], corpus=["0.50"], use_faiss=True) == {"query": ["0.50"]}


@pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed")
def test_the_generated_calls_search_with_faiss_as_well() -> None:
    assert {make_case(seed).options["use_faiss"] for seed in range(50)} == {True, False}


def test_memory_limit_and_threads_change_nothing() -> None:
    for seed in range(20):
        case = make_case(seed)
        rows = [case.run(mine_hard_negatives, **options).to_list() for options in limits()]
        assert rows[0] == rows[1] == rows[2]


def limits() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"num_threads": 1}
    yield {"num_threads": 2, "memory_limit": 1 << 22}
