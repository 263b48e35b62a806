"""Pairs of a user and an item as a map-style dataset that draws the negatives of a batch, in any worker the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from negmine._core.arrays import as_int64s
from negmine._core.options import check_integer
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sampling.sampler import NegativeSampler
from negmine.store.table_file import integers_in_range
from negmine.torch.data.dataset import Samples, place_of

__all__ = ["InteractionsDataset"]


class InteractionsDataset(Dataset[dict[str, Any]]):
    """Implicit feedback, one sample per pair of a user and an item, with random negatives.

    The negatives of a sample are a pure function of the sampler's options, the epoch and the row of the sample, so that
    any number of workers, started in any way, gives the same batches as one process. A sample is a dictionary;
    [`collate`][] returns the same names for a batch of B samples, arrays as tensors:

    - ``user``, ``positive`` : int64 (B,)
    - ``negatives`` : int64 (B, num_negatives), padded with -1
    - ``mask`` : bool (B, num_negatives), True for negatives, False for padding
    - ``log_q`` : float32 (B, num_negatives), logarithm of the expected number of times that the negative is in the row,
      padded with 0; subtract it from logits for the correction of a sampled softmax

    Parameters
    ----------
    users, items : int64 (n_samples,)
        Rows of users, which are the queries of the sampler, and of items, which are its documents.
    sampler : NegativeSampler
        Law of the negatives; its positives are what a user never gets.
    num_negatives : int, default 1
        Negatives per sample, at least 1.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        An argument is invalid, or the sampler has no such user or item.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> from negmine.sampling import NegativeSampler
    >>> from negmine.torch import InteractionsDataset, collate
    >>> sampler = NegativeSampler([[0, 1], [2]], n_documents=4)
    >>> dataset = InteractionsDataset([0, 0, 1], [0, 1, 2], sampler, num_negatives=2)
    >>> batch = next(iter(DataLoader(dataset, batch_size=3, collate_fn=collate)))
    >>> batch["negatives"].tolist()
    [[2, 3], [2, 3], [1, 3]]
    """

    def __init__(
        self, users: npt.ArrayLike, items: npt.ArrayLike, sampler: NegativeSampler, num_negatives: int = 1
    ) -> None:
        if not isinstance(sampler, NegativeSampler):
            raise NegmineTypeError(f"`sampler` must be a NegativeSampler; got {type(sampler).__name__}.")
        self._sampler = sampler
        self._users = _rows(users, "users", sampler.n_queries)
        self._items = _rows(items, "items", sampler.n_documents, len(self._users))
        self._num_negatives = check_integer(num_negatives, "num_negatives", least=1)
        # Persistent workers see a new epoch only in shared memory.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the draws, before the loader starts it; persistent workers follow.

        Parameters
        ----------
        epoch : int
            The epoch, in [0, 2**63).

        Raises
        ------
        NegmineTypeError, NegmineValueError
            The epoch is invalid.
        """
        self._epoch.fill_(check_integer(epoch, "epoch", least=0, most=2**63 - 1))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._users)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one sample; a negative index counts from the end."""
        sample: dict[str, Any] = self.__getitems__([place_of(index, len(self))])[0]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        """Return the samples of a batch; ``indices`` are in [0, len(dataset))."""
        rows = integers_in_range(indices, len(self))
        users = self._users[rows]
        drawn = self._sampler.sample(users, self._num_negatives, rows=rows, epoch=int(self._epoch))
        mask = drawn.indices >= 0
        return Samples(
            {
                "user": users,
                "positive": self._items[rows],
                "negatives": drawn.indices,
                "mask": mask,
                "log_q": np.where(mask, drawn.log_q, 0.0).astype(np.float32),
            }
        )

    def __repr__(self) -> str:
        return f"InteractionsDataset({len(self)} samples, {self._num_negatives} negatives of {self._sampler!r})"


def _rows(value: npt.ArrayLike, argument: str, n: int, length: int | None = None) -> npt.NDArray[np.int64]:
    """Validate rows below ``n``."""
    rows = as_int64s(value, argument, length)
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise NegmineValueError(f"`{argument}` must be rows of the sampler, below {n}; got {rows[outside][0]}.")
    return rows
