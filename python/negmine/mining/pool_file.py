"""File of a candidate pool: what is written, and the fields that are read back."""

from __future__ import annotations

import os
from types import NoneType
from typing import TYPE_CHECKING, Any

from negmine._core import archive, formats
from negmine._core.arrays import csr_of_file
from negmine._core.labels import as_ids, from_arrays, to_arrays
from negmine.data.eligibility import Eligibility
from negmine.mining.rejected import Rejected
from negmine.mining.report import LINE_NAMES, Report
from negmine.mining.sources import PoolSources
from negmine.search.request import Rules

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["read_fields", "write_pool"]

#: Entries of the header, with their types.
_ENTRIES: archive.Entries = {"each": bool, "query_offset": int, "report": dict, "skipped": (int, NoneType)}

#: Array fields of every pool.
_ARRAYS = (
    "indices",
    "scores",
    "counts",
    "reasons",
    "reference_scores",
    "positive_scores",
    "query_indices",
    "positive_indices",
    "cap_scores",
    "floor_scores",
)

#: Array fields of pools that keep rejected documents.
_REJECTED = ("rejected_indices", "rejected_scores", "rejected_rules")

#: Array fields of pools with a guide.
_GUIDE = ("guide_scores", "guide_positive_scores")


def write_pool(pool: CandidatePool, path: str | os.PathLike[str]) -> None:
    """Write a pool to one file, atomically.

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    path : path
        The file; its folder must exist.
    """
    header = {
        "each": pool.each,
        "query_offset": pool.query_offset,
        "skipped": pool.skipped,
        "report": pool.report.header(),
    }
    rules, sources = pool.rules, pool.sources
    arrays = {name: getattr(pool, name) for name in (*_ARRAYS, *_GUIDE)}
    arrays |= to_arrays("document_ids", pool.document_ids) | to_arrays("query_ids", pool.query_ids)
    arrays |= {
        "positives_offsets": rules.positives.offsets,
        "positives_items": rules.positives.items,
        "exclude_offsets": None if rules.exclude is None else rules.exclude.offsets,
        "exclude_items": None if rules.exclude is None else rules.exclude.items,
        "self_rows": rules.self_rows,
        "groups": rules.groups,
        "categories": pool.categories,
        "random_weights": pool.random_weights,
        "source_ranks": None if sources is None else sources.ranks,
        "source_scores": None if sources is None else sources.scores,
    }
    if rules.eligible is not None:
        arrays |= rules.eligible.arrays()
    if pool.rejected is not None:
        arrays |= {name: getattr(pool.rejected, name.removeprefix("rejected_")) for name in _REJECTED}
    archive.write(path, formats.CANDIDATE_POOL, header, arrays | pool.report.arrays())


def read_fields(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the fields of a pool from its file.

    Parameters
    ----------
    path : path
        A file of [`write_pool`][].

    Returns
    -------
    dict
        Arguments of [`CandidatePool`][].

    Raises
    ------
    NegmineValueError
        There is no such file, or the file does not hold a candidate pool.
    """
    needed = (*_ARRAYS, "positives_offsets", "positives_items", *LINE_NAMES)
    form = formats.CANDIDATE_POOL
    header, arrays = archive.read(path, form, _ENTRIES, needed)
    exclude = archive.together(path, form, arrays, "exclude_offsets", "exclude_items")
    guide = archive.together(path, form, arrays, *_GUIDE)
    sources = archive.together(path, form, arrays, "source_ranks", "source_scores")
    rejected = archive.together(path, form, arrays, *_REJECTED)
    fields: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
    if guide is not None:
        fields |= zip(_GUIDE, guide, strict=True)
    with archive.whole(path, form):
        report, labels = Report.from_header(header["report"], arrays), from_arrays("document_ids", arrays)
        ids = None if labels is None else as_ids(labels, "document_ids", report.n_documents)
        return fields | {
            "report": report,
            "each": header["each"],
            "query_offset": header["query_offset"],
            "skipped": header["skipped"],
            "query_ids": from_arrays("query_ids", arrays),
            "categories": arrays.get("categories"),
            "random_weights": arrays.get("random_weights"),
            "document_ids": ids,
            "rejected": None if rejected is None else Rejected(rejected[0], rejected[1], rejected[2], ids),
            "rules": Rules(
                positives=csr_of_file(arrays["positives_offsets"], arrays["positives_items"], "positives"),
                exclude=None if exclude is None else csr_of_file(exclude[0], exclude[1], "exclude"),
                self_rows=arrays.get("self_rows"),
                groups=arrays.get("groups"),
                eligible=Eligibility.from_arrays(arrays),
            ),
            "sources": None if sources is None else PoolSources(*sources),
        }
