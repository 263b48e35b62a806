"""How negatives are drawn from a pool, the epoch aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from negmine.mining.policies import Sampling

if TYPE_CHECKING:
    pass

__all__ = ["Chosen"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """How negatives were chosen from their pool, the epoch aside.

    Attributes
    ----------
    n : int
        Mined negatives per row.
    sampling : str or policy
    num_random : int
        Random ones beside them.
    seed : int
    limit : int or None
        Result rows that a document may serve.
    """

    n: int
    sampling: Sampling = "top"
    num_random: int = 0
    seed: int = 0
    limit: int | None = None
