"""First passes of the caller's own: honest bounds give the exact answer, and dishonest ones are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import negmine
from negmine.errors import CorpusChangedError, NegmineTypeError, NegmineValueError
from negmine.search import Offers
from negmine.testing import OffersContractError, check_offers

#: Unit roundoff of float32.
U = 2.0**-24


def intervals(queries: Any, documents: Any, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute products in float32, and how far each may be from the canonical score."""
    q, d = queries.astype(np.float32), documents.astype(np.float32)
    with np.errstate(all="ignore"):
        products = (q @ d.T).astype(np.float64)
        norms = np.linalg.norm(q.astype(np.float64), axis=1)[:, None] * np.linalg.norm(d.astype(np.float64), axis=1)
        width = q.shape[1]
        error = 2 * width * U * norms + width * 1e-37
        qq = (q.astype(np.float64) ** 2).sum(axis=1)[:, None]
        dd = (d.astype(np.float64) ** 2).sum(axis=1)
        if metric == "cosine":
            scale = np.where(norms > 0, norms, 1.0)
            products, error = np.where(norms > 0, products / scale, 0.0), error / scale + 1e-12
        elif metric == "l2":
            products, error = 2 * products - qq - dd, 2 * error + 1e-9 * (qq + dd)
    unknown = ~np.isfinite(products) | ~np.isfinite(error)
    return np.where(unknown, np.nan, products - error), np.where(unknown, np.nan, products + error)


def honest(offers: Offers, queries: Any, documents: Any, metric: Any) -> None:
    """Offer tile by tile what the thresholds do not rule out."""
    low, high = intervals(queries, documents, metric)
    for begin in range(0, len(documents), 50):
        tile = slice(begin, begin + 50)
        query, document = np.nonzero(~(high[:, tile] < offers.thresholds()[:, None]))
        offers.offer(query, document + begin, low[query, document + begin], high[query, document + begin])


def narrow(offers: Offers, queries: Any, documents: Any, metric: Any) -> None:
    """Trust float32 as it is."""
    low, high = intervals(queries, documents, metric)
    middle = (low + high) / 2
    query, document = (axis.ravel() for axis in np.indices(middle.shape))
    offers.offer(query, document, middle[query, document], middle[query, document])


def forgetful(offers: Offers, queries: Any, documents: Any, metric: Any) -> None:
    """Rule out what may still be in the answer."""
    low, high = intervals(queries, documents, metric)
    query, document = np.nonzero(high >= np.nanquantile(high, 0.9, axis=1)[:, None])
    offers.offer(query, document, low[query, document], high[query, document])


def test_honest_bounds_keep_the_contract() -> None:
    check_offers(honest)


def test_no_bounds_at_all_keep_the_contract() -> None:
    def unknown(offers: Offers, queries: Any, documents: Any, metric: Any) -> None:
        query, document = (axis.ravel() for axis in np.indices((len(queries), len(documents))))
        offers.offer(query, document, np.full(len(query), np.nan), np.full(len(query), np.nan))

    check_offers(unknown)


@pytest.mark.parametrize(("first_pass", "clause"), [(narrow, "intervals"), (forgetful, "answer")])
def test_dishonest_first_passes_fail(first_pass: Any, clause: str) -> None:
    with pytest.raises(OffersContractError, match=f"^{clause}"):
        check_offers(first_pass)


def made(n: int = 30) -> tuple[negmine.ExactIndex, NDArray[np.float32], Any]:
    """Make an index, queries and a request."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 8)).astype(np.float32)
    index = negmine.ExactIndex(rows)
    miner = negmine.HardNegativeMiner(5)
    return index, rows[:4], miner.request(miner.candidates(index, rows[:4], [0, 1, 2, 3]).rules)


@pytest.mark.parametrize("limit", [None, 6 << 20])
def test_offers_end_in_the_pools_of_the_index(limit: int | None) -> None:
    index, queries, request = made()
    other = negmine.ExactIndex(index.corpus, memory_limit=limit)
    offers = Offers(other, queries, request)
    assert (offers.thresholds() == -np.inf).all()
    honest(offers, queries, np.asarray(index.corpus), "cosine")
    assert (offers.thresholds() > -1).all()
    np.testing.assert_array_equal(offers.finish().indices, index.candidates(queries, request).indices)


def test_nothing_follows_finish() -> None:
    index, queries, request = made()
    offers = Offers(index, queries, request)
    assert (offers.finish().counts == 0).all()
    for call in (offers.thresholds, offers.finish, lambda: offers.offer([0], [1], [0.0], [1.0])):
        with pytest.raises(NegmineValueError, match="`Offers` must not be used after `finish`"):
            call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0], [30], [0.0], [1.0]), "`document_indices` must hold rows below 30; got 30"),
        (([-1], [0], [0.0], [1.0]), "`query_indices` must hold rows below 4; got -1"),
        (([0, 1], [0], [0.0], [1.0]), r"`document_indices` must have shape \(2,\)"),
        (([0], [0], [0.0, 1.0], [1.0]), r"`low` must have shape \(1,\)"),
    ],
)
def test_bad_offers_are_refused(arguments: Any, message: str) -> None:
    index, queries, request = made()
    with pytest.raises(NegmineValueError, match=message):
        Offers(index, queries, request).offer(*arguments)


def test_an_interval_without_the_score_is_found_when_the_score_is_computed() -> None:
    index, queries, request = made()
    offers = Offers(index, queries, request)
    with pytest.raises(CorpusChangedError):  # noqa: PT012 (either call may have to compute it)
        offers.offer([0], [9], [0.9999], [1.0])
        offers.finish()


def test_offers_need_an_exact_index_and_a_request() -> None:
    index, queries, request = made()
    with pytest.raises(NegmineTypeError, match="`index` must be an ExactIndex or a ShardedIndex; got ndarray"):
        Offers(queries, queries, request)  # type: ignore[arg-type]
    with pytest.raises(NegmineTypeError, match="`request` must be a PoolRequest; got dict"):
        Offers(index, queries, {})  # type: ignore[arg-type]
