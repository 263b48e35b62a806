"""BM25 by the library bm25s, as a run that the miner takes candidates from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.calls import resolve_num_threads
from negmine._core.extras import require
from negmine._core.labels import take_ids
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.data.runs import Run
from negmine.data.texts import Texts
from negmine.errors import NegmineValueError

__all__ = ["bm25_run"]

#: Variants of BM25 that bm25s has.
METHODS = ("lucene", "robertson", "atire", "bm25+", "bm25l")


@refuse_unknown_options("bm25_run")
def bm25_run(
    queries: Texts | Iterable[str],
    documents: Texts | Iterable[str],
    *,
    depth: int = 1000,
    method: Literal["lucene", "robertson", "atire", "bm25+", "bm25l"] = "lucene",
    k1: float = 1.5,
    b: float = 0.75,
    stopwords: Literal["english"] | None = "english",
    num_threads: int | None = None,
) -> Run:
    """Rank documents for every query by BM25. Needs the extra ``negmine[bm25]``.

    Texts are lowercased and split into words of at least two letters or digits. [`negmine.ScoredLists.from_run`][]
    takes the result.

    Parameters
    ----------
    queries : Texts or iterable of str
        Texts of the queries. Without labels, the labels are the rows.
    documents : Texts or iterable of str
        Texts of the documents; titles come before the texts.
    depth : int, default 1000
        Maximum number of documents per query, at least 1. Documents without a word of the query are not ranked.
    method : {"lucene", "robertson", "atire", "bm25+", "bm25l"}, default "lucene"
        Variant of BM25.
    k1 : float, default 1.5
        Saturation of term frequencies, at least 0.
    b : float, default 0.75
        Normalization by the length of documents, in [0, 1].
    stopwords : {"english"}, optional
        Words that are left out. None keeps all.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.

    Returns
    -------
    Run
        Scores in the precision of bm25s, float32; best first per query.

    Raises
    ------
    MissingExtraError
        bm25s is not installed.
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    References
    ----------
    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; Lù, "BM25S: Orders of
    magnitude faster lexical search via eager sparse scoring", 2024.

    Examples
    --------
    >>> import negmine
    >>> from negmine import io
    >>> documents = ["a cat sat", "a dog barked", "the cat and the dog"]
    >>> run = io.bm25_run(["cat dog"], documents)
    >>> lists = negmine.ScoredLists.from_run(run, query_ids=[0], document_ids=range(3))
    >>> negmine.mine(None, lists, [[2]], num_negatives=1).counts.tolist()
    [1]
    """
    bm25s = require("bm25s", "bm25", "`bm25_run`")
    asked = queries if isinstance(queries, Texts) else Texts.from_lists(queries)
    corpus = documents if isinstance(documents, Texts) else Texts.from_lists(documents)
    depth = check_integer(depth, "depth", least=1)
    share = check_real(b, "b", least=0.0)
    if share > 1.0:
        raise NegmineValueError(f"`b` must be at most 1; got {share}.")
    model = bm25s.BM25(method=check_choice(method, "method", METHODS), k1=check_real(k1, "k1", least=0.0), b=share)
    words = [] if stopwords is None else check_choice(stopwords, "stopwords", ("english",))
    threads = resolve_num_threads(num_threads)

    def tokenize(texts: Texts) -> Any:  # noqa: ANN401 (a class of bm25s)
        return bm25s.tokenize(texts.joined().to_pylist(), stopwords=words, show_progress=False)

    of_documents = tokenize(corpus)
    if len(asked) and of_documents.vocab:
        model.index(of_documents, show_progress=False)
        k = min(depth, len(corpus))
        found, values = model.retrieve(tokenize(asked), k=k, show_progress=False, n_threads=threads)
    else:
        found, values = np.empty((0, 0), dtype=np.int64), np.empty((0, 0))
    # Documents that share no word with the query score 0, and fill the result up to `k`.
    rows, places = np.nonzero(values > 0)
    return _run(asked, corpus, rows, found[rows, places].astype(np.int64), values[rows, places].astype(np.float64))


def _run(
    queries: Texts,
    documents: Texts,
    query_indices: npt.NDArray[np.int64],
    document_indices: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
) -> Run:
    """Order entries by (query, score descending, document), and label them."""
    order = np.lexsort((document_indices, -scores, query_indices))
    rows = query_indices[order]
    return Run(
        take_ids(queries.ids, rows),
        take_ids(documents.ids, document_indices[order]),
        np.arange(len(rows)) - np.searchsorted(rows, rows) + 1,
        scores[order],
        "bm25",
    )
