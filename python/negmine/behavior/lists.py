"""Read lists of rows per user, and group them by user if the users are not in ascending order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s, as_numpy, as_offsets
from negmine.behavior.hashing import Hasher
from negmine.errors import NegmineValueError
from negmine.sketches.simhash import SimHash

__all__ = ["UserLists", "read_lists", "read_offsets", "read_users", "read_values", "refuse_non_finite"]

Array = npt.NDArray[np.int64]


class UserLists(NamedTuple):
    """Lists of rows in the form that the core takes: one list per user, users in ascending order.

    Attributes
    ----------
    users : int64 (k,)
        Users, strictly ascending.
    offsets : int64 (k + 1,)
        Start of each user's list, and the end of the last one.
    rows : int64 (n,) or None
        The caller's row at each position; None if the rows are already in this order.
    """

    users: Array
    offsets: Array
    rows: Array | None


def read_lists(offsets: object, users: object, n_rows: int, n_users: int) -> UserLists:
    """Read the lists of users in any order, and join the lists of one user in the order given.

    Parameters
    ----------
    offsets : int64 (k + 1,) or None
        Start of each list, and the end of the last one; None for a single list.
    users : int64 (k,) or None
        User of each list; None for every user in order.
    n_rows : int
        Number of rows.
    n_users : int
        Number of users in the table.

    Returns
    -------
    UserLists
        One list per user, users in ascending order.
    """
    ends = read_offsets(offsets, n_rows)
    who = read_users(users, offsets, len(ends) - 1, n_users)
    if (who[1:] > who[:-1]).all():
        return UserLists(who, ends, None)
    order = np.argsort(who, kind="stable")
    lengths = np.diff(ends)[order]
    after = np.cumsum(lengths)
    rows = np.repeat(ends[order] - (after - lengths), lengths) + np.arange(n_rows)
    sorted_users = who[order]
    is_last = np.append(sorted_users[1:] != sorted_users[:-1], True)
    return UserLists(sorted_users[is_last], np.append(0, after[is_last]), rows)


def read_users(users: object, offsets: object, n_lists: int, n_users: int) -> Array:
    """Read the user of every list.

    Parameters
    ----------
    users : int64 (k,) or None
        User of each list; None for every user in order.
    offsets : int64 (k + 1,) or None
        As the caller passed them; error messages depend on whether they were given.
    n_lists : int
        Number of lists.
    n_users : int
        Number of users in the table.

    Returns
    -------
    int64 (n_lists,)
        User of each list.
    """
    if users is None:
        if n_lists != n_users:
            raise NegmineValueError(
                f"`offsets` must have one list for each of {n_users} users, or `users` must say whose lists they are; "
                f"got {n_lists} lists and no `users`."
            )
        return np.arange(n_lists, dtype=np.int64)
    who = as_int64s(users, "users")
    if len(who) != n_lists:
        if offsets is None:
            raise NegmineValueError(
                f"`offsets` must be given with `users`, unless all rows belong to one user; got {len(who)} users and "
                f"no `offsets`. Where every row has its own user, pass `offsets=numpy.arange(n + 1)`."
            )
        raise NegmineValueError(f"`users` must have shape ({n_lists},), one for each list; got {who.shape}.")
    outside = (who < 0) | (who >= n_users)
    if outside.any():
        raise NegmineValueError(
            f"`users` must be below {n_users}; got {who[outside][0]}. `add_users` makes room for new ones."
        )
    return who


def read_offsets(value: object, n: int) -> Array:
    """Read the start of each list.

    Parameters
    ----------
    value : int64 (k + 1,) or None
        Offsets; None makes all rows one list.
    n : int
        Number of rows.

    Returns
    -------
    int64 (k + 1,)
        Start of each list, and the end of the last one.
    """
    return np.array([0, n]) if value is None else as_offsets(value, "offsets", n, "rows")


def read_values(hasher: Hasher, behaviors: object, value: object, n: int) -> npt.NDArray[np.float32]:
    """Read the values that are pooled.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash; behaviors of a MinHash are sets and need values.
    behaviors : array of shape (n, dim), or n sets
        Behaviors, which are the values by default.
    value : array of shape (n, width) or None
        Values; None for the behaviors.
    n : int
        Number of behaviors.

    Returns
    -------
    float32 (n, width)
        Contiguous values.
    """
    if value is None and not isinstance(hasher, SimHash):
        raise NegmineValueError("`values` must be given where behaviors are sets; got None.")
    read = as_numpy(behaviors if value is None else value, "values")
    if len(read) != n:
        raise NegmineValueError(f"`values` must have {n} rows, one for each behavior; got {len(read)}.")
    return np.ascontiguousarray(read, dtype=np.float32)


def refuse_non_finite(words: npt.NDArray[np.uint32], values: npt.NDArray[np.float32]) -> None:
    """Refuse NaN and infinity, as the core does, and name the caller's row in the error.

    Parameters
    ----------
    words : uint32 (n, groups)
        Signatures, in the caller's order; masked rows may hold anything.
    values : float32 (n, width)
        Values, in the caller's order.
    """
    bad = ~np.isfinite(values) & (words[:, :1] != SimHash.MASKED)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        raise NegmineValueError(f"`values` must be finite; row {row} holds NaN or infinity at column {column}.")
