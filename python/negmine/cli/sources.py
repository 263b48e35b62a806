"""Input files of ``negmine mine``: read and join them into the arguments of a miner."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import io
from negmine._core import files
from negmine._core.labels import Ids, codes_of, concatenate
from negmine._core.options import check_integer
from negmine.cli.encoding import Model
from negmine.cli.errors import ArgumentError, arguments
from negmine.data.positives import Positives
from negmine.data.qrels import like
from negmine.data.runs import Run
from negmine.errors import NegmineError, NegmineValueError, NegmineWarning
from negmine.io.embeddings import load_embeddings
from negmine.io.groups import load_groups
from negmine.io.lines import compressed
from negmine.io.qrels import load_qrels, load_run
from negmine.io.tables import TABLE_SUFFIXES
from negmine.io.texts import load_texts
from negmine.search.lists import ScoredLists

__all__ = ["Sources", "Task", "read", "read_folder"]

#: Suffixes of runs; other files are judgments.
RUN_SUFFIXES = compressed((".run", ".trec"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Files of queries, documents and judgments, as the options of ``negmine mine``."""

    beir: Path | None
    split: str | None
    embeddings: str | None
    queries: Path | None
    corpus: Path | None
    positives: Path | None
    query_texts: Path | None
    document_texts: Path | None
    runs: tuple[Path, ...]
    model: Model
    embedding_name: str | None
    id_name: str | None
    exclude: Path | None
    min_grade: int
    exclude_lower_grades: bool
    unknown: str
    same_text: bool
    groups: Path | None = None

    def __post_init__(self) -> None:
        if self.runs:
            for name in ("queries", "corpus", "embeddings", "embedding_name", "id_name"):
                if getattr(self, name) is not None:
                    option = name.replace("_", "-")
                    raise ArgumentError(f"`--{option}` must not be given with `--run`, whose scores are taken.")
        if self.model.name is not None:
            self._check_model()
        if self.beir is None:
            for name in self._needed():
                if getattr(self, name.replace("-", "_")) is None:
                    raise ArgumentError(f"`--{name}` must be given where `--beir` is not.")
            if self.embeddings is not None:
                raise ArgumentError(f"`--embeddings` must come with `--beir`; got {self.embeddings!r} alone.")
        else:
            for name in ("positives", "query_texts", "document_texts", "id_name"):
                if getattr(self, name) is not None:
                    raise ArgumentError(f"`--{name.replace('_', '-')}` must not be given with `--beir`, which has it.")
        if self.id_name is not None and (self.query_texts is not None or self.document_texts is not None):
            raise ArgumentError("`--id-name` must not be given with files of texts, whose labels are taken.")
        tables = [path for path in (self.queries, self.corpus) if path and files.suffix_of(path) in TABLE_SUFFIXES]
        if self.id_name is not None and not tables:
            raise ArgumentError("`--id-name` must come with a table of embeddings; got files without columns.")
        check_integer(self.min_grade, "min_grade", least=-(2**31))
        if self.unknown not in ("error", "drop"):
            raise ArgumentError(f"`--unknown` must be 'error' or 'drop'; got {self.unknown!r}.")

    def _check_model(self) -> None:
        for name in ("runs", "queries", "corpus", "embeddings", "embedding_name", "id_name"):
            if getattr(self, name):
                option = name.replace("_", "-").replace("runs", "run")
                raise ArgumentError(f"`--{option}` must not be given with `--model`, which encodes the texts.")

    def _needed(self) -> tuple[str, ...]:
        """Options that must be given without a folder."""
        if self.runs:
            return ("positives",)
        if self.model.name is not None:
            return ("query-texts", "document-texts", "positives")
        return ("queries", "corpus", "positives")

    def check_texts(self, form: str) -> None:
        """Refuse a format that needs texts if no texts are given."""
        if self.beir is None and (self.query_texts is None or self.document_texts is None):
            raise ArgumentError(f"`--query-texts` and `--document-texts` must be given for `--format {form}`.")


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Arguments of a miner.

    Attributes
    ----------
    queries : array (n_queries, width) or None
        Embeddings of the queries; None if runs give the candidates.
    corpus : array (n_documents, width), or tuple of ScoredLists
        Embeddings of the documents, or the lists of one or several runs.
    positives : Positives
        Relevant documents per query.
    exclude : Positives or None
        Further documents per query that are never negatives.
    groups : int64 (n_documents,) or None
        Groups of a file, or else of documents with the same text; None if no two documents share a text.
    query_ids, document_ids : int64 or str (n,) or None
        Labels; None if the rows are the labels.
    query_texts, document_texts : Texts or None
        Texts; None if no texts are given.
    n_judgments : int
        Number of judgments in the file of positives.
    n_unknown_excluded : int
        Number of entries of ``--exclude`` that were dropped because their labels are not among the rows.
    """

    queries: npt.NDArray[Any] | None
    corpus: npt.NDArray[Any] | tuple[ScoredLists, ...]
    positives: Positives
    exclude: Positives | None
    groups: npt.NDArray[np.int64] | None
    query_ids: Ids | None
    document_ids: Ids | None
    query_texts: io.Texts | None
    document_texts: io.Texts | None
    n_judgments: int
    n_unknown_excluded: int

    @property
    def n_grouped(self) -> int:
        """Number of documents that are in a group."""
        return 0 if self.groups is None else int((self.groups >= 0).sum())


def read(sources: Sources) -> Task:
    """Read and join all files."""
    if sources.runs:
        return _from_runs(sources)
    if sources.model.name is not None:
        return _from_model(sources)
    if sources.beir is not None:
        return _from_beir(sources, sources.beir)
    queries = load_embeddings(
        sources.queries, "queries", name=sources.embedding_name, id_name=_id_name(sources, sources.queries)
    )
    corpus = load_embeddings(
        sources.corpus, "corpus", name=sources.embedding_name, id_name=_id_name(sources, sources.corpus)
    )
    query_texts = _texts(sources.query_texts, "query_texts", len(queries))
    document_texts = _texts(sources.document_texts, "document_texts", len(corpus))
    with arguments("split"):
        qrels = load_qrels(sources.positives, "positives", split=sources.split)
    return _task(
        sources,
        (queries.rows, corpus.rows),
        queries.ids if query_texts is None else query_texts.ids,
        corpus.ids if document_texts is None else document_texts.ids,
        qrels,
        query_texts,
        document_texts,
    )


def _from_model(sources: Sources) -> Task:
    """Encode the texts, whose labels are taken."""
    if sources.beir is not None:
        with arguments("split"), _beir():
            found = io.read_beir(sources.beir, split=sources.split)
        qrels, queries, documents = found.qrels, found.queries, found.documents
    else:
        queries = load_texts(sources.query_texts, "query_texts")
        documents = load_texts(sources.document_texts, "document_texts")
        with arguments("split"):
            qrels = load_qrels(sources.positives, "positives", split=sources.split)
    embeddings = sources.model.encode(queries, documents)
    return _task(sources, embeddings, queries.ids, documents.ids, qrels, queries, documents)


def _from_runs(sources: Sources) -> Task:
    """Take candidates from runs; labels come from texts, or else from the runs and the judgments."""
    query_texts: io.Texts | None
    document_texts: io.Texts | None
    if sources.beir is not None:
        with arguments("split"), _beir():
            found = io.read_beir(sources.beir, split=sources.split)
        qrels, query_texts, document_texts = found.qrels, found.queries, found.documents
    else:
        query_texts = None if sources.query_texts is None else load_texts(sources.query_texts, "query_texts")
        document_texts = (
            None if sources.document_texts is None else load_texts(sources.document_texts, "document_texts")
        )
        with arguments("split"):
            qrels = load_qrels(sources.positives, "positives", split=sources.split)
    runs = [load_run(path, "run") for path in sources.runs]
    named: list[io.Qrels | Run] = [qrels, *runs]
    query_ids = _union([one.query_ids for one in named], "query_ids") if query_texts is None else query_texts.ids
    document_ids = (
        _union([one.document_ids for one in named], "document_ids") if document_texts is None else document_texts.ids
    )
    lists = []
    for path, run in zip(sources.runs, runs, strict=True):
        if not np.isfinite(run.scores).all():
            raise NegmineValueError(f"`run` must have finite scores; {path} has NaN or infinity.")
        with _naming(path):
            lists.append(
                ScoredLists.from_run(
                    run,
                    query_ids=query_ids,
                    document_ids=document_ids,
                    unknown=sources.unknown,  # type: ignore[arg-type]
                )
            )
    return _task(sources, (None, tuple(lists)), query_ids, document_ids, qrels, query_texts, document_texts)


def _union(labels: list[Ids], argument: str) -> Ids:
    """Return all labels that occur, in ascending order."""
    joined = labels[0]
    for others in labels[1:]:
        joined = concatenate(joined, like(others, joined, argument))
    return codes_of(joined)[0]


def _id_name(sources: Sources, path: Path | None) -> str | None:
    """Return the name of the column of labels for tables, which alone have columns."""
    return None if path is None or files.suffix_of(path) in (".npy", ".safetensors") else sources.id_name


def _texts(path: Path | None, argument: str, n: int) -> io.Texts | None:
    if path is None:
        return None
    texts = load_texts(path, argument)
    if len(texts) != n:
        raise NegmineValueError(f"`{argument}` must have a text per row of embeddings, {n}; {path} has {len(texts)}.")
    return texts


def _from_beir(sources: Sources, folder: Path) -> Task:
    found, embeddings = read_folder(
        folder, sources.split, sources.embeddings, sources.queries, sources.corpus, sources.embedding_name
    )
    return _task(
        sources, embeddings, found.queries.ids, found.documents.ids, found.qrels, found.queries, found.documents
    )


def read_folder(
    folder: Path,
    split: str | None,
    embeddings: str | None,
    queries_path: Path | None,
    corpus_path: Path | None,
    embedding_name: str | None,
) -> tuple[io.RetrievalSet, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Read a folder in BEIR's layout, and embeddings of the split's queries and of all documents."""
    if (queries_path is None) != (corpus_path is None):
        raise ArgumentError("`--queries` and `--corpus` must be given both or neither with `--beir`.")
    with arguments("split", "embeddings"), _beir():
        found = io.read_beir(folder, split=split, embeddings=embeddings)
    queries, corpus = found.query_embeddings, found.corpus_embeddings
    if queries_path is not None:
        all_queries = load_embeddings(queries_path, "queries", name=embedding_name).rows
        corpus = load_embeddings(corpus_path, "corpus", name=embedding_name).rows
        if len(corpus) != len(found.documents):
            raise NegmineValueError(
                f"`corpus` must have a row per document of the folder, {len(found.documents)}; got {len(corpus)}."
            )
        n_queries = found.n_all_queries
        if len(all_queries) != n_queries:
            raise NegmineValueError(
                f"`queries` must have a row per query of the folder, {n_queries}; got {len(all_queries)}."
            )
        queries = all_queries[found.query_indices]
    if queries is None or corpus is None:
        raise ArgumentError(f"`--queries` and `--corpus` must give embeddings; {folder} has none of its own.")
    return found, (queries, corpus)


def _task(
    sources: Sources,
    embeddings: tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | tuple[ScoredLists, ...]],
    query_ids: Ids | None,
    document_ids: Ids | None,
    qrels: io.Qrels,
    query_texts: io.Texts | None,
    document_texts: io.Texts | None,
) -> Task:
    queries, corpus = embeddings
    rows: dict[str, Any] = {
        "query_ids": np.arange(len(queries)) if query_ids is None and queries is not None else query_ids,
        "document_ids": np.arange(len(corpus)) if document_ids is None else document_ids,
    }
    unlabeled = query_ids is None or document_ids is None
    with _naming(sources.positives, unlabeled=unlabeled):
        positives = qrels.positives(**rows, min_grade=sources.min_grade, unknown=sources.unknown)  # type: ignore[arg-type]
    excluded = [positives.lower_grades()] if sources.exclude_lower_grades else []
    if sources.exclude is not None:
        with _naming(sources.exclude, unlabeled=unlabeled):
            excluded.append(_exclusions(sources.exclude).lists(**rows, unknown=sources.unknown))  # type: ignore[arg-type]
        if not len(excluded[-1].items):
            warnings.warn(
                f"`exclude` names no document of any query; got {sources.exclude}.", NegmineWarning, stacklevel=2
            )
    groups = None
    if sources.groups is not None:
        with _naming(None, unlabeled=unlabeled):
            groups = load_groups(
                sources.groups, "groups", document_ids=rows["document_ids"], drop_unknown=sources.unknown == "drop"
            )
    elif sources.same_text and document_texts is not None:
        groups = io.same_text_groups(document_texts)
        groups = groups if (groups >= 0).any() else None
    return Task(
        queries,
        corpus,
        positives,
        _joined(excluded),
        groups,
        query_ids,
        document_ids,
        query_texts,
        document_texts,
        n_judgments=len(qrels),
        n_unknown_excluded=sum(lists.unknown_judgments for lists in excluded),
    )


def _exclusions(path: Path) -> io.Qrels | io.Run:
    return load_run(path, "exclude") if files.suffix_of(path) in RUN_SUFFIXES else load_qrels(path, "exclude")


@contextlib.contextmanager
def _beir() -> Iterator[None]:
    """Make errors name the option that gave the folder."""
    try:
        yield
    except NegmineError as error:
        raise type(error)(str(error).replace("`folder`", "`beir`")) from error


@contextlib.contextmanager
def _naming(path: Path | None, *, unlabeled: bool = False) -> Iterator[None]:
    """Make errors name the file of the labels, and the options that give labels of rows."""
    try:
        yield
    except NegmineError as error:
        message = f"{path}: {error}" if path else str(error)
        if unlabeled:
            message += (
                " Row numbers are the labels here; `--query-texts` and `--document-texts`, or `--id-name`, give others."
            )
        raise type(error)(message) from error


def _joined(lists: list[Positives]) -> Positives | None:
    if not lists:
        return None
    return Positives.from_pairs(
        np.concatenate([one.queries() for one in lists]),
        np.concatenate([one.items for one in lists]),
        n_queries=len(lists[0]),
    )
