"""Options for drawing negatives from a candidate pool, except the epoch."""

from __future__ import annotations

from dataclasses import dataclass

from negmine._core.options import check_integer, check_seed
from negmine.errors import NegmineValueError
from negmine.mining.policies import Quota, Sampling, check_sampling

__all__ = ["Draw", "refuse_limited_quota"]


@dataclass(frozen=True, slots=True)
class Draw:
    """Options for drawing negatives from a candidate pool, except the epoch.

    Parameters
    ----------
    num_negatives : int
        Mined negatives per result row; 0 if ``num_random`` is at least 1.
    limit_per_document : int, optional
        Maximum number of result rows that may use the same document, at least 1. Default: no limit.
    sampling : {"top", "random"} or Policy, default "top"
        How the mined negatives are chosen.
    num_random : int, default 0
        Random negatives per result row, in addition to the mined ones.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An option is invalid; the message names it.
    """

    num_negatives: int
    limit_per_document: int | None = None
    sampling: Sampling = "top"
    num_random: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        num_random = check_integer(self.num_random, "num_random", least=0)
        integers = {"num_random": 0, "num_negatives": 1 if num_random == 0 else 0}
        integers |= {} if self.limit_per_document is None else {"limit_per_document": 1}
        for name, least in integers.items():
            object.__setattr__(self, name, check_integer(getattr(self, name), name, least=least))
        check_sampling(self.sampling)
        refuse_limited_quota(self.sampling, self.limit_per_document)
        object.__setattr__(self, "seed", check_seed(self.seed))


def refuse_limited_quota(sampling: Sampling, limit_per_document: int | None) -> None:
    """Raise an error if a strict quota meets a limit per document, which replaces documents by others.

    Parameters
    ----------
    sampling : {"top", "random"} or Policy
        The policy.
    limit_per_document : int or None
        The limit.

    Raises
    ------
    NegmineValueError
        The quota is strict and there is a limit.
    """
    if limit_per_document is not None and isinstance(sampling, Quota) and sampling.strict:
        raise NegmineValueError(
            f"`limit_per_document` must be None with a strict Quota; got {limit_per_document}. A refused document "
            "would be replaced by one of another category."
        )
