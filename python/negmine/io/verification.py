"""Verify mined negatives against the embeddings: scores, positives, order, caps and ranks, by exact search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import Csr, as_numpy, as_rows, public_scores
from negmine._core.calls import Progress, check_progress
from negmine._core.options import check_choice, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineError, NegmineValueError
from negmine.io.negatives import MinedRows, as_mined, read_negatives
from negmine.mining import policies
from negmine.mining.miner import MINER_OPTIONS, HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.pool import CandidatePool
from negmine.mining.report import Source
from negmine.search.exact import ExactIndex, score_pairs
from negmine.search.results import METRICS, Metric
from negmine.search.verification import sample_queries

__all__ = ["CHECKS", "Answer", "NegativesVerification", "find_answer", "open_answer", "verify_negatives"]

#: Checks of every row, each with a description of a row that fails it.
CHECKS = {
    "score": "a negative whose score is not the canonical one",
    "positive": "a positive of its query among the negatives",
    "repeated": "a document more than once",
    "order": "mined negatives that are not best first, or behind random ones",
    "reference": "scores of positives, or a reference, that are not the canonical ones",
    "rows": "other rows of its query than the positives make",
    "cap": "a negative above the caps or below the floor",
    "rank": "other mined negatives than exact search finds in the window of ranks",
}

#: Number of queries that are searched at a time.
STEP = 4096

Bools = npt.NDArray[np.bool_]


@short_repr
@dataclass(frozen=True, slots=True)
class NegativesVerification:
    """Comparison of mined negatives with the embeddings.

    Attributes
    ----------
    n_rows, n_checked, n_sound : int
        Number of result rows, of rows that were checked, and of checked rows that pass every check.
    failed : dict of int
        Number of rows that fail, by check: "score", "positive", "repeated", "order", "reference", "rows", "cap",
        "rank".
    first : dict of int
        Row of the first query that fails, by check.
    unchecked : dict of str
        Checks that were not made, with the reason.
    """

    n_rows: int
    n_checked: int
    n_sound: int
    failed: dict[str, int]
    first: dict[str, int]
    unchecked: dict[str, str]


@refuse_unknown_options("verify_negatives")
def verify_negatives(
    negatives: HardNegatives | MinedRows | str | Path,
    queries: object,
    corpus: object,
    *,
    metric: Metric | None = None,
    sample: int | None = None,
    seed: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> NegativesVerification:
    """Verify mined negatives against the embeddings that they were mined from.

    Every score is computed again. No positive may be a negative, no document may repeat, and mined negatives must come
    best first. If the provenance has the options of the miner, an exact search checks references, caps and ranks:
    negatives come from the window of ranks, and under ``sampling="top"`` they are its first documents. If further
    rules, which files do not hold, removed documents, only the first rank of the window is checked.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner, or the path of a Parquet file, of an archive (``.npz``; with its pool, as
        ``HardNegatives.save(..., pool=True)`` writes it, more is checked) or of the folder of a job.
    queries : array (n_queries, width)
        Embeddings of all queries, of the same types as for [`negmine.ExactIndex`][].
    corpus : array (n_documents, width)
        Embeddings of all documents, likewise.
    metric : {"cosine", "ip", "l2"}, optional
        Similarity measure of the scores. Default: that of the provenance.
    sample : int, optional
        Check the rows of only this many queries, drawn by ``seed``. Default: all.
    seed : int, default 0
        Seed of the draw, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.
    progress : callable, optional
        Called as ``progress(done, total)``, in queries.

    Returns
    -------
    NegativesVerification

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The file does not exist, the embeddings have other numbers of rows, the metric is unknown or differs from that
        of the provenance, or an argument is invalid.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [0, 1], num_negatives=2)
    >>> found = negmine.io.verify_negatives(negatives, corpus[:2], corpus)
    >>> found.n_sound, found.n_checked, found.failed["score"]
    (2, 2, 0)
    """
    check_progress(progress)
    check_seed(seed)  # even if nothing is drawn
    answer = open_answer(negatives)
    provenance = answer.mined.provenance
    metric = _metric(metric, provenance.get("metric"))
    n_queries, n_documents = as_rows(queries, "queries").shape[0], as_rows(corpus, "corpus").shape[0]
    _check_size("corpus", n_documents, provenance.get("n_documents"))
    _check_size("queries", n_queries, provenance.get("n_queries"))
    rows = _Rows.read(answer.mined, n_queries, n_documents, sample, seed)
    pairs = np.stack([rows.query[rows.row], rows.negatives], axis=1)
    scores = score_pairs(queries, corpus, pairs, metric=metric, num_threads=num_threads)
    bad: dict[str, Bools] = {
        "score": rows.any(public_scores(scores) != rows.scores),
        "repeated": rows.any(_repeats(rows.row, rows.negatives)),
        "order": rows.any(_disorder(rows, scores)),
    }
    unchecked = {} if answer.has_positives else {"positive": "the archive has no positives without its pool"}
    if answer.has_positives:
        bad["positive"] = rows.any(rows.among_positives())
        inside = rows.positives >= 0
        pairs = np.stack([rows.query[rows.positive_row[inside]], rows.positives[inside]], axis=1)
        again = score_pairs(queries, corpus, pairs, metric=metric, num_threads=num_threads)
        bad["reference"] = np.bincount(
            rows.positive_row[inside][again != rows.positive_scores[inside]], minlength=len(rows)
        ).astype(np.bool_)
    miner, n_checked = _miner(provenance.get("options")), len(np.unique(rows.query))
    if miner is None or not answer.has_positives:
        why = "the options of the miner" if miner is None else "the positives"
        unchecked |= dict.fromkeys(("rows", "cap", "rank"), f"the file does not have {why}")
        if progress is not None:
            progress(n_checked, n_checked)
    else:
        further = provenance.get("rules")
        index = ExactIndex(corpus, metric=metric, num_threads=num_threads)
        search = _Search(index, as_numpy(queries, "queries"), miner, further == [])
        bad |= search.check(rows, scores, bad["reference"], progress)
        if further != []:
            names = ", ".join(map(str, further)) if isinstance(further, list) else "unknown ones"
            unchecked["rank"] = f"only that none ranks before the window, as further rules took part: {names}"
    failing = np.zeros(len(rows), dtype=np.bool_)
    for rows_of in bad.values():
        failing |= rows_of
    return NegativesVerification(
        n_rows=len(answer.mined),
        n_checked=len(rows),
        n_sound=int((~failing).sum()),
        failed={check: int(bad[check].sum()) for check in CHECKS if check in bad},
        first={check: int(rows.query[bad[check].argmax()]) for check in CHECKS if check in bad and bad[check].any()},
        unchecked=unchecked,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """Mined negatives, from memory or from any kind of file.

    Attributes
    ----------
    mined : MinedRows
        The rows.
    has_positives : bool, default True
        Whether the positives are known; those of an archive without its pool are not.
    pool : CandidatePool or None
        The pool of negatives in memory or in an archive, if it is known.
    """

    mined: MinedRows
    has_positives: bool = True
    pool: CandidatePool | None = None


def open_answer(negatives: HardNegatives | MinedRows | str | Path, argument: str = "negatives") -> Answer:
    """Open mined negatives.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner, or the path of ``.parquet``, ``.npz`` or the folder of a job.
    argument : str, default "negatives"
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    Answer
    """
    if not isinstance(negatives, str | Path):
        return Answer(as_mined(negatives), pool=getattr(negatives, "pool", None))
    path = find_answer(negatives, argument)
    return _open_archive(path) if files.suffix_of(path) == ".npz" else Answer(read_negatives(path))


def find_answer(path: object, argument: str) -> Path:
    """Find the file of mined negatives at a path, which may be that of the folder of a job.

    Parameters
    ----------
    path : path
        File, or folder of a job.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    Path

    Raises
    ------
    NegmineValueError
        The folder holds no result.
    """
    answer = files.as_path(path, argument)
    if answer.is_dir():
        if not (answer / "result.parquet").is_file():
            raise NegmineValueError(
                f"`{argument}` must be the folder of a finished job; {answer} has no result.parquet."
            )
        return answer / "result.parquet"
    if files.suffix_of(files.input_file(answer, argument)) not in (".parquet", ".npz"):
        raise NegmineValueError(f"`{argument}` must end in .parquet or .npz, or be the folder of a job; got {answer}.")
    return answer


def _open_archive(path: Path) -> Answer:
    """Open saved negatives; without their pool, their positives are unknown."""
    pool_path = path.with_name(f"{path.name[: -len('.npz')]}.pool.npz")
    if pool_path.is_file():
        found = HardNegatives.load(path, pool=CandidatePool.load(pool_path))
        return Answer(MinedRows.from_negatives(found), pool=found.pool)
    found = replace(HardNegatives.load(path), positive_scores=np.empty(0))
    n_queries = int(found.query_indices.max(initial=-1)) + 1
    nothing = Csr(np.zeros(n_queries + 1, dtype=np.int64), np.empty(0, dtype=np.int64))
    documents = np.arange(found.report.n_documents)
    return Answer(MinedRows.from_negatives(found, positives=nothing, document_ids=documents), has_positives=False)


def _metric(given: str | None, known: object) -> Metric:
    if given is not None:
        check_choice(given, "metric", METRICS)
    if given is None and known is None:
        raise NegmineValueError("`metric` must be given where the negatives do not say it; got None.")
    if known is not None and given not in (None, known):
        raise NegmineValueError(f"`metric` must be that of the negatives, {known!r}; got {given!r}.")
    return check_choice(known if given is None else given, "metric", METRICS)  # type: ignore[return-value]


def _check_size(argument: str, n: int, known: object) -> None:
    if known is not None and n != known:
        raise NegmineValueError(f"`{argument}` must be what was mined, {known} rows; got {n}.")


def _miner(options: object) -> HardNegativeMiner | None:
    """Rebuild the miner from a provenance; return None if it does not have all options."""
    if not isinstance(options, dict) or not options.keys() >= {*MINER_OPTIONS}:
        return None
    try:
        sampling = policies.from_json(options["sampling"])
        return HardNegativeMiner(**{name: options[name] for name in MINER_OPTIONS} | {"sampling": sampling})
    except NegmineError as error:
        raise NegmineValueError(f"`negatives` must have options that a miner takes: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The checked rows, by query, with their lists concatenated."""

    query: npt.NDArray[np.int64]
    reference: npt.NDArray[np.float64]
    positive_row: npt.NDArray[np.int64]
    positives: npt.NDArray[np.int64]
    positive_scores: npt.NDArray[np.float64]
    row: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    is_mined: Bools

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def read(cls, mined: MinedRows, n_queries: int, n_documents: int, sample: int | None, seed: int) -> _Rows:
        """Gather the rows of the sample, and refuse rows that do not exist."""
        chosen = None if sample is None else _queries_of(mined)
        if chosen is not None:
            chosen = chosen[sample_queries(len(chosen), sample, seed)]
        parts: list[tuple[npt.NDArray[Any], ...]] = []
        n = 0
        for batch in mined.batches():
            keep = np.ones(len(batch), dtype=np.bool_) if chosen is None else np.isin(batch.query_indices, chosen)
            number = n + np.cumsum(keep) - 1
            n += int(keep.sum())
            owners = [np.repeat(np.arange(len(batch)), lists.counts) for lists in (batch.positives, batch.negatives)]
            own, mine = (keep[owner] for owner in owners)
            parts.append(
                (
                    batch.query_indices[keep],
                    batch.reference_scores[keep],
                    number[owners[0][own]],
                    batch.positives.indices[own],
                    batch.positives.scores[own].astype(np.float64),
                    number[owners[1][mine]],
                    batch.negatives.indices[mine],
                    batch.negatives.scores[mine].astype(np.float32),
                    batch.sources[mine] == Source.MINED,
                )
            )
        rows = cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        for name, values, least, limit in (
            ("queries", rows.query, 0, n_queries),
            ("corpus", rows.negatives, 0, n_documents),
            ("corpus", rows.positives, -1, n_documents),
        ):
            if len(values) and (values.min() < least or values.max() >= limit):
                row = values.max() if values.max() >= limit else values.min()
                raise NegmineValueError(
                    f"`{name}` must have every row of the negatives; got {limit} rows, not row {row}."
                )
        return rows._by_query()

    def _by_query(self) -> _Rows:
        order = np.argsort(self.query, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        own = np.argsort(place[self.positive_row], kind="stable")
        mine = np.argsort(place[self.row], kind="stable")
        return _Rows(
            self.query[order],
            self.reference[order],
            place[self.positive_row][own],
            self.positives[own],
            self.positive_scores[own],
            place[self.row][mine],
            self.negatives[mine],
            self.scores[mine],
            self.is_mined[mine],
        )

    def any(self, bad: Bools) -> Bools:
        """Find the rows that have a bad negative."""
        return np.bincount(self.row[bad], minlength=len(self)).astype(np.bool_)

    def among_positives(self) -> Bools:
        """Find the negatives that are positives of their query."""
        span = int(max(self.negatives.max(initial=0), self.positives.max(initial=0))) + 1
        inside = self.positives >= 0
        known = self.query[self.positive_row[inside]] * span + self.positives[inside]
        return np.isin(self.query[self.row] * span + self.negatives, known)


def _queries_of(mined: MinedRows) -> npt.NDArray[np.int64]:
    return np.unique(np.concatenate([batch.query_indices for batch in mined.batches()]))


def _repeats(row: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]) -> Bools:
    """Find the documents that occur earlier in their row."""
    order = np.lexsort((documents, row))
    again = (row[order][1:] == row[order][:-1]) & (documents[order][1:] == documents[order][:-1])
    repeats = np.zeros(len(row), dtype=np.bool_)
    repeats[order[1:]] = again
    return repeats


def _disorder(rows: _Rows, scores: npt.NDArray[np.float64]) -> Bools:
    """Find the mined negatives that should come before their predecessor."""
    bad = np.zeros(len(rows.row), dtype=np.bool_)
    better = (scores[1:] > scores[:-1]) | ((scores[1:] == scores[:-1]) & (rows.negatives[1:] < rows.negatives[:-1]))
    bad[1:] = (rows.row[1:] == rows.row[:-1]) & rows.is_mined[1:] & (better | ~rows.is_mined[:-1])
    return bad


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Exact search that mines the pool of the checked queries again."""

    index: ExactIndex
    queries: npt.NDArray[Any]
    miner: HardNegativeMiner
    #: Whether the positives were the only excluded documents, so that ranks are known.
    ranks_known: bool

    def check(
        self, rows: _Rows, scores: npt.NDArray[np.float64], bad_reference: Bools, progress: Progress | None
    ) -> dict[str, Bools]:
        """Find the rows that fail, by check."""
        bad = {check: np.zeros(len(rows), dtype=np.bool_) for check in ("rows", "cap", "rank")}
        bad["reference"] = bad_reference.copy()
        report: Callable[[int, int], object] = progress or (lambda _done, _total: None)
        different = np.unique(rows.query)
        for queries in _steps(different):
            first, last = np.searchsorted(rows.query, [queries[0], queries[-1] + 1])
            pool = self._pool(rows, queries, slice(first, last))
            of_query = np.searchsorted(queries, rows.query[first:last])
            n_rows = [np.bincount(query, minlength=len(queries)) for query in (of_query, pool.query_indices)]
            same = n_rows[0] == n_rows[1]
            bad["rows"][first:last] = ~same[of_query]
            # On both sides, the rows of a query are in the order of its positives.
            place = np.full(last - first, -1, dtype=np.int64)
            place[same[of_query]] = np.flatnonzero(same[pool.query_indices])
            self._compare(rows, scores, pool, (first, place), bad)
            report(int(np.searchsorted(different, queries[-1])) + 1, len(different))
        if len(different) == 0:
            report(0, 0)
        return bad

    def _pool(self, rows: _Rows, queries: npt.NDArray[np.int64], part: slice) -> CandidatePool:
        begin, end = np.searchsorted(rows.positive_row, [part.start, part.stop])
        positives = Positives.from_pairs(
            np.searchsorted(queries, rows.query[rows.positive_row[begin:end]]),
            rows.positives[begin:end],
            n_queries=len(queries),
            positive_scores=rows.positive_scores[begin:end],
        )
        return self.miner.candidates(self.index, self.queries[queries], positives)

    def _compare(
        self,
        rows: _Rows,
        scores: npt.NDArray[np.float64],
        pool: CandidatePool,
        part: tuple[int, npt.NDArray[np.int64]],
        bad: dict[str, Bools],
    ) -> None:
        """Compare rows with those of the pool; ``part`` holds the first row, and the pool row of every row."""
        first, place = part
        with_pool = np.flatnonzero(place >= 0)
        reference = rows.reference[first + with_pool]
        other = pool.reference_scores[place[with_pool]]
        bad["reference"][first + with_pool] |= (reference != other) & ~(np.isnan(reference) & np.isnan(other))
        begin, end = np.searchsorted(rows.row, [first, first + len(place)])
        entries = np.arange(begin, end)[place[rows.row[begin:end] - first] >= 0]
        row, own = rows.row[entries], place[rows.row[entries] - first]
        within = (scores[entries] <= pool.cap_scores[own]) & (scores[entries] >= pool.floor_scores[own])
        bad["cap"][row[~within]] = True
        mined = rows.is_mined[entries]
        entries, row, own = entries[mined], row[mined], own[mined]
        if not self.ranks_known:
            best = pool.scores[own, 0]
            before = (scores[entries] > best) | (
                (scores[entries] == best) & (rows.negatives[entries] < pool.indices[own, 0])
            )
            bad["rank"][row[before]] = True
            return
        span = len(self.index)
        held = np.arange(len(pool))[:, None] * span + pool.indices
        outside = ~np.isin(own * span + rows.negatives[entries], held[pool.indices >= 0])
        bad["rank"][row[outside]] = True
        if self.miner.sampling == "top" and self.miner.limit_per_document is None:
            # The negatives are members of the window in its order; as many as possible means that they are its first.
            wanted = np.minimum(pool.counts[place[with_pool]], self.miner.num_negatives)
            counts = np.bincount(row, minlength=len(rows))[first + with_pool]
            n = int(wanted.max(initial=0))
            top = pool.indices[:, :n]
            found = np.full((len(pool), n), -1, dtype=np.int64)
            nth = np.arange(len(row)) - np.searchsorted(row, row, side="left")
            fits = nth < n
            found[own[fits], nth[fits]] = rows.negatives[entries][fits]
            short = counts != wanted
            bad["rank"][first + with_pool] |= short | (found != top)[place[with_pool]].any(axis=1)


def _steps(queries: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, len(queries), STEP):
        yield queries[begin : begin + STEP]
