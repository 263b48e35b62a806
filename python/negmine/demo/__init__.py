"""A small real data set to try things on: ``load`` reads it in a few milliseconds, with no download.

``wordnet_mini`` asks for the meanings of 1,200 everyday English nouns among 3,000 dictionary definitions.
Every noun has two to five meanings, and all of them are in the set. Label one meaning and hide the others,
and you know what real data never tells: which of the mined "negatives" are right answers that nobody has
labeled.

The texts and relations are from WordNet 3.0, whose notice stands beside the data as ``LICENSE.wordnet``.
The embeddings are all-MiniLM-L6-v2 embeddings, stored as integer codes. ``scripts/make_demo_set.py`` in the
repository makes the set, and ``data/README.md`` says how it was chosen and what to expect of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from negmine.data.positives import Positives

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DemoSet", "load"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DemoSet:
    """Queries, documents, their embeddings, and what is true of them.

    Attributes
    ----------
    queries : list of str, length n_queries
        What is asked, such as ``"define umbrella"``.
    lemmas : list of str, length n_queries
        The noun that each query asks for, in alphabetical order.
    documents : list of str, length n_documents
        Definitions. They seldom hold the noun that they define.
    names : list of str, length n_documents
        WordNet's handle of each meaning, such as ``"umbrella.n.01"``, in alphabetical order: a word that has
        the meaning, its part of speech, and which of the word's meanings it is. It need not be the word
        that a query asks for.
    query_embeddings : (n_queries, 384) float32
        Embeddings of length 1, up to 0.05 %.
    document_embeddings : (n_documents, 384) float32
        Likewise.
    positives : Positives
        For each query the rows of all meanings of its noun: every right answer. ``positives[i]`` are those of
        query ``i``.
    labeled : (n_queries,) int64
        For each query the row of the most frequent meaning: the one right answer to pretend to know.
    hypernyms : (n_hypernyms, 2) int64
        Rows (document, the more general document directly above it).
    siblings : (n_siblings, 2) int64
        Rows of two documents, the lower first, that stand directly under the same meaning, be it in the set
        or not.
    """

    queries: list[str]
    lemmas: list[str]
    documents: list[str]
    names: list[str]
    query_embeddings: NDArray[np.float32]
    document_embeddings: NDArray[np.float32]
    positives: Positives
    labeled: NDArray[np.int64]
    hypernyms: NDArray[np.int64]
    siblings: NDArray[np.int64]

    def __repr__(self) -> str:
        """Sizes, not contents."""
        n_queries, (n_documents, width) = len(self.queries), self.document_embeddings.shape
        return f"DemoSet({n_queries} queries, {n_documents} documents, {width} wide)"


def load() -> DemoSet:
    """Read the set that came with the package.

    Returns
    -------
    DemoSet
        Fresh arrays on each call, yours to change. The same bits on every machine: a vector is an integer
        code times its row's scale, rounded once.

    Examples
    --------
    >>> demo = load()
    >>> demo
    DemoSet(1200 queries, 3000 documents, 384 wide)
    >>> i = demo.lemmas.index("umbrella")
    >>> demo.queries[i]
    'define umbrella'
    >>> for row in demo.positives[i]:
    ...     print(demo.names[row], "-", demo.documents[row])
    umbrella.n.01 - a lightweight handheld collapsible canopy
    umbrella.n.02 - a formation of military planes maintained over ground operations or targets
    umbrella.n.03 - having the function of uniting a group of similar things
    """
    with files("negmine.demo").joinpath("data/wordnet_mini.npz").open("rb") as file, np.load(file) as stored:
        parents: NDArray[np.int64] = stored["parents"].astype(np.int64)
        documents = _lines(stored["documents"])
        return DemoSet(
            queries=_lines(stored["queries"]),
            lemmas=_lines(stored["lemmas"]),
            documents=documents,
            names=_lines(stored["names"]),
            query_embeddings=_vectors(stored["query_codes"], stored["query_scales"]),
            document_embeddings=_vectors(stored["document_codes"], stored["document_scales"]),
            positives=Positives.from_csr(stored["positives_offsets"], stored["positives_items"]),
            labeled=stored["labeled"].astype(np.int64),
            hypernyms=parents[parents[:, 1] < len(documents)],
            siblings=_siblings(parents),
        )


def _lines(stored: NDArray[np.uint8]) -> list[str]:
    return stored.tobytes().decode("utf-8").split("\n")


def _vectors(codes: NDArray[np.int8], scales: NDArray[np.float16]) -> NDArray[np.float32]:
    return codes.astype(np.float32) * scales.astype(np.float32)[:, None]


def _siblings(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs with a parent in common. Parents outside the set have numbers past the last document."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in parents.tolist():
        children[parent].append(child)
    pairs = {pair for rows in children.values() for pair in combinations(sorted(rows), 2)}
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
