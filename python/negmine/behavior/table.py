"""Sums and counts of behaviors in hash buckets."""

from __future__ import annotations

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
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sketches.simhash import SimHash

__all__ = ["BehaviorTable", "Normalize"]

Normalize = Literal["l2", "mean", "sum", "ratio"]

#: How a candidate's buckets are read.
NORMALIZE = ("l2", "mean", "sum", "ratio")


@dataclass(eq=False, repr=False)
class BehaviorTable:
    """What users did, as sums and counts in hash buckets, and what a candidate reads from it.

    A table has ``groups * buckets * width`` sums for each user, however long the history is, and candidates read
    ``groups`` cells each. Sums are normalized when they are read, so behaviors can be appended and removed. Made by
    :meth:`build` or :meth:`from_bytes`.

    Attributes
    ----------
    hasher : SimHash or MinHash
        What it was built with. Candidates must be hashed by an equal one, as :meth:`query` does and can check.
    sums : float32 (n_users, groups, buckets, width)
        Sums of values. Not to be written.
    counts : uint32 (n_users, groups, buckets)
        Behaviors in each bucket; float32 once the table was decayed. Not to be written.
    removals : int64 (n_users,)
        Behaviors removed since a user was built: see :meth:`rebuild_due`.

    Notes
    -----
    The "behavior sequence encoding" of SDIM, arXiv 2205.10249, section 3.3.

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
        """Users in the table."""
        return len(self.sums)

    @property
    def width(self) -> int:
        """Columns of a value."""
        return int(self.sums.shape[3])

    @property
    def decayed(self) -> bool:
        """Whether counts are no longer whole numbers."""
        return self.counts.dtype == np.float32

    @property
    def hasher_digest(self) -> str:
        """Hexadecimal digest of all that decides a signature: tables and models of one digest agree on buckets."""
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
        """Build the tables of one user or of many.

        Parameters
        ----------
        hasher : SimHash or MinHash
            The hash: of vectors, or, with ``b`` set, of sets of tokens. Tables have ``2 ** (b * tau)`` buckets in each
            of ``k / tau`` groups then.
        behaviors : (n, dim), or n sets as :meth:`MinHash.signatures` takes them
            What is hashed, the users' behaviors one after the other. Their order within a user changes rounding only.
        values : (n, width), optional
            What is pooled, by default ``behaviors`` where these are vectors; read as contiguous float32, copied where
            it is not.
        offsets : int64 (n_users + 1,), optional
            User ``u`` did ``behaviors[offsets[u]:offsets[u + 1]]``. By default there is one user.
        mask : bool (n,), optional
            Behaviors that are there; padding is not pooled. Behaviors that are zero have no direction and count as
            masked, and so do empty sets.
        num_threads : int, optional
            By default every core, and one inside a DataLoader worker. It changes no bit.

        Returns
        -------
        BehaviorTable

        Raises
        ------
        NegmineTypeError, NegmineValueError
            Widths or lengths that do not fit, NaN or infinity, or offsets that fall.
        MemoryLimitError
            Tables that this machine has no memory for.
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
        behaviors, values, offsets, mask, num_threads
            As in :meth:`build`.
        users : int64 (k,), optional
            The users that the lists of ``offsets`` belong to, in any order; the lists of a repeated user are applied in
            the order given. By default all users in order.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As :meth:`build`, and users that do not exist. The table is as it was.
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
        """Take away behaviors that were appended with the same values.

        Parameters
        ----------
        behaviors, values, offsets, users, mask, num_threads
            As in :meth:`append`.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As :meth:`append`; more behaviors than a bucket holds; a decayed table. The table is as it was.

        Notes
        -----
        A bucket that becomes empty is exactly zero. What is left in others is off by at most 2**-24 of the greatest sum
        that was there, for each removal: :meth:`rebuild_due` says when that is worth mending.
        """
        self._change(behaviors, values, offsets, users, mask, True, num_threads)

    def rebuild_due(self, removals: int = 128) -> npt.NDArray[np.int64]:
        """Users of whom at least ``removals`` behaviors were removed since they were built.

        Parameters
        ----------
        removals : int, default 128
            128 removals leave at most 128 * 2**-24 = 8e-6 of the greatest sum behind.

        Returns
        -------
        int64 (k,)
            Ascending.
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
        """Replace users' tables by ones built from what they did.

        Parameters
        ----------
        behaviors, values, offsets, users, mask, num_threads
            As in :meth:`append`; the last list of a repeated user counts.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As :meth:`append`. The table is as it was.
        """
        fresh = BehaviorTable.build(
            self.hasher, behaviors, values=values, offsets=offsets, mask=mask, num_threads=num_threads
        )
        who = read_users(users, offsets, fresh.n_users, self.n_users)
        self._check_width(fresh.width)
        # The last list of each user; which of several NumPy would assign is not promised.
        rows, last = np.unique(who[::-1], return_index=True)
        lists = len(who) - 1 - last
        self.sums[rows], self.counts[rows], self.removals[rows] = fresh.sums[lists], fresh.counts[lists], 0

    def add_users(self, n_users: int) -> npt.NDArray[np.int64]:
        """Add users, who have no behaviors yet.

        Parameters
        ----------
        n_users : int
            How many, at least 0. The table is copied once, so add many at a time.

        Returns
        -------
        int64 (n_users,)
            The new users, for ``users`` of :meth:`append`.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            A number that is no integer, or negative.
        MemoryLimitError
            Tables that this machine has no memory for.

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
        """Multiply all sums and counts, so that what comes later weighs more.

        Parameters
        ----------
        rate : float
            In (0, 1]. Counts are float32 from now on, and nothing can be removed any more; 1 changes nothing.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            A rate that is no number or outside.
        """
        factor = check_real(rate, "rate", above=0.0)
        if factor > 1.0:
            raise NegmineValueError(f"`rate` must be at most 1; got {factor}.")
        if factor < 1.0:
            self.sums *= np.float32(factor)
            self.counts = self.counts.astype(np.float32) * np.float32(factor)

    def merge(self, other: BehaviorTable) -> None:
        """Add another table of the same users: the behaviors of both.

        Parameters
        ----------
        other : BehaviorTable
            Of the same hash, users and width.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            No table, or one of another hash, number of users or width.
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
        candidates : (n, dim), or n sets
            The users' candidates one after the other, of the kind that behaviors have. A candidate that is zero, or
            an empty set, reads zeros.
        offsets : int64 (k + 1,), optional
            List ``i`` is ``candidates[offsets[i]:offsets[i + 1]]``. By default there is one list, of one user.
        users : int64 (k,), optional
            Whose tables the lists read, in any order and repeated at will. By default all users in order.
        normalize : str, default "l2"
            What a candidate reads of its bucket in each group, before the average over groups: ``"l2"`` the sum over
            its norm (the paper's form; its direction is that of attention, its length is not), ``"mean"`` the sum over
            the count, ``"sum"`` the sum. ``"ratio"``: all sums over all counts, a consistent estimate of attention with
            weights ``(1 - angle / pi) ** tau``, and for sets of Jaccard similarity J
            ``(2**-b + (1 - 2**-b) * J) ** tau``.
        skip_empty : bool, default False
            Whether the average is over the groups whose bucket is not empty. An empty bucket is zero.
        hasher : SimHash, MinHash or str, optional
            The hash of the model that asks, such as :attr:`negmine.torch.SDIM.hasher`, or its :attr:`hasher_digest`.
            Another one than the table's is refused: its buckets hold other behaviors.
        num_threads : int, optional
            As in :meth:`build`.

        Returns
        -------
        float32 (n, width)

        Raises
        ------
        NegmineTypeError, NegmineValueError
            Another width, NaN or infinity, users that do not exist, another hash, an unknown ``normalize``.
        """
        mode = check_choice(normalize, "normalize", NORMALIZE)
        skip = check_flag(skip_empty, "skip_empty")
        threads = resolve_num_threads(num_threads)
        if hasher is not None:
            self._check_hasher(hasher)
        words = hashing.signatures(self.hasher, candidates, "candidates", None, threads)
        who, ends, rows = read_lists(offsets, users, len(words), self.n_users)
        if rows is None:
            return _native.table_query(self.sums, self.counts, words, ends, who, mode, skip, threads)
        out = np.empty((len(words), self.width), dtype=np.float32)
        out[rows] = _native.table_query(self.sums, self.counts, words[rows], ends, who, mode, skip, threads)
        return out

    def to_bytes(self) -> bytes:
        """Everything but the hash itself, little-endian, with a version and a SHA-256 checksum.

        Returns
        -------
        bytes
            For :meth:`from_bytes`.
        """
        return storage.write(self.hasher, self.removals, self.sums, self.counts)

    @classmethod
    def from_bytes(cls, data: bytes, hasher: Hasher) -> BehaviorTable:
        """Read what :meth:`to_bytes` wrote.

        Parameters
        ----------
        data : bytes
            All of it.
        hasher : SimHash or MinHash
            The hash that the table was built with.

        Returns
        -------
        BehaviorTable
            With memory of its own.

        Raises
        ------
        NegmineTypeError
            Neither bytes nor a hash.
        NegmineValueError
            Bytes that are cut off, changed, of another format, or of a table of another hash.
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
        _native.table_update(self.sums, self.counts, words, pooled, ends, who, remove, threads)
        if remove:
            there = np.zeros(len(words) + 1, dtype=np.int64)
            np.cumsum(words[:, 0] != SimHash.MASKED, out=there[1:])
            self.removals[who] += np.diff(there[ends])

    def _check_hasher(self, hasher: Hasher | str) -> None:
        """Refuse a hash, or the digest of one, that is not the table's."""
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
