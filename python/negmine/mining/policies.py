"""Selection policies: how negatives are chosen from a pool.

A policy is data, and the core turns it into an order on the pool. Callables were not taken: NumPy's exponentials
differ between processors in the last bit, which decides a draw, and a function cannot be saved with the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from negmine._core.options import check_choice, check_real, refuse_unknown_fields
from negmine.errors import NegmineValueError

__all__ = ["Sampling", "SimANS", "Softmax", "Stride"]


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class Softmax:
    """Draw without replacement with weights ``exp(score / temperature)``.

    Parameters
    ----------
    temperature : float
        In score units, finite, above 0. Small values tend to ``"top"``, large ones to ``"random"``.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A temperature that is no finite number above 0.

    Examples
    --------
    >>> import negmine
    >>> negmine.HardNegativeMiner(5, sampling=negmine.Softmax(0.05), seed=1).window
    (0, 100)
    """

    temperature: float

    def __post_init__(self) -> None:
        check_real(self.temperature, "temperature", above=0.0)


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class SimANS:
    """Draw without replacement with weights ``exp(-a * ((score - ref + b) / scale) ** 2)``: SimANS.

    Documents that score about as high as the positive are neither trivial nor likely false negatives. With
    ``scale="std"`` this tends to the hardest document where the reference lies above the whole pool.

    Parameters
    ----------
    a : float
        Sharpness, finite, at least 0; 0 is uniform. Default: 0.5.
    b : float
        Shift in score units, its sign as in the released code. Default: 0.
    scale : "std" (default) or "raw"
        "std" divides by the population standard deviation of the pool's scores, "raw" by 1.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A number that is not finite or below 0, an unknown scale.

    References
    ----------
    Zhou et al., "SimANS: Simple SimANS Negatives Sampling for Dense Text Retrieval", EMNLP 2022 (industry).
    """

    a: float = 0.5
    b: float = 0.0
    scale: Literal["std", "raw"] = "std"

    def __post_init__(self) -> None:
        check_real(self.a, "a", least=0.0)
        check_real(self.b, "b")
        check_choice(self.scale, "scale", ("std", "raw"))


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class Stride:
    """Take every ``len(pool) // n``-th document, from an offset that moves on by one each epoch.

    Every document of the pool is used once in ``step`` epochs where ``n`` divides the pool.

    References
    ----------
    Xie et al., "T2Ranking: A large-scale Chinese Benchmark for Passage Ranking", SIGIR 2023; its released code.
    """


#: How negatives are chosen from a pool.
Sampling = Literal["top", "random"] | Softmax | SimANS | Stride


def encode(sampling: Sampling) -> tuple[str, list[float]]:
    """The policy's name and numbers, as the core takes them."""
    match sampling:
        case Softmax():
            return "softmax", [float(sampling.temperature)]
        case SimANS():
            return f"ambiguous_{sampling.scale}", [float(sampling.a), float(sampling.b)]
        case Stride():
            return "stride", []
        case _:
            return check(sampling), []


def decode(name: str, parameters: list[float]) -> Sampling:
    """The policy that :func:`encode` gave as a name and numbers."""
    match name, parameters:
        case "softmax", [temperature]:
            return Softmax(temperature)
        case "simans_std", [a, b]:
            return SimANS(a, b, "std")
        case "simans_raw", [a, b]:
            return SimANS(a, b, "raw")
        case "stride", []:
            return Stride()
        case ("top" | "random") as word, []:
            return word
    raise NegmineValueError(f"`sampling` must be a known policy; got {name!r} with {parameters}.")


def check(sampling: object) -> str:
    """Refuse what is no policy."""
    if isinstance(sampling, Softmax | SimANS | Stride):
        return type(sampling).__name__
    if isinstance(sampling, str) and sampling in ("top", "random"):
        return sampling
    raise NegmineValueError(
        f"`sampling` must be 'top', 'random', Softmax(temperature), SimANS() or Stride(); got {sampling!r}."
    )
