"""The draws and the selection policies of the oracle: the second half of the brute-force miner.

Nothing here looks at a vector. Scores come in as f64 in rank order, draws come from Philox4x64-10 counters, and the one
transcendental that decides anything, the logarithm of the Gumbel key, is a plain port of the one that musl and the
`libm` crate share, operation by operation: keys agree bit for bit, not merely almost always.
"""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

SELECT, NUM_RANDOM = 1, 2  # the streams


def philox(seed: int, stream: int, counter: tuple[int, int, int, int]) -> list[int]:
    """Return the four lanes at a counter."""
    first, *rest = counter
    key = np.array([seed, stream], dtype=np.uint64)
    words = np.array([first - 1, *rest], dtype=np.uint64)  # NumPy adds 1 to word 0 before it generates
    return [int(lane) for lane in np.random.Philox(key=key, counter=words).random_raw(4)]


def draw_by_document(seed: int, stream: int, epoch: int, query: int, document: int, extra: int = 0) -> int:
    """Draw for one document of one query; `extra` is 1 + positive row under reference="each"."""
    return philox(seed, stream, (1 + extra, document, query, epoch))[0]


def draw_by_number(seed: int, stream: int, epoch: int, query: int, t: int, extra: int = 0) -> int:
    """Draw the t-th number of one query."""
    return philox(seed, stream, (1 + t // 4, extra, query, epoch))[t % 4]


def log(x: float) -> float:
    """Return the natural logarithm of a positive normal number as musl and `libm` compute it."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", x))
    high, low = bits >> 32, bits & 0xFFFFFFFF
    high += 0x3FF00000 - 0x3FE6A09E
    k = float((high >> 20) - 0x3FF)
    high = (high & 0x000FFFFF) + 0x3FE6A09E
    (x,) = struct.unpack("<d", struct.pack("<Q", high << 32 | low))  # now in [sqrt(2)/2, sqrt(2)]
    f = x - 1.0
    hfsq = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    t2 = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    return s * (hfsq + (t2 + t1)) + k * 1.90821492927058770002e-10 - hfsq + f + k * 6.93147180369123816490e-01


def exp(x: float) -> float:
    """Return the exponential of a number that is not positive as musl and `libm` compute it."""
    if x < -745.13321910194110842:
        return 0.0
    high, low, k = x, 0.0, 0
    if abs(x) > 0.5 * math.log(2.0):
        k = int(1.44269504088896338700e00 * x - 0.5) if abs(x) >= 1.5 * math.log(2.0) else -1
        high, low = x - k * 6.93147180369123816490e-01, k * 1.90821492927058770002e-10
    elif abs(x) < 2.0**-28:
        return 1.0 + x
    x = high - low
    xx = x * x
    p3 = 6.61375632143793436117e-05 + xx * (-1.65339022054652515390e-06 + xx * 4.13813679705723846039e-08)
    c = x - xx * (1.66666666666666019037e-01 + xx * (-2.77777777770155933842e-03 + xx * p3))
    return math.ldexp(1.0 + (x * c / (2.0 - c) - low + high), k)


def uniform(x: int) -> float:
    """Turn a draw into a number in [2^-53, 1 - 2^-53]."""
    return ((x >> 12) + 0.5) * 2.0**-52


def gumbel_key(log_weight: float, x: int) -> float:
    """Return the key whose largest n are a weighted sample without replacement."""
    return log_weight - log(-log(uniform(x)))


@dataclass(frozen=True)
class Softmax:
    """Weights exp(score / temperature)."""

    temperature: float


@dataclass(frozen=True)
class SimANS:
    """SimANS: weights exp(-a ((score - ref + b) / scale)^2)."""

    a: float = 0.5
    b: float = 0.0
    scale: Literal["std", "raw"] = "std"


@dataclass(frozen=True)
class Stride:
    """T2Ranking: a comb over the ranking that moves by one each epoch."""


@dataclass(frozen=True)
class Typical:
    """Locally typical sampling: the set whose surprise is nearest to the entropy."""

    mass: float = 0.9
    temperature: float = 1.0


@dataclass(frozen=True)
class Quota:
    """Numbers of documents per category, each by rank, filled up by rank."""

    shares: tuple[float, ...]
    strict: bool = False
    rounding: Literal["place", "draw"] = "place"


Policy = Literal["top", "random"] | Softmax | SimANS | Stride | Typical | Quota


def category(row: int) -> int:
    """Give every document a category; -1 belongs to none."""
    return (row * 7) % 5 - 1


def distances(policy: Softmax | SimANS, scores: list[float], reference: float) -> list[float]:
    """Return how far each score of a pool, best first, is from the one of the greatest weight."""
    if isinstance(policy, Softmax):
        return [scores[0] - score for score in scores]
    return [abs(score - reference + policy.b) for score in scores]


def log_weights(policy: Softmax | SimANS, scores: list[float], reference: float) -> list[float]:
    """One log-weight per member of a pool whose scores come best first."""
    away = distances(policy, scores, reference)
    if isinstance(policy, Softmax):
        return [-(distance / policy.temperature) for distance in away]
    scale = 1.0 if policy.scale == "raw" else deviation(scores)
    if policy.a == 0.0 or scale == 0.0:  # equal weights: 0 * inf and 0 / 0 are never evaluated
        return [0.0 for _ in scores]
    return [-policy.a * ((distance / scale) * (distance / scale)) for distance in away]


def deviation(scores: list[float]) -> float:
    """Return the population standard deviation, in two passes in rank order; 0 if and only if all scores are equal."""
    if not scores or scores[0] == scores[-1]:
        return 0.0
    # Powers of two change no bit, and keep squares within the range.
    (_, exponent) = math.frexp(max(abs(scores[0]), abs(scores[-1])))
    # NumPy's sum would add in another order.
    offsets = [math.ldexp(score, -exponent) - math.ldexp(scores[0], -exponent) for score in scores]
    mean = sequential_sum(offsets) / len(offsets)
    found = math.sqrt(sequential_sum([(x - mean) * (x - mean) for x in offsets]) / len(offsets))
    return max(math.ldexp(found, exponent), 5e-324)


def sequential_sum(values: list[float]) -> float:
    """One plain f64 addition after the other (`sum` compensates since Python 3.12)."""
    total = 0.0
    for value in values:
        total += value
    return total


@dataclass(frozen=True)
class Place:
    """What the draws of one result row depend on, besides the document."""

    seed: int
    epoch: int
    query: int  # the global row
    extra: int  # 0, or 1 + positive row under reference="each"


def typical(scores: list[float], policy: Typical) -> list[int]:
    """Return the ranks of the typical set, most typical first."""
    logits = [(score - scores[0]) / policy.temperature for score in scores]
    weights = [exp(logit) for logit in logits]
    total = sequential_sum(weights)
    probabilities = [weight / total for weight in weights]
    surprise = [log(total) - logit for logit in logits]
    pairs = zip(probabilities, surprise, strict=True)
    entropy = sequential_sum([p * bits for p, bits in pairs if p > 0])
    ranks = sorted(range(len(scores)), key=lambda rank: (abs(surprise[rank] - entropy), rank))
    held = 0.0
    for taken, rank in enumerate(ranks, start=1):
        held += probabilities[rank]
        if policy.mass < 1.0 and held >= policy.mass - 1e-12:
            return ranks[:taken]
    return ranks


def whole_numbers(n: int, shares: tuple[float, ...]) -> list[int]:
    """Divide n by largest remainders, ties by place, in fractions."""
    total = sum(map(Fraction, shares))
    exact = [n * Fraction(share) / total for share in shares]
    numbers = [math.floor(x + Fraction(1, 10**9)) for x in exact]
    remainders = [round(10**9 * (x - number)) for x, number in zip(exact, numbers, strict=True)]
    for place in sorted(range(len(shares)), key=lambda place: -remainders[place])[: n - sum(numbers)]:
        numbers[place] += 1
    return numbers


def slots(n: int, shares: tuple[float, ...], u: float) -> list[int]:
    """Divide n by n equidistant points, shifted by u."""
    total, ends = sum(map(Fraction, shares)), itertools.accumulate(map(Fraction, shares))
    ends_of = [end / total for end in ends]
    numbers = [0] * len(shares)
    for t in range(n):
        x = (Fraction(u) + t) / n
        numbers[next(place for place, end in enumerate(ends_of) if x < end)] += 1
    return numbers


def by_quota(policy: Quota, numbers: list[int], rows: list[int]) -> list[int]:
    """Return the best of every category, and then the others."""
    left, picks = list(numbers), []
    for rank, row in enumerate(rows):
        label = category(row)
        if 0 <= label < len(left) and left[label]:
            left[label] -= 1
            picks.append(rank)
    return picks if policy.strict else picks + [rank for rank in range(len(rows)) if rank not in picks]


def order(policy: Policy, n: int, rows: list[int], scores: list[float], reference: float, place: Place) -> list[int]:
    """Return the ranks of a pool's members in the policy's order; a policy takes the first n of them."""
    ranks = list(range(len(rows)))
    if policy == "top":
        return ranks
    if isinstance(policy, Stride):
        step = max(1, len(rows) // n)
        offset = place.epoch % step
        return sorted(ranks, key=lambda rank: ((rank - offset) % step, rank))
    if isinstance(policy, Typical):
        return typical(scores, policy)
    if isinstance(policy, Quota):
        u = uniform(draw_by_number(place.seed, SELECT, place.epoch, place.query, 0, place.extra))
        split = whole_numbers(n, policy.shares) if policy.rounding == "place" else slots(n, policy.shares, u)
        return by_quota(policy, split, rows)
    if isinstance(policy, SimANS) and math.isnan(reference):
        return []
    draws = [draw_by_document(place.seed, SELECT, place.epoch, place.query, row, place.extra) for row in rows]
    if policy == "random":
        return sorted(ranks, key=lambda rank: (-(draws[rank] >> 12), rank))
    weights, away = log_weights(policy, scores, reference), distances(policy, scores, reference)
    keys = [gumbel_key(weight, x) for weight, x in zip(weights, draws, strict=True)]
    # Log-weights below the range of f64 are all -inf, and follow by distance.
    return sorted(ranks, key=lambda rank: (-keys[rank], away[rank], rank))


def log_probs(
    policy: Policy, n: int, rows: list[int], scores: list[float], reference: float, place: Place
) -> dict[int, float]:
    """Return, per rank that is taken, the log-probability of it given the draws of the other documents."""
    ranks = order(policy, n, rows, scores, reference, place)
    taken = ranks[:n]
    if policy == "random":
        return dict.fromkeys(taken, math.log(len(taken) / len(rows)) if taken else 0.0)
    if isinstance(policy, Quota) and policy.rounding == "draw":
        # As many values of u as there are parts of (0, 1) within which the numbers are the same.
        total, ends = sum(map(Fraction, policy.shares)), itertools.accumulate(map(Fraction, policy.shares))
        corners = sorted({Fraction(0), Fraction(1), *((n * end / total) % 1 for end in ends)})
        chance: dict[int, Fraction] = dict.fromkeys(range(len(rows)), Fraction(0))
        for low, high in itertools.pairwise(corners):
            split = slots(n, policy.shares, float((low + high) / 2))
            for rank in by_quota(policy, split, rows)[:n]:
                chance[rank] += high - low
        return {rank: math.log(chance[rank]) for rank in taken}
    if not isinstance(policy, Softmax | SimANS) or len(ranks) <= n:
        return dict.fromkeys(taken, 0.0)
    weights = log_weights(policy, scores, reference)
    draw = draw_by_document(place.seed, SELECT, place.epoch, place.query, rows[ranks[n]], place.extra)
    threshold = gumbel_key(weights[ranks[n]], draw)
    if threshold == -math.inf:
        return dict.fromkeys(taken, 0.0)
    return {rank: log_inclusion(weights[rank] - threshold) for rank in taken}


def log_inclusion(distance: float) -> float:
    """Return ln(1 - exp(-exp(distance)))."""
    if distance < -37.0:
        return distance
    inner = math.exp(min(distance, 700.0))
    return math.log(-math.expm1(-inner))
