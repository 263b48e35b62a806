"""Journal of judgments of (query, document) pairs: what to judge next, what was judged, and what follows from it.

Pairs are keyed by labels, so the journal outlives every mining call. It is an append-only file: what a call of
[`Verdicts.read`][] adds is one checksummed record, which is there whole or not at all.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.formats import VERDICTS, corrupt
from negmine._core.journal import Journal, open_journal
from negmine._core.labels import (
    Ids,
    Strings,
    as_ids,
    as_labels,
    describe_labels,
    find_labels,
    take_ids,
)
from negmine._core.math import exp, ln
from negmine._core.options import check_integer, check_real, check_seed, refuse_unknown_options
from negmine._core.parsing import parse_json
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.pool import CandidatePool
from negmine.mining.score_cache import label_digests
from negmine.mining.shares import FalseNegativeShare, weighted_share
from negmine.mining.verdict_lines import Pair, VerdictLine, check_entry, majority_words, read_lines

__all__ = ["AppliedVerdicts", "FalseNegativeShare", "Verdicts"]

_ADVICE = "Remove it, and read the files of the judges again."

#: Names of the values of an entry of the journal.
_FIELDS = ("query_id", "document_id", "verdict", "judge", "log_prob")

Rows = npt.NDArray[np.int64]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class AppliedVerdicts:
    """Positives and exclusions after verdicts, made by [`Verdicts.apply`][].

    Attributes
    ----------
    positives, exclude : Positives
        The lists for the next mining call, without grades.
    n_positive, n_drop, n_keep : int
        Number of pairs by verdict, of those whose labels are known.
    n_unknown : int
        Number of judged pairs whose query or document is not among the labels; they were skipped.
    """

    positives: Positives
    exclude: Positives
    n_positive: int
    n_drop: int
    n_keep: int
    n_unknown: int


class Verdicts:
    """A journal of judgments of (query, document) pairs by one or several judges, in a file.

    Each call opens the file as its only user and closes it again.

    Parameters
    ----------
    path : path
        The journal; it is made by the first call that needs it. Its folder must exist.

    Raises
    ------
    NegmineTypeError
        The path is not a path.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np, negmine
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5]], dtype=np.float32)
    >>> index = negmine.ExactIndex(corpus, ids=["a", "b", "c"])
    >>> pool = negmine.HardNegativeMiner(1).candidates(index, corpus[:1], [[0]])
    >>> verdicts = negmine.mining.Verdicts(folder / "verdicts")
    >>> verdicts.export(pool, 1, folder / "to_judge.jsonl", query_ids=["q"])
    1
    >>> _ = (folder / "judged.jsonl").write_text(
    ...     '{"query_id": "q", "document_id": "b", "verdict": "positive", "judge": "me", "log_prob": 0.0}'
    ... )
    >>> verdicts.read(folder / "judged.jsonl")
    1
    >>> verdicts.apply([[0]], query_ids=["q"], document_ids=["a", "b", "c"]).positives[0].tolist()
    [0, 1]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = files.as_path(path, "path")

    def __repr__(self) -> str:
        return f"Verdicts({str(self._path)!r})"

    def _open(self) -> AbstractContextManager[Journal]:
        return open_journal(self._path, VERDICTS, entry_bytes=1, argument="path", advice=_ADVICE)

    def _lines(self) -> list[VerdictLine]:
        """Return all judgments, in the order in which they were read."""
        with self._open() as journal:
            return [line for _, payload in journal.records for line in self._parse(payload)]

    def _parse(self, payload: memoryview) -> list[VerdictLine]:
        """Return the judgments of a record, whose checksum does not say that negmine wrote it."""
        try:
            entries = [dict(zip(_FIELDS, entry, strict=True)) for entry in parse_json(bytes(payload))]
            lines = [check_entry(entry, str(self._path)) for entry in entries]
        except (TypeError, ValueError) as error:
            raise corrupt(self._path, _ADVICE) from error
        return [line for line in lines if line is not None]

    def read(self, file: str | os.PathLike[str]) -> int:
        """Add the judgments of a file of JSON lines to the journal, all or none.

        A line is an object with ``query_id`` and ``document_id`` (all integers or all strings on each side),
        ``verdict``, ``judge`` (the name of the judge) and, if known, ``log_prob`` (as [`export`][] wrote it). Other
        entries are ignored, and lines whose verdict is null, which were not judged, are skipped. A judge who judges a
        pair again replaces the former verdict; "unsure" changes nothing.

        Parameters
        ----------
        file : path
            The file.

        Returns
        -------
        int
            Number of judgments that were added.

        Raises
        ------
        NegmineValueError
            A line is not such an object, or the labels have another type than those of the journal; the message names
            the line.
        """
        source = files.input_file(file, "file")
        lines = list(read_lines(source))
        with self._open() as journal:
            known = next((line for _, payload in journal.records[:1] for line in self._parse(payload)), None)
            for number, line in lines:
                known = known or line
                for name in ("query_id", "document_id"):
                    if isinstance(getattr(line, name), str) != isinstance(getattr(known, name), str):
                        raise NegmineValueError(
                            f"`file` must have labels of the type of the others, such as {getattr(known, name)!r}; got "
                            f"{name} {getattr(line, name)!r} in {source}, line {number}."
                        )
            if lines:
                entries = [
                    [line.query_id, line.document_id, line.verdict, line.judge, line.log_prob] for _, line in lines
                ]
                payload = json.dumps(entries, separators=(",", ":")).encode()
                journal.append(len(payload), payload)
        return len(lines)

    @refuse_unknown_options("export")
    def export(
        self,
        pool: CandidatePool,
        budget: int,
        file: str | os.PathLike[str],
        *,
        query_ids: npt.ArrayLike | None = None,
        explore: float = 0.1,
        seed: int = 0,
    ) -> int:
        """Write the pairs of a pool that are most worth judging, as JSON lines for a judge to complete.

        The first ``ceil((1 - explore) * budget)`` pairs are those that score highest above their reference, which is
        where false negatives are. The others are drawn uniformly from the remaining pairs, with the probability of the
        draw, so that shares can be estimated. Pairs that have a verdict are left out; a pair in several result rows
        counts once, by its best one.

        Parameters
        ----------
        pool : CandidatePool
            The pool; it must have labels of the documents.
        budget : int
            Number of pairs to write, at least 1.
        file : path
            File to write; an existing one is replaced.
        query_ids : int64 or str (n_queries,), optional
            Unique labels of the queries of the pool's mining call, in order. Default: the labels that the pool has.
        explore : float, default 0.1
            Fraction of the budget that is drawn, in [0, 1].
        seed : int, default 0
            Seed of the draw, in [0, 2**64). The draw of a pair depends on the seed and its labels alone.

        Returns
        -------
        int
            Number of pairs that were written; fewer than ``budget`` only if no more are left.

        Raises
        ------
        NegmineValueError
            The pool has no labels of the documents or, without ``query_ids``, of the queries; labels have another type
            than those of the journal; or an option is out of range.
        NegmineTypeError
            An argument has a type that is not accepted.
        """
        if not isinstance(pool, CandidatePool):
            raise NegmineTypeError(f"`pool` must be a CandidatePool; got {type(pool).__name__}.")
        if pool.document_ids is None:
            raise NegmineValueError("`pool` must have labels of the documents; got one without. Mine with labels.")
        total = check_integer(budget, "budget", least=1)
        fraction = check_real(explore, "explore", least=0.0)
        if fraction > 1.0:
            raise NegmineValueError(f"`explore` must be at most 1; got {fraction}.")
        target, drawn_by = files.as_path(file, "file"), f"verdicts {check_seed(seed)}"
        given = pool.query_ids if query_ids is None else query_ids
        if given is None:
            raise NegmineValueError("`query_ids` must be given for a pool without labels of the queries; got None.")
        labels = as_ids(given, "query_ids", len(pool.rules.positives.offsets) - 1)
        query, document, excess = _pairs(pool)
        judged, _, _ = self._judged(labels, pool.document_ids)
        left = ~np.isin(query * len(pool.document_ids) + document, judged)
        query, document, excess = query[left], document[left], excess[left]
        # Pairs are in ascending order of (query, document), which a stable sort keeps among equals.
        order = np.argsort(-excess, kind="stable")
        n_best = min(math.ceil((1.0 - fraction) * total - 1e-9), len(order))
        rest = np.sort(order[n_best:])
        n_drawn = min(total - n_best, len(rest))
        keys = _mixed(
            _digests(labels, query[rest], "query", drawn_by)
            + _digests(pool.document_ids, document[rest], "document", drawn_by)
        )
        drawn = rest[np.argsort(keys, kind="stable")[:n_drawn]]
        log_prob = float(ln(np.array([n_drawn / len(rest)]))[0]) if n_drawn else 0.0
        chosen = np.concatenate([order[:n_best], drawn])
        names = zip(
            take_ids(labels, query[chosen]).tolist(),
            take_ids(pool.document_ids, document[chosen]).tolist(),
            [0.0] * n_best + [log_prob] * n_drawn,
            strict=True,
        )
        with files.atomic_file(target) as temporary, temporary.open("w", encoding="utf-8") as output:
            for query_id, document_id, probability in names:
                line = {"query_id": query_id, "document_id": document_id, "verdict": None, "judge": None}
                output.write(json.dumps(line | {"log_prob": probability}, ensure_ascii=False) + "\n")
        return len(chosen)

    @refuse_unknown_options("apply")
    def apply(
        self,
        positives: Positives | Iterable[Iterable[int]] | npt.ArrayLike,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
    ) -> AppliedVerdicts:
        """Change positives and exclusions by the verdicts, for the next mining call.

        The verdict on a pair is the one that most judges gave last; "drop" in case of a tie. "positive" makes the
        document a positive and takes it out of the exclusions, "drop" excludes it and takes it out of the positives,
        and "keep" changes nothing.

        Parameters
        ----------
        positives : Positives, one list of rows per query, or int64 (n_queries,)
            Positives of all queries, as rows of the corpus.
        exclude : Positives or one list of rows per query, optional
            Exclusions of all queries. Default: none.
        query_ids : int64 or str (n_queries,)
            Unique labels of the queries, in row order.
        document_ids : int64 or str (n_documents,)
            Unique labels of the documents, in row order.

        Returns
        -------
        AppliedVerdicts

        Raises
        ------
        NegmineValueError
            Lists and labels do not fit each other, labels have another type than those of the journal, or a positive
            lies outside the corpus.
        """
        known = Positives.read(positives, "positives", one_each=True)
        excluded = Positives.from_lists([[]] * len(known)) if exclude is None else Positives.read(exclude, "exclude")
        queries = as_ids(query_ids, "query_ids", len(known))
        documents = as_labels(document_ids, "document_ids")
        n = len(documents)
        documents = as_ids(documents, "document_ids", n)
        for lists, argument in ((known, "positives"), (excluded, "exclude")):
            if len(lists) != len(queries):
                raise NegmineValueError(f"`{argument}` must have length {len(queries)}; got {len(lists)}.")
            if len(lists.items) and (lists.items.min() < 0 or lists.items.max() >= n):
                bad = lists.items.min() if lists.items.min() < 0 else lists.items.max()
                raise NegmineValueError(f"`{argument}` must hold rows from 0 to {n - 1}; got {bad}.")
        keys, words, n_unknown = self._judged(queries, documents)
        relevant, dropped = keys[words == "positive"], keys[words == "drop"]
        before, barred = (lists.queries() * n + lists.items for lists in (known, excluded))
        return AppliedVerdicts(
            _lists(np.union1d(np.setdiff1d(before, dropped), relevant), len(queries), n),
            _lists(np.union1d(np.setdiff1d(barred, relevant), dropped), len(queries), n),
            len(relevant),
            len(dropped),
            int((words == "keep").sum()),
            n_unknown,
        )

    def share(self) -> FalseNegativeShare:
        """Estimate the share of false negatives among the pairs of an exported pool.

        The probabilities are those of one export, so the estimate is about the pairs that were left at that export. It
        is unbiased if all exported pairs were judged. It does not speak for documents outside the pool.

        Returns
        -------
        FalseNegativeShare

        Raises
        ------
        NegmineValueError
            No judged pair has a probability.
        """
        words, log_probs = self._logged()
        if not words:
            raise NegmineValueError("`share` must follow verdicts with a `log_prob`; got none.")
        return weighted_share(np.array([word != "keep" for word in words.values()]), exp(-log_probs))

    def sample(self, query_ids: Ids, document_ids: Ids) -> tuple[Rows, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return the judged pairs that have a probability.

        Parameters
        ----------
        query_ids : int64 (n_queries,) or Strings
            Unique labels of the queries, in row order.
        document_ids : int64 (n_documents,) or Strings
            Unique labels of the documents, in row order.

        Returns
        -------
        keys : int64 (n,)
            The pairs, as ``query * n_documents + document``, in ascending order.
        relevant : bool (n,)
            Whether the verdict is "positive" or "drop".
        weights : float64 (n,)
            One over the probability that the pair was exported.
        """
        words, log_probs = self._logged()
        keys, verdicts, inside = _find_pairs(words, query_ids, document_ids)
        order = np.argsort(keys, kind="stable")
        return keys[order], (verdicts != "keep")[order], exp(-log_probs[inside])[order]

    def _logged(self) -> tuple[dict[Pair, str], npt.NDArray[np.float64]]:
        """Return the verdict on every pair that has a probability, and the logarithms of these probabilities."""
        lines = self._lines()
        logged = {(line.query_id, line.document_id): line.log_prob for line in lines if line.log_prob is not None}
        judged = {pair: word for pair, word in majority_words(lines).items() if pair in logged}
        return judged, np.array([logged[pair] for pair in judged], dtype=np.float64)

    def _judged(self, query_ids: Ids, document_ids: Ids) -> tuple[Rows, npt.NDArray[np.str_], int]:
        """Return judged pairs as ``query * n_documents + document``, their verdicts, and the number of others."""
        keys, words, inside = _find_pairs(majority_words(self._lines()), query_ids, document_ids)
        return keys, words, int((~inside).sum())


def _find_pairs(
    words: dict[Pair, str], query_ids: Ids, document_ids: Ids
) -> tuple[Rows, npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
    """Return the pairs whose labels are known, as above, their verdicts, and which of all pairs they are."""
    if not words:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.str_), np.empty(0, dtype=np.bool_)
    rows = []
    for side, (known, argument) in enumerate(((query_ids, "query_ids"), (document_ids, "document_ids"))):
        judged = as_labels([pair[side] for pair in words], "file")
        if len(known) and isinstance(judged, Strings) != isinstance(known, Strings):
            raise NegmineValueError(
                f"`{argument}` must have the type of the labels of the journal, {describe_labels(judged)}; got "
                f"{describe_labels(known)}."
            )
        rows.append(find_labels(judged, known))
    inside = (rows[0] >= 0) & (rows[1] >= 0)
    keys = rows[0][inside] * len(document_ids) + rows[1][inside]
    return keys, np.array(list(words.values()))[inside], inside


def _pairs(pool: CandidatePool) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Return the distinct pairs of a pool, ascending by (query, document), and how far each is above its reference."""
    row, column = np.nonzero(pool.indices >= 0)
    query, document = pool.query_indices[row] - pool.query_offset, pool.indices[row, column]
    excess = pool.scores[row, column] - pool.reference_scores[row]
    excess[np.isnan(excess)] = -np.inf  # a query without a reference comes last
    order = np.lexsort((-excess, document, query))
    query, document, excess = query[order], document[order], excess[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (query[1:] != query[:-1]) | (document[1:] != document[:-1])
    return query[first], document[first], excess[first]


def _digests(labels: Ids, rows: Rows, side: str, name: str) -> npt.NDArray[np.uint64]:
    """Return the digest of the label of every row."""
    distinct, place = np.unique(rows, return_inverse=True)
    return label_digests(take_ids(labels, distinct), side, name)[place]


def _mixed(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix sums of digests, whose order would else be that of the documents, rotated by query (splitmix64)."""
    mixed: npt.NDArray[np.uint64] = keys[:, 0] ^ (keys[:, 1] >> np.uint64(7))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _lists(keys: Rows, n_queries: int, n_documents: int) -> Positives:
    """Return lists per query from ascending pairs."""
    query, document = keys // max(n_documents, 1), keys % max(n_documents, 1)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=n_queries))]).astype(np.int64)
    return Positives(offsets, document)
