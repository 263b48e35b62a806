"""Sources of negatives that are close to an entity or a label: same cluster, type, parent, spelling or embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.extras import require
from negmine._core.labels import refuse_surrogates
from negmine._core.options import check_integer, refuse_unknown_options
from negmine.clustering.clusters import Clusters
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sampling.entity_lists import RelationLists, SharedLists
from negmine.sampling.triples import HEAD, RELATION, TAIL, read_triples
from negmine.search.exact import ExactIndex

__all__ = ["cluster_neighbors", "embedding_neighbors", "pseudo_typed", "siblings", "string_neighbors"]

#: Similarities of strings that are in memory at once.
SIMILARITIES_AT_ONCE = 1 << 24

Rows = npt.NDArray[np.int64]


@refuse_unknown_options("cluster_neighbors")
def cluster_neighbors(clusters: Clusters, hops: int = 1) -> SharedLists:
    """List the members of the clusters nearest to that of each entity.

    Parameters
    ----------
    clusters : Clusters
        Clusters of the entities, such as k-means of embeddings of their descriptions.
    hops : int, default 1
        Number of clusters: that of the entity, and those with the nearest centroids by Euclidean distance, the lower
        ones of equals.

    Returns
    -------
    SharedLists
        The list of each entity, without the entity itself. It has one list per cluster in memory.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        ``clusters`` are not Clusters, or ``hops`` exceeds their number.

    Notes
    -----
    LEMON takes the clusters nearest to the kept entity itself, and its released pools hold that entity as well.

    References
    ----------
    LEMON (LanguagE ModeL for Negative Sampling of Knowledge Graph Embeddings), with 15 clusters and 3 hops on WN18RR.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> points = np.array([[0, 0], [0, 1], [5, 0], [5, 1], [9, 0]], dtype=np.float32)
    >>> clusters = negmine.kmeans(points, n_clusters=3, metric="l2", seed=1)
    >>> negmine.sampling.cluster_neighbors(clusters).expand()[0].tolist()
    [1]
    """
    if not isinstance(clusters, Clusters):
        raise NegmineTypeError(f"`clusters` must be Clusters; got {type(clusters).__name__}.")
    k = len(clusters)
    n_others = check_integer(hops, "hops", least=1, most=k) - 1
    own = Positives.from_csr(np.arange(k + 1), np.arange(k))
    centroids = clusters.centroids
    nearest = ExactIndex(centroids, metric="l2").search(centroids, n_others, exclude=own).indices
    members = [
        np.sort(np.concatenate([clusters.rows(number) for number in (cluster, *nearest[cluster].tolist())]))
        for cluster in range(k)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in members])])
    return SharedLists(Positives(offsets, np.concatenate(members)), clusters.labels)


@refuse_unknown_options("pseudo_typed")
def pseudo_typed(triples: npt.ArrayLike) -> RelationLists:
    """List the heads and the tails of each relation, as their types.

    Parameters
    ----------
    triples : int64 (n_triples, 3)
        Head, relation and tail of known triples.

    Returns
    -------
    RelationLists
        Lists of the relations from 0 to the highest one.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        ``triples`` are not integers of that shape.

    References
    ----------
    Krompass, Baier and Tresp, "Type-Constrained Representation Learning in Knowledge Graphs", ISWC 2015.

    Examples
    --------
    >>> from negmine.sampling import pseudo_typed
    >>> types = pseudo_typed([[0, 0, 5], [1, 0, 5], [2, 1, 3]])
    >>> types.heads[0].tolist(), types.tails[0].tolist()
    ([0, 1], [5])
    """
    read = read_triples(triples, "triples")
    n = int(read[:, RELATION].max(initial=-1)) + 1
    ensure_fits_in_memory(n, 1, "triples")
    heads, tails = (Positives.from_pairs(read[:, RELATION], read[:, side], n_queries=n) for side in (HEAD, TAIL))
    return RelationLists(heads, tails)


@refuse_unknown_options("siblings")
def siblings(parents: Positives | Iterable[Iterable[int]]) -> Positives:
    """List the siblings of each label in a taxonomy: the other children of its parents.

    An only child gets its cousins instead: the children of all children of its grandparents. A label without either has
    an empty list, whose share goes to the other sources of a sampler.

    Parameters
    ----------
    parents : Positives or one list of labels per label
        Parents of every label, as rows of labels; any number of them.

    Returns
    -------
    Positives
        One list of labels per label, without the label itself.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A parent does not exist, or labels are their own ancestors; the message names them.

    References
    ----------
    Decorte et al., "Design of Negative Sampling Strategies for Distantly Supervised Skill Extraction", 2022, draw the
    siblings of a skill in the ESCO taxonomy.

    Examples
    --------
    >>> from negmine.sampling import siblings
    >>> lists = siblings([[], [0], [0], [1], [2]])
    >>> [lists[label].tolist() for label in range(5)]
    [[], [2], [1], [4], [3]]
    """
    read = Positives.read(parents, "parents")
    n = len(read)
    if len(read.items) and (read.items.min() < 0 or read.items.max() >= n):
        bad = read.items.min() if read.items.min() < 0 else read.items.max()
        raise NegmineValueError(f"`parents` must hold labels from 0 to {n - 1}; got {bad}.")
    up = Csr(read.offsets, read.items)
    down = _inverse(up)
    _refuse_cycles(up, down)
    labels, others = _join(read.queries(), read.items, down)
    keep = labels != others
    labels, others = labels[keep], others[keep]
    alone = np.bincount(labels, minlength=n) == 0
    of_alone = alone[read.queries()]
    cousins = _join(read.queries()[of_alone], read.items[of_alone], up)
    for _ in range(2):
        cousins = _join(*cousins, down)
    keep = cousins[0] != cousins[1]
    both = np.concatenate([labels, cousins[0][keep]]), np.concatenate([others, cousins[1][keep]])
    return Positives.from_pairs(*both, n_queries=n)


@refuse_unknown_options("string_neighbors")
def string_neighbors(labels: Sequence[str], k: int) -> Positives:
    """List the labels that are spelled most like each label, by normalized Levenshtein similarity.

    Merge synonyms before: the label that is spelled most like a label may mean the same.

    Parameters
    ----------
    labels : sequence of str
        The labels.
    k : int
        Number of neighbors, at least 1; fewer only if fewer labels exist.

    Returns
    -------
    Positives
        One list of labels per label, without the label itself and others of the same spelling. Equal similarities are
        in the order of labels.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid.
    MissingExtraError
        rapidfuzz is not installed: ``pip install 'negmine[strings]'``.

    Examples
    --------
    >>> from negmine.sampling import string_neighbors
    >>> string_neighbors(["welder", "solder", "baker"], 1)[0].tolist()
    [1]
    """
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise NegmineTypeError("`labels` must be a sequence of strings.")
    refuse_surrogates(labels, "labels")
    width = check_integer(k, "k", least=1)
    fuzzy = require("rapidfuzz", "strings", "`string_neighbors`")
    similarity = fuzzy.distance.Levenshtein.normalized_similarity
    texts = list(labels)
    at_once = max(1, SIMILARITIES_AT_ONCE // max(len(texts), 1))
    found: list[Rows] = []
    for begin in range(0, len(texts), at_once):
        scores = fuzzy.process.cdist(texts[begin : begin + at_once], texts, scorer=similarity, dtype=np.float64)
        # Labels of the same spelling, and these alone, have similarity 1.
        found.extend(_highest(np.where(row < 1.0, row, -1.0), width) for row in scores)
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in found])]).astype(np.int64)
    return Positives(offsets, np.concatenate([np.empty(0, dtype=np.int64), *found]))


@refuse_unknown_options("embedding_neighbors")
def embedding_neighbors(index: ExactIndex, k: int, *, num_threads: int | None = None) -> Positives:
    """List the nearest neighbors of each row of an index.

    Parameters
    ----------
    index : ExactIndex
        Index of the embeddings of all entities or labels.
    k : int
        Number of neighbors, at least 1; fewer only if fewer rows exist.
    num_threads : int, optional
        Number of threads. Default: that of the index.

    Returns
    -------
    Positives
        One list of rows per row, without the row itself.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> index = negmine.ExactIndex(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32))
    >>> negmine.sampling.embedding_neighbors(index, 1)[0].tolist()
    [2]
    """
    if not isinstance(index, ExactIndex):
        raise NegmineTypeError(f"`index` must be an ExactIndex; got {type(index).__name__}.")
    n, width = len(index), check_integer(k, "k", least=1)
    own = Positives(np.arange(n + 1), np.arange(n))
    found = index.search(index.corpus, width, exclude=own, num_threads=num_threads).indices
    rows, places = np.nonzero(found >= 0)
    return Positives.from_pairs(rows, found[rows, places], n_queries=n)


def _highest(scores: npt.NDArray[np.float64], k: int) -> Rows:
    """Return the rows of the k highest scores of at least 0, ascending; the lower ones of equals."""
    rows = np.flatnonzero(scores >= 0.0)
    if len(rows) > k:
        least = np.partition(scores[rows], len(rows) - k)[len(rows) - k]
        above, equal = rows[scores[rows] > least], rows[scores[rows] == least]
        rows = np.sort(np.concatenate([above, equal[: k - len(above)]]))
    return rows.astype(np.int64)


def _inverse(lists: Csr) -> Csr:
    """Return the lists that hold each row."""
    holders = np.repeat(np.arange(len(lists.offsets) - 1), np.diff(lists.offsets))
    order = np.argsort(lists.items, kind="stable")
    offsets = np.searchsorted(lists.items[order], np.arange(len(lists.offsets)))
    return Csr(offsets.astype(np.int64), holders[order])


def _join(left: Rows, rows: Rows, lists: Csr) -> tuple[Rows, Rows]:
    """Return the distinct pairs of an entry of ``left`` and an entry of the list of the row next to it."""
    lengths = np.diff(lists.offsets)[rows]
    ensure_fits_in_memory(int(lengths.sum()), 1, "parents", entry=48)
    begins = np.repeat(lists.offsets[:-1][rows] - np.cumsum(lengths) + lengths, lengths)
    width = np.int64(max(len(lists.offsets), 1))
    keys = np.unique(np.repeat(left, lengths) * width + lists.items[np.arange(lengths.sum()) + begins])
    return keys // width, keys % width


def _refuse_cycles(parents: Csr, children: Csr) -> None:
    """Raise an error that names labels that are their own ancestors."""
    waiting = np.diff(parents.offsets)
    done = np.flatnonzero(waiting == 0)
    while len(done):
        _, below = _join(done, done, children)
        np.subtract.at(waiting, below, 1)
        waiting[done] = -1
        done = np.unique(below[waiting[below] == 0])
    if (waiting > 0).any():
        label = int(np.argmax(waiting > 0))
        places: dict[int, int] = {}
        while label not in places:
            places[label] = len(places)
            above = parents.items[parents.offsets[label] : parents.offsets[label + 1]]
            label = int(above[waiting[above] > 0][0])
        cycle = [*list(places)[places[label] :], label]
        raise NegmineValueError(f"`parents` must not contain a cycle; got {' -> '.join(map(str, cycle))}.")
