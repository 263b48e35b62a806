"""SDIM's behavior table (arXiv 2205.10249, section 3.3): sums and counts of behaviors in hash buckets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.calls import ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import check_choice, check_flag, check_integer, check_real
from negmine.behavior import hashing, storage
from negmine.behavior.hashing import Hasher
from negmine.behavior.lists import read_lists, read_offsets, read_users, read_values, refuse_non_finite
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.sketches.simhash import SimHash

__all__ = ["BehaviorTable", "Normalize"]

Normalize = Literal["l2", "mean", "sum", "ratio"]

#: Ways to normalize the buckets that a candidate reads.
NORMALIZE = ("l2", "mean", "sum", "ratio")


@dataclass(eq=False, repr=False)
class BehaviorTable:
    """Behavior histories of users, as sums and counts in hash buckets, for candidates to read.

    A table has ``groups * buckets * width`` sums for each user, independent of the length of the history, and each
    candidate reads ``groups`` cells. Sums are normalized when they are read, so behaviors can be appended and removed.
    Use [`build`][] or [`from_bytes`][] to make a table.

    Attributes
    ----------
    hasher : SimHash or MinHash
        The hash that the table was built with. Candidates must be hashed by an equal one; [`query`][] does so, and
        can check the hash of the model.
    sums : float32 (n_users, groups, buckets, width)
        Sums of values. Do not write to them.
    counts : uint32 (n_users, groups, buckets)
        Behaviors in each bucket; float32 after [`decay`][]. Do not write to them.
    removals : int64 (n_users,)
        Behaviors removed since each user's table was built; see [`rebuild_due`][].

    Notes
    -----
    The "behavior sequence encoding" of SDIM, arXiv 2205.10249, section 3.3.

    Any number of threads may query one table. A table must not be changed while another thread reads or changes it:
    change a copy, and let readers take it for the next query.

    Examples
    --------
    One history and two candidates:

    >>> import numpy as np, negmine
    >>> rng = np.random.default_rng(0)
    >>> history, candidates = rng.standard_normal((200, 8)), rng.standard_normal((2, 8))
    >>> table = negmine.behavior.BehaviorTable.build(negmine.SimHash(dim=8), history)
    >>> table.query(candidates).shape
    (2, 8)
    >>> table.append(rng.standard_normal((1, 8)))
    >>> int(table.counts[0, 0].sum())
    201
    >>> again = negmine.behavior.BehaviorTable.from_bytes(table.to_bytes(), table.hasher)
    >>> bool((again.query(candidates) == table.query(candidates)).all())
    True
    """

    hasher: Hasher
    sums: npt.NDArray[np.float32]
    counts: npt.NDArray[np.uint32] | npt.NDArray[np.float32]
    removals: npt.NDArray[np.int64]

    @property
    def n_users(self) -> int:
        """Number of users in the table."""
        return len(self.sums)

    @property
    def width(self) -> int:
        """Number of columns of a value."""
        return int(self.sums.shape[3])

    @property
    def decayed(self) -> bool:
        """Whether the table was decayed, so that counts are float32."""
        return self.counts.dtype == np.float32

    @property
    def hasher_digest(self) -> str:
        """Hexadecimal digest of everything that determines a signature; equal digests mean equal buckets."""
        return hashing.digest_of(self.hasher)

    @classmethod
    def build(
        cls,
        hasher: Hasher,
        behaviors: Any,  # noqa: ANN401 (vectors or sets)
        *,
        values: npt.ArrayLike | None = None,
        offsets: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> BehaviorTable:
        """Build the tables of one or more users.

        Parameters
        ----------
        hasher : SimHash or MinHash
            The hash: a SimHash for vectors, or a MinHash with ``bits_per_hash`` for sets of tokens. With a MinHash,
            tables have ``2 ** (bits_per_hash * hashes_per_word)`` buckets in each of ``num_hashes / hashes_per_word``
            groups.
        behaviors : array of shape (n, dim), or n sets
            Behaviors to hash, user after user; sets as [`negmine.MinHash.signatures`][] takes them. The order within a
            user affects rounding only.
        values : float32 (n, width), optional
            Values to pool; other dtypes and layouts are copied to contiguous float32. Default: ``behaviors``, if these
            are vectors.
        offsets : int64 (n_users + 1,), optional
            The behaviors of user ``u`` are ``behaviors[offsets[u]:offsets[u + 1]]``. Default: one user.
        mask : bool (n,), optional
            True where a behavior is present; padding is not pooled. Zero vectors have no direction and count as masked,
            and so do empty sets.
        num_threads : int, optional
            Number of threads, which does not change the result. Default: all cores; one inside a DataLoader worker.

        Returns
        -------
        BehaviorTable
            Tables of all users.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If widths or lengths do not fit, an entry is NaN or infinite, or offsets decrease.
        MemoryLimitError
            If the tables would not fit in memory.
        """
        hashing.check(hasher)
        threads = resolve_num_threads(num_threads)
        words = hashing.signatures(hasher, behaviors, "behaviors", mask, threads)
        pooled = read_values(hasher, behaviors, values, len(words))
        ends = read_offsets(offsets, len(words))
        n_users, width = len(ends) - 1, pooled.shape[1]
        groups, buckets = hashing.shape(hasher)
        cells = (n_users, groups, buckets)
        ensure_fits_in_memory(n_users * groups * buckets, width // 4 + 1, "tau")
        table = cls(
            hasher,
            np.zeros((*cells, width), dtype=np.float32),
            np.zeros(cells, dtype=np.uint32),
            np.zeros(n_users, dtype=np.int64),
        )
        _native.table_update(table.sums, table.counts, words, pooled, ends, np.arange(n_users), False, threads)
        return table

    def append(
        self,
        behaviors: Any,  # noqa: ANN401 (vectors or sets)
        *,
        values: npt.ArrayLike | None = None,
        offsets: npt.ArrayLike | None = None,
        users: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> None:
        """Add behaviors.

        Parameters
        ----------
        behaviors : array of shape (n, dim), or n sets
            Behaviors to add, as in [`build`][].
        values : float32 (n, width), optional
            Values to pool, as in [`build`][]. Default: ``behaviors``, if these are vectors.
        offsets : int64 (k + 1,), optional
            List ``i`` is ``behaviors[offsets[i]:offsets[i + 1]]``. Default: one list, of one user.
        users : int64 (k,), optional
            User of each list, in any order; the lists of a repeated user are applied in the order given. Default: all
            users in order.
        mask : bool (n,), optional
            True where a behavior is present, as in [`build`][].
        num_threads : int, optional
            As in [`build`][].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As [`build`][], and if a user does not exist. The table stays unchanged.
        """
        self._change(behaviors, values, offsets, users, mask, False, num_threads)

    def remove(
        self,
        behaviors: Any,  # noqa: ANN401 (vectors or sets)
        *,
        values: npt.ArrayLike | None = None,
        offsets: npt.ArrayLike | None = None,
        users: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> None:
        """Remove behaviors that were appended with the same values.

        Parameters
        ----------
        behaviors : array of shape (n, dim), or n sets
            Behaviors to remove, as in [`build`][].
        values : float32 (n, width), optional
            Values that were pooled, as in [`build`][]. Default: ``behaviors``, if these are vectors.
        offsets : int64 (k + 1,), optional
            List ``i`` is ``behaviors[offsets[i]:offsets[i + 1]]``. Default: one list, of one user.
        users : int64 (k,), optional
            User of each list, in any order, as in [`append`][]. Default: all users in order.
        mask : bool (n,), optional
            True where a behavior is present, as in [`build`][].
        num_threads : int, optional
            As in [`build`][].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As [`append`][], and if a bucket holds fewer behaviors than are removed, or the table was decayed. The
            table stays unchanged.

        Notes
        -----
        A bucket that becomes empty is exactly zero. The error of other buckets grows with each removal by at most
        2**-24 of the greatest sum that they ever held: [`rebuild_due`][] lists the users to rebuild.
        """
        self._change(behaviors, values, offsets, users, mask, True, num_threads)

    def rebuild_due(self, removals: int = 128) -> npt.NDArray[np.int64]:
        """Return the users of whom at least ``removals`` behaviors were removed since their tables were built.

        Parameters
        ----------
        removals : int, default 128
            Number of removals. 128 of them leave an error of at most 128 * 2**-24 = 8e-6 of the greatest sum.

        Returns
        -------
        int64 (k,)
            Users, ascending.
        """
        least = check_integer(removals, "removals", least=1)
        due: npt.NDArray[np.int64] = np.flatnonzero(self.removals >= least)
        return due

    def rebuild(
        self,
        behaviors: Any,  # noqa: ANN401 (vectors or sets)
        *,
        values: npt.ArrayLike | None = None,
        offsets: npt.ArrayLike | None = None,
        users: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> None:
        """Replace users' tables by ones built from their complete histories.

        Parameters
        ----------
        behaviors : array of shape (n, dim), or n sets
            Behaviors to build from, as in [`build`][].
        values : float32 (n, width), optional
            Values to pool, as in [`build`][]. Default: ``behaviors``, if these are vectors.
        offsets : int64 (k + 1,), optional
            List ``i`` is ``behaviors[offsets[i]:offsets[i + 1]]``. Default: one list, of one user.
        users : int64 (k,), optional
            User of each list, in any order; the last list of a repeated user counts. Default: all users in order.
        mask : bool (n,), optional
            True where a behavior is present, as in [`build`][].
        num_threads : int, optional
            As in [`build`][].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As [`append`][]. The table stays unchanged.
        """
        fresh = BehaviorTable.build(
            self.hasher, behaviors, values=values, offsets=offsets, mask=mask, num_threads=num_threads
        )
        who = read_users(users, offsets, fresh.n_users, self.n_users)
        self._check_width(fresh.width)
        # Keep the last list of each user: NumPy does not specify which of several it would assign.
        rows, last = np.unique(who[::-1], return_index=True)
        lists = len(who) - 1 - last
        self.sums[rows], self.counts[rows], self.removals[rows] = fresh.sums[lists], fresh.counts[lists], 0

    def add_users(self, n_users: int) -> npt.NDArray[np.int64]:
        """Add users without behaviors.

        Parameters
        ----------
        n_users : int
            Number of users to add, at least 0. Each call copies the table, so add many users at a time.

        Returns
        -------
        int64 (n_users,)
            The new users, for ``users`` of [`append`][].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If ``n_users`` is not an integer, or is negative.
        MemoryLimitError
            If the tables would not fit in memory.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> table = negmine.behavior.BehaviorTable.build(negmine.SimHash(dim=4), np.eye(4), offsets=[0, 3, 4])
        >>> table.append(np.ones((1, 4)), users=table.add_users(1))
        >>> table.n_users, table.counts[:, 0].sum(axis=1).tolist()
        (3, [3, 1, 1])
        """
        new = check_integer(n_users, "n_users", least=0)
        total = self.n_users + new
        ensure_fits_in_memory(total * self.counts[:1].size, self.width // 4 + 1, "n_users")
        for name in ("sums", "counts", "removals"):
            before = getattr(self, name)
            after = np.zeros((total, *before.shape[1:]), dtype=before.dtype)
            after[: len(before)] = before
            setattr(self, name, after)
        return np.arange(total - new, total)

    def decay(self, rate: float) -> None:
        """Multiply all sums and counts by ``rate``, so that later behaviors weigh more.

        Parameters
        ----------
        rate : float
            Factor in (0, 1]; 1 changes nothing. A smaller one makes counts float32, after which no behavior can be
            removed.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If ``rate`` is not a number in (0, 1].
        """
        factor = check_real(rate, "rate", above=0.0)
        if factor > 1.0:
            raise NegmineValueError(f"`rate` must be at most 1; got {factor}.")
        if factor < 1.0:
            self.sums *= np.float32(factor)
            self.counts = self.counts.astype(np.float32) * np.float32(factor)

    def merge(self, other: BehaviorTable) -> None:
        """Add the behaviors of another table of the same users.

        Parameters
        ----------
        other : BehaviorTable
            Table with the same hash, users and width.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If ``other`` is not a table, or has another hash, number of users or width.
        """
        if not isinstance(other, BehaviorTable):
            raise NegmineTypeError(f"`other` must be a BehaviorTable; got {type(other).__name__}.")
        storage.same_hash(hashing.identity(other.hasher), self.hasher, "other")
        if other.sums.shape != self.sums.shape:
            raise NegmineValueError(
                f"`other` must have the same users and width; got {other.n_users} x {other.width} "
                f"against {self.n_users} x {self.width}."
            )
        self.sums += other.sums
        decayed = self.decayed or other.decayed
        self.counts = self.counts + other.counts if not decayed else np.add(self.counts, other.counts, dtype=np.float32)
        self.removals += other.removals

    def query(
        self,
        candidates: Any,  # noqa: ANN401 (vectors or sets)
        *,
        offsets: npt.ArrayLike | None = None,
        users: npt.ArrayLike | None = None,
        normalize: Normalize = "l2",
        skip_empty: bool = False,
        hasher: Hasher | str | None = None,
        num_threads: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """Read the table for candidates.

        Parameters
        ----------
        candidates : array of shape (n, dim), or n sets
            Candidates, user after user, of the same kind as the behaviors. A zero vector or an empty set reads zeros.
        offsets : int64 (k + 1,), optional
            List ``i`` is ``candidates[offsets[i]:offsets[i + 1]]``. Default: one list, of one user.
        users : int64 (k,), optional
            User whose table each list reads, in any order; users may repeat. Default: all users in order.
        normalize : {"l2", "mean", "sum", "ratio"}, default "l2"
            What a candidate reads from its bucket in each group, before the average over groups: "l2" the sum divided
            by its norm (the paper's form; its direction is that of attention, its length is not), "mean" the sum
            divided by the count, "sum" the sum. "ratio" divides all sums by all counts, which is a consistent estimate
            of attention with weights ``(1 - angle / pi) ** tau``, and for sets of Jaccard similarity J
            ``(2**-b + (1 - 2**-b) * J) ** tau``.
        skip_empty : bool, default False
            Whether to average only over groups whose bucket is not empty. An empty bucket is zero.
        hasher : SimHash, MinHash or str, optional
            The hash of the model that reads the table, such as the ``hasher`` of [`negmine.torch.SDIM`][], or its
            [`hasher_digest`][]. A hash other than the table's is refused, since its buckets hold other behaviors.
        num_threads : int, optional
            As in [`build`][].

        Returns
        -------
        float32 (n, width)
            Pooled values of each candidate.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If the width or the hash differs from the table's, an entry is NaN or infinite, a user does not exist, or
            ``normalize`` is unknown.
        """
        mode = check_choice(normalize, "normalize", NORMALIZE)
        skip = check_flag(skip_empty, "skip_empty")
        threads = resolve_num_threads(num_threads)
        if hasher is not None:
            self._check_hasher(hasher)
        words = hashing.signatures(self.hasher, candidates, "candidates", None, threads)
        who, ends, rows = read_lists(offsets, users, len(words), self.n_users)
        if rows is None:
            with _alone():
                return _native.table_query(self.sums, self.counts, words, ends, who, mode, skip, threads)
        out = np.empty((len(words), self.width), dtype=np.float32)
        with _alone():
            out[rows] = _native.table_query(self.sums, self.counts, words[rows], ends, who, mode, skip, threads)
        return out

    def to_bytes(self) -> bytes:
        """Serialize the table without its hash: little-endian, with a version and a SHA-256 checksum.

        Returns
        -------
        bytes
            The serialized table, for [`from_bytes`][].
        """
        return storage.write(self.hasher, self.removals, self.sums, self.counts)

    @classmethod
    def from_bytes(cls, data: bytes, hasher: Hasher) -> BehaviorTable:
        """Read a table that [`to_bytes`][] wrote.

        Parameters
        ----------
        data : bytes
            The serialized table.
        hasher : SimHash or MinHash
            The hash that the table was built with.

        Returns
        -------
        BehaviorTable
            The table, which does not share memory with ``data``.

        Raises
        ------
        NegmineTypeError
            If ``data`` is not bytes, or ``hasher`` is not a hash.
        NegmineValueError
            If the bytes are truncated, changed, of another format, or of a table with another hash.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise NegmineTypeError(f"`data` must be bytes; got {type(data).__name__}.")
        hashing.check(hasher)
        removals, sums, counts = storage.read(bytes(data), hasher)
        return cls(hasher, sums, counts, removals)

    def __repr__(self) -> str:
        return f"BehaviorTable({self.hasher!r}, n_users={self.n_users}, width={self.width})"

    def __getstate__(self) -> tuple[Hasher, bytes]:
        return self.hasher, self.to_bytes()

    def __setstate__(self, state: tuple[Hasher, bytes]) -> None:
        hasher, data = state
        read = BehaviorTable.from_bytes(data, hasher)
        self.__init__(hasher, read.sums, read.counts, read.removals)  # type: ignore[misc]

    def _change(
        self,
        behaviors: Any,  # noqa: ANN401 (vectors or sets)
        values: npt.ArrayLike | None,
        offsets: npt.ArrayLike | None,
        users: npt.ArrayLike | None,
        mask: npt.ArrayLike | None,
        remove: bool,
        num_threads: int | None,
    ) -> None:
        threads = resolve_num_threads(num_threads)
        words = hashing.signatures(self.hasher, behaviors, "behaviors", mask, threads)
        pooled = read_values(self.hasher, behaviors, values, len(words))
        who, ends, rows = read_lists(offsets, users, len(words), self.n_users)
        self._check_width(pooled.shape[1])
        if rows is not None:
            refuse_non_finite(words, pooled)
            words, pooled = words[rows], pooled[rows]
        with _alone():
            _native.table_update(self.sums, self.counts, words, pooled, ends, who, remove, threads)
        if remove:
            there = np.zeros(len(words) + 1, dtype=np.int64)
            np.cumsum(words[:, 0] != SimHash.MASKED, out=there[1:])
            self.removals[who] += np.diff(there[ends])

    def _check_hasher(self, hasher: Hasher | str) -> None:
        """Refuse a hash, or a digest of one, that differs from the table's."""
        if not isinstance(hasher, str):
            hashing.check(hasher)
            storage.same_hash(hashing.identity(hasher), self.hasher, "hasher")
        elif hasher != self.hasher_digest:
            raise NegmineValueError(
                f"`hasher` must be the table's hash, of digest {self.hasher_digest!r}; got {hasher!r}."
            )

    def _check_width(self, width: int) -> None:
        if width != self.width:
            raise NegmineValueError(f"`values` must be {self.width} wide, as the table is; got width {width}.")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Turn the bindings' refusal of arrays that another thread changes, or reads, into an error that says so."""
    try:
        yield
    except TypeError as error:
        if isinstance(error, NegmineError) or "borrowed" not in str(error):
            raise
        raise NegmineValueError(
            "a BehaviorTable must not be changed while another thread reads or changes it; got such a call. Change a "
            "copy, and let readers take it for the next query."
        ) from error
