"""Lists of rows per user: reading them, and grouping them where users come in any order."""

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
    """Lists of rows as the core takes them: one per user, users in ascending order."""

    #: Users, strictly ascending.
    users: Array
    #: Where the list of each begins.
    offsets: Array
    #: The caller's row at each place; None where the rows lie in their order already.
    rows: Array | None


def read_lists(offsets: object, users: object, n_rows: int, n_users: int) -> UserLists:
    """Read the lists of users in any order; the lists of one user are joined in the order given."""
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
    """Read the user of every list, by default every user in order."""
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
    """Read where the list of each user begins; by default all rows are one list."""
    return np.array([0, n]) if value is None else as_offsets(value, "offsets", n, "rows")


def read_values(hasher: Hasher, behaviors: object, value: object, n: int) -> npt.NDArray[np.float32]:
    """Read what is pooled for each of ``n`` behaviors, by default the behaviors themselves."""
    if value is None and not isinstance(hasher, SimHash):
        raise NegmineValueError("`values` must be given where behaviors are sets; got None.")
    read = as_numpy(behaviors if value is None else value, "values")
    if len(read) != n:
        raise NegmineValueError(f"`values` must have {n} rows, one for each behavior; got {len(read)}.")
    return np.ascontiguousarray(read, dtype=np.float32)


def refuse_non_finite(words: npt.NDArray[np.uint32], values: npt.NDArray[np.float32]) -> None:
    """Refuse NaN and infinity, as the core does, but by the caller's rows."""
    bad = ~np.isfinite(values) & (words[:, :1] != SimHash.MASKED)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        raise NegmineValueError(f"`values` must be finite; row {row} holds NaN or infinity at column {column}.")
