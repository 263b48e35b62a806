"""Demo data set: a small real data set for examples, which ``load`` reads in a few milliseconds, without a download.

The queries of ``wordnet_mini`` ask for the meanings of 1,200 everyday English nouns, and the documents are 3,000
dictionary definitions. Every noun has two to five meanings, all of which are in the data set. If one meaning is labeled
and the others are hidden, the data set shows what real data does not: which of the mined "negatives" are correct
answers without a label.

The texts and relations are from WordNet 3.0, whose notice is stored next to the data as ``LICENSE.wordnet``. The
embeddings were computed with all-MiniLM-L6-v2 and are stored as integer codes. ``scripts/make_demo_set.py`` in the
repository creates the data set, and ``data/README.md`` describes how it was selected and what results to expect.
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
    """Queries, documents, their embeddings, and the true relations between them.

    Attributes
    ----------
    queries : list of str, length n_queries
        Text of each query, such as ``"define umbrella"``.
    lemmas : list of str, length n_queries
        Noun that each query asks for, in alphabetical order.
    documents : list of str, length n_documents
        Definitions. They rarely contain the noun that they define.
    names : list of str, length n_documents
        WordNet identifier of each meaning, such as ``"umbrella.n.01"``, in alphabetical order: a word with this
        meaning, its part of speech, and the number of the meaning among those of the word. The word may differ from the
        one that a query asks for.
    query_embeddings : float32 (n_queries, 384)
        Embeddings of the queries; their norms are 1 within 0.05 %.
    document_embeddings : float32 (n_documents, 384)
        Embeddings of the documents; their norms are 1 within 0.05 %.
    positives : Positives
        All correct answers: ``positives[i]`` holds the rows of all meanings of the noun of query ``i``.
    labeled : int64 (n_queries,)
        Row of the most frequent meaning per query: the one correct answer that is treated as known.
    hypernyms : int64 (n_hypernyms, 2)
        Rows (document, the more general document directly above it).
    siblings : int64 (n_siblings, 2)
        Rows of two documents, the lower first, that are directly below the same meaning; that meaning need not be in
        the data set.
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
        """Return the sizes, not the contents."""
        n_queries, (n_documents, width) = len(self.queries), self.document_embeddings.shape
        return f"DemoSet({n_queries} queries, {n_documents} documents, {width} wide)"


def load() -> DemoSet:
    """Load the data set that is part of the package.

    Returns
    -------
    DemoSet
        New arrays on each call, which may be modified. Their bits are the same on every machine: an embedding is an
        integer code times the scale of its row, rounded once.

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
    with (
        files("negmine.demo").joinpath("data/wordnet_mini.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
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
    """Return pairs with a common parent. Parents outside the data set have numbers after the last document."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in parents.tolist():
        children[parent].append(child)
    pairs = {pair for rows in children.values() for pair in combinations(sorted(rows), 2)}
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
