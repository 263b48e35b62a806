"""Oversampling of rare classes by interpolation: SMOTE (JAIR 2002) and the methods that were derived from it."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_array, as_rows, refuse_not_finite
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, resolve_num_threads
from negmine._core.labels import as_labels, codes_of
from negmine._core.options import check_choice, check_flag, check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.clustering.clusters import Clusters, kmeans
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.synthesis.kinds import KINDS, Part, Task
from negmine.synthesis.neighbors import Indices, NeighborGraph

__all__ = ["Synthetic", "oversample"]

Kind: TypeAlias = Literal["smote", "borderline1", "borderline2", "adasyn", "kmeans", "boundary"]

GAPS = ("scalar", "per_dim")

#: Kinds that need the ``k`` nearest of all rows, and those that need the ``m`` nearest.
K_AMONG_ALL = ("adasyn", "borderline2")
M_AMONG_ALL = ("borderline1", "borderline2", "boundary")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """Rows that [`oversample`][] made: only new rows, class after class in the order of their labels.

    Attributes
    ----------
    X : float32 (m, width)
        The new rows.
    y : array (m,)
        Their labels, of the type of the given ones.
    parents : int64 (m, 2)
        The rows of the input between which, or on whose line, each new row lies: the seed and its neighbor.
    step : float32 (m,) or (m, width)
        Position on the way from the seed (0) to the neighbor (1); negative beyond the seed. With ``gap="per_dim"``, one
        per coordinate.
    skipped : list
        Labels of the classes that got no rows because none of their rows is a seed: no row is in danger, and for
        ``"boundary"`` none is next to another class.
    num_zero_sums : int
        Number of new rows that ``unit_norm`` could not normalize because they were zero; they equal their seed.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    parents: Indices
    step: npt.NDArray[np.float32]
    skipped: list[Any]
    num_zero_sums: int


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Parents and steps of some rows of a class."""

    number: int
    parents: Indices
    step: npt.NDArray[np.float32]


@overload
def oversample(
    X: object,
    y: npt.ArrayLike,
    *,
    target: Literal["auto"] | Mapping[Any, int] = "auto",
    kind: Kind = "smote",
    k: int = 5,
    m: int = 10,
    n_clusters: int = 8,
    gap: Literal["scalar", "per_dim"] = "scalar",
    unit_norm: bool = False,
    seed: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Synthetic: ...


@overload
def oversample(
    X: object,
    y: npt.ArrayLike,
    *,
    target: Literal["auto"] | Mapping[Any, int] = "auto",
    kind: tuple[Kind, ...] | list[Kind],
    k: int = 5,
    m: int = 10,
    n_clusters: int = 8,
    gap: Literal["scalar", "per_dim"] = "scalar",
    unit_norm: bool = False,
    seed: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Synthetic]: ...


@refuse_unknown_options("oversample")
def oversample(
    X: object,
    y: npt.ArrayLike,
    *,
    target: Literal["auto"] | Mapping[Any, int] = "auto",
    kind: Kind | Sequence[Kind] = "smote",
    k: int = 5,
    m: int = 10,
    n_clusters: int = 8,
    gap: Literal["scalar", "per_dim"] = "scalar",
    unit_norm: bool = False,
    seed: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Synthetic | dict[str, Synthetic]:
    """Make new rows of rare classes by interpolation between their rows and nearest neighbors.

    Neighbors are exact, by Euclidean distance, ties by row; a row is not its own neighbor, and equal rows are. Every
    class gets exactly the number of rows that ``target`` asks for. The result is the same for any number of threads.

    Parameters
    ----------
    X : array (n, width)
        Embeddings or other features, of the same types as for [`negmine.ExactIndex`][].
    y : int, bool or str (n,)
        Label of every row.
    target : "auto" or dict of label to int, default "auto"
        Size of classes afterwards. ``"auto"``: every class becomes as large as the largest one. With a dictionary, the
        classes that it lacks get no rows.
    kind : str, or sequence of str, default "smote"
        What is interpolated. With several kinds, which then share their search for neighbors, a dictionary of kind to
        result is returned.

        - ``"smote"``: any row of the class and one of its ``k`` neighbors within the class, all such pairs with equal
          probability.
        - ``"borderline1"``: as before, from rows in danger only: at least half of the ``m`` nearest of all rows are of
          other classes, but not all of them.
        - ``"borderline2"``: rows in danger and one of their ``k`` neighbors among all rows; the step toward a neighbor
          of another class is drawn from (0, .5).
        - ``"adasyn"``: every row in proportion to the number of rows of other classes among the ``k`` nearest of all
          rows, by largest remainders in row order, and one of its ``k`` neighbors within the class.
        - ``"kmeans"``: ``"smote"`` within clusters of all rows that have more than ``k`` rows of the class and at
          least half of the class's share of all rows to be made; sparse clusters get more rows.
        - ``"boundary"``: rows in danger as ``"borderline1"``, and rows of which fewer than half of the ``m`` nearest,
          but at least one, are of other classes; the latter are moved away from a neighbor within the class, with a
          step in (-.5, 0). The share of the former is drawn from Beta(10, 10).
    k : int, default 5
        Number of neighbors to interpolate with. A class of ``k`` rows or fewer uses all its other rows.
    m : int, default 10
        Number of neighbors among all rows that decide whether a row is in danger.
    n_clusters : int, default 8
        Number of clusters of ``kind="kmeans"``.
    gap : {"scalar", "per_dim"}, default "scalar"
        Whether one step is drawn per row, so that it lies on the line of its parents, or one per coordinate.
    unit_norm : bool, default False
        Whether new rows are divided by their norms, for embeddings of norm 1.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms, in every stage of the work.

    Returns
    -------
    Synthetic, or dict of str to Synthetic
        The new rows, without the given ones.

    Raises
    ------
    NegmineValueError
        A value of ``X`` is not finite, ``X`` and ``y`` differ in length, a class that needs rows has only one, a target
        is below the size of its class, a label is unknown, or no cluster or seed row can be used for ``"kmeans"`` or
        ``"adasyn"``; the message names the class.
    NegmineTypeError
        A type or dtype is not accepted.
    MemoryLimitError
        The result would not fit in memory.

    Notes
    -----
    The original ADASYN rounds the number of every row, so that the sum may differ from the target; here it does not.
    SVM-SMOTE takes support vectors as seeds where ``"boundary"`` takes rows next to another class. In ``"kmeans"``,
    distances are divided by their mean over the clusters, since the published exponent, which grows with the size of
    the cluster, makes results depend on the unit of length.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer: "SMOTE: Synthetic minority over-sampling technique", JAIR 2002. Han, Wang and
    Mao: "Borderline-SMOTE", ICIC 2005. He, Bai, Garcia and Li: "ADASYN", IJCNN 2008. Nguyen, Cooper and Kamei:
    "Borderline over-sampling for imbalanced data classification", 2011. Douzas, Bacao and Last: "Improving imbalanced
    learning through a heuristic oversampling method based on k-means and SMOTE", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.synthesis import oversample
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [5, 5], [6, 5]], dtype=np.float32)
    >>> made = oversample(X, ["a", "a", "a", "b", "b"])
    >>> made.y.tolist(), sorted(made.parents[0].tolist())
    (['b'], [3, 4])
    """
    several = not isinstance(kind, str)
    kinds = _kinds(kind)
    values, given, names, classes = _data(X, y)
    sizes = np.bincount(classes, minlength=len(names))
    missing = _missing(target, names, sizes)
    neighbors, danger = check_integer(k, "k", least=1), check_integer(m, "m", least=1)
    clusters = check_integer(n_clusters, "n_clusters", least=1)
    if "kmeans" in kinds and clusters > len(values):
        raise NegmineValueError(f"`n_clusters` must be at most the number of rows, {len(values)}; got {clusters}.")
    per_dim = check_choice(gap, "gap", GAPS) == "per_dim"
    normed, number = check_flag(unit_norm, "unit_norm"), check_seed(seed)
    threads, report = resolve_num_threads(num_threads), check_progress(progress)
    width = max(
        neighbors if set(kinds) & set(K_AMONG_ALL) else 0,
        danger if set(kinds) & set(M_AMONG_ALL) else 0,
    )
    ensure_fits_in_memory(sum(missing.values()), values.shape[1], "target", entry=8 if per_dim else 4)
    graph = NeighborGraph(values, classes, neighbors, width, len(kinds) > 1, threads, report)

    @functools.cache
    def clustered() -> Clusters:
        return kmeans(values, n_clusters=clusters, metric="l2", seed=number, num_threads=threads, progress=report)

    results = {}
    for name in kinds:
        drawn: list[Drawn] = []
        for place, num in missing.items():
            task = Task(
                graph=graph,
                number=place,
                num=num,
                total=sum(missing.values()),
                label=names[place],
                k=neighbors,
                m=danger,
                seed=number,
                clusters=clustered,
            )
            drawn += _draw(name, task, values.shape[1] if per_dim else 1)
        skipped = [names[place] for place in missing if not any(part.number == place for part in drawn)]
        results[name] = _synthetic(drawn, values, given, skipped, per_dim, normed, threads, report)
    return results if several else results[kinds[0]]


def _kinds(kind: object) -> list[str]:
    """Validate one kind or several."""
    if isinstance(kind, str):
        return [check_choice(kind, "kind", tuple(KINDS))]
    if not isinstance(kind, list | tuple) or not kind:
        raise NegmineTypeError(f"`kind` must be a string, or a tuple or list of at least one; got {kind!r}.")
    if len(set(map(repr, kind))) < len(kind):
        raise NegmineValueError(f"`kind` must not repeat; got {kind!r}.")
    return [check_choice(name, "kind", tuple(KINDS)) for name in kind]


def _data(X: object, y: object) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any], list[Any], Indices]:
    """Validate rows and labels: rows as float32, labels as given, the classes in order, and the class of every row."""
    rows = as_rows(X, "X")
    refuse_not_finite(rows, "X")
    values = np.ascontiguousarray(rows.values(), dtype=np.float32)
    given = as_array(y, "y")
    labels = as_labels(given.astype(np.int64) if given.dtype.kind == "b" else given, "y")
    if len(labels) != len(values):
        raise NegmineValueError(f"`y` must have one label per row of `X`, {len(values)}; got {len(labels)}.")
    if len(values) == 0:
        raise NegmineValueError("`X` must have at least one row; got none.")
    _, classes = codes_of(labels)
    first = np.unique(classes, return_index=True)[1]
    return values, given, given[first].tolist(), classes


def _missing(target: object, names: list[Any], sizes: Indices) -> dict[int, int]:
    """Return the number of rows to be made for each class that needs any, by the number of the class."""
    if isinstance(target, Mapping):
        places: dict[Hashable, int] = {name: place for place, name in enumerate(names)}
        totals = {}
        for label, total in target.items():
            place = places.get(label)
            if place is None:
                raise NegmineValueError(f"`target` must have labels of `y`; got {label!r}.")
            totals[place] = check_integer(total, f"target[{label!r}]", least=0, most=2**62)
            if totals[place] < sizes[place]:
                raise NegmineValueError(
                    f"`target` must be at least the size of a class; got {total} for class {label!r} of "
                    f"{sizes[place]} rows."
                )
    elif isinstance(target, str) and target == "auto":
        totals = dict.fromkeys(range(len(names)), int(sizes.max()))
    else:
        raise NegmineTypeError(f"`target` must be 'auto' or a dictionary of label to size; got {target!r}.")
    missing = {place: totals[place] - int(sizes[place]) for place in sorted(totals) if totals[place] > sizes[place]}
    for place in missing:
        if sizes[place] < 2:
            raise NegmineValueError(
                f"`y` must have at least two rows of a class to interpolate between; got one of class {names[place]!r}."
            )
    return missing


def _draw(kind: str, task: Task, width: int) -> list[Drawn]:
    """Draw the parents and steps of the new rows of one class."""
    drawn: list[Drawn] = []
    first = 0
    for part in KINDS[kind](task):
        if part.num == 0 or len(part.seeds) == 0:
            continue
        drawn.append(_draw_part(part, task, first, width))
        first += part.num
    return drawn


def _draw_part(part: Part, task: Task, first: int, width: int) -> Drawn:
    """Draw the parents and steps of the rows of one part; ``first`` is the number of its first row in the class."""
    k = part.neighbors.shape[1]
    choices = k if part.repeats is not None else k * len(part.seeds)
    choice, step = _native.oversample_draws(task.seed, task.number, first, part.num, width, choices)
    if part.repeats is not None:
        place, column = np.repeat(np.arange(len(part.seeds)), part.repeats), choice
    else:
        place, column = choice // k, choice % k
    parents = np.stack([part.seeds[place], part.neighbors[place, column]], axis=1)
    # Powers of two, so that steps stay exact.
    step *= np.float32(part.scale)
    if part.halved:
        step[task.graph.classes[parents[:, 1]] != task.number] *= np.float32(0.5)
    return Drawn(task.number, parents, step)


def _synthetic(
    drawn: list[Drawn],
    values: npt.NDArray[np.float32],
    given: npt.NDArray[Any],
    skipped: list[Any],
    per_dim: bool,
    unit_norm: bool,
    num_threads: int,
    progress: Progress | None,
) -> Synthetic:
    """Interpolate the rows of all classes."""
    width = values.shape[1] if per_dim else 1
    parents = np.concatenate([np.empty((0, 2), dtype=np.int64), *(part.parents for part in drawn)])
    step = np.concatenate([np.empty((0, width), dtype=np.float32), *(part.step for part in drawn)])
    X, zero_sums = _native.interpolate(as_rows(values, "X"), parents, step, unit_norm, num_threads, progress)
    # Each seed has the label of its new row.
    return Synthetic(X, given[parents[:, 0]], parents, step if per_dim else step[:, 0], skipped, zero_sums)
