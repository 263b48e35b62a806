"""Labels by which a quota divides the documents of a pool: their categories, or the pools that were fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine.errors import NegmineValueError
from negmine.mining.policies import Quota, Sampling

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["quota_labels"]


def quota_labels(pool: CandidatePool, sampling: Sampling) -> npt.NDArray[np.int64] | None:
    """Return the label of every document of a pool.

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    sampling : {"top", "random"} or Policy
        The policy.

    Returns
    -------
    int64 (n_rows, width) or None
        The labels, anything for padding; None if the policy is not a quota.

    Raises
    ------
    NegmineValueError
        The pool has no categories, or it is not a fused pool.
    """
    if not isinstance(sampling, Quota):
        return None
    if sampling.by == "category":
        if pool.categories is None:
            raise NegmineValueError(
                "`sampling` must not be a Quota by category for a pool without `categories`; pass them to `candidates`."
            )
        if not len(pool.categories):
            return pool.indices
        return pool.categories[np.maximum(pool.indices, 0)]
    if pool.sources is None:
        raise NegmineValueError("`sampling` must not be a Quota by source for a pool that `fuse` did not make.")
    ranks = np.where(pool.sources.ranks > 0, pool.sources.ranks, np.iinfo(np.int32).max)
    return np.ascontiguousarray(ranks.argmin(axis=0), dtype=np.int64)
