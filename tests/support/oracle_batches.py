"""Orders and batches, written to be read: one at a time, in Python integers, keyed by NumPy's Philox."""

from __future__ import annotations

from math import isqrt

import numpy as np

WORD = 2**32


def words(seed: int, counter: list[int], n: int, stream: int = 3) -> list[int]:
    """Draw ``n`` numbers of a stream."""
    generator = np.random.Philox(key=np.array([seed, stream], np.uint64), counter=np.array(counter, np.uint64))
    return [int(x) for x in generator.random_raw(n)]


def mix(x: int) -> int:
    """Compute lowbias32."""
    x = (x ^ x >> 16) * 0x7FEB352D % WORD
    x = (x ^ x >> 15) * 0x846CA68B % WORD
    return x ^ x >> 16


def order(n: int, seed: int, epoch: int, positions: range) -> list[int]:
    """Find the rows at these positions of an epoch."""
    return keyed(n, seed, 3, (0, 0, epoch), positions)


def keyed(n: int, seed: int, stream: int, key: tuple[int, int, int], positions: range) -> list[int]:
    """Find what stands at these positions of a permutation."""
    a, b, c = key
    if n <= 256:
        rows = list(range(n))
        draws = words(seed, [0, 2 * a + 1, b, c], n + 4, stream)
        for i in range(n - 1, 0, -1):
            j = draws[i] * (i + 1) >> 64
            rows[i], rows[j] = rows[j], rows[i]
        return [rows[x] for x in positions]
    keys = [half for word in words(seed, [0, 2 * a, b, c], 4, stream) for half in (word % WORD, word >> 32)]
    a = isqrt(n - 1) + 1
    b = -(-n // a)

    def walk(x: int) -> int:
        while True:
            left, right = divmod(x, a)
            for round_, key in enumerate(keys):
                if round_ % 2 == 0:
                    left = (left + (mix(right ^ key) * b >> 32)) % b
                else:
                    right = (right + (mix(left ^ key) * a >> 32)) % a
            x = left * a + right
            if x < n:
                return x

    return [walk(x) for x in positions]


def conflicting(rows: list[int], anchors: list, positives: list, negatives: list, *, strict: bool) -> list:
    """List the pairs of these rows that may not stand together."""

    def meet(a: list, b: list) -> bool:
        return bool({x for x in a if x not in (-1, "")} & set(b))

    pairs = []
    for i, a in enumerate(rows):
        for b in rows[:i]:
            documents = [*positives[a], *negatives[a]], [*positives[b], *negatives[b]]
            same = a == b or meet([anchors[a]], [anchors[b]])
            mixed = meet(positives[a], documents[1]) or meet(positives[b], documents[0])
            if same or mixed or (strict and meet(*documents)):
                pairs.append((b, a))
    return pairs


# ---- batches of clusters


def cluster_epoch(labels: list[int], options: dict, seed: int, epoch: int) -> list[list[int]]:
    """Make the batches of [`negmine.batches.cluster_plan`][]; a last step that is short is padded, or left out."""
    n, size, per_step, share, tree, pad = (
        options[name] for name in ("n", "batch_size", "batches_per_step", "random", "tree", "pad")
    )
    lengths = [min(size, n - begin) for begin in range(0, n, size)]
    drawn = [share * length // size for length in lengths]
    rows = order(n, seed, epoch, range(n))
    random, rest = rows[: sum(drawn)], rows[sum(drawn) :]
    parts = []
    room = max(1, size - share)
    for cluster in range(max(labels) + 1):
        members = [row for row in rest if labels[row] == cluster]
        pieces = -(-len(members) // room)
        parts += [members[len(members) * i // pieces : len(members) * (i + 1) // pieces] for i in range(pieces)]
    if tree:
        clustered = neighbors(parts, lengths, drawn, per_step, seed, epoch)
    else:
        shuffled = keyed(len(parts), seed, 24, (0, 0, epoch), range(len(parts)))
        clustered = [row for place in shuffled for row in parts[place]]
    flat = []
    for length, few in zip(lengths, drawn, strict=True):
        flat += [clustered.pop(0) for _ in range(length - few)] + [random.pop(0) for _ in range(few)]
    step = size * per_step
    flat = flat + flat[: -n % step] if pad else flat[: n // step * step]
    return [flat[begin : begin + size] for begin in range(0, len(flat), size)]


def neighbors(
    parts: list[list[int]], lengths: list[int], drawn: list[int], per_step: int, seed: int, epoch: int
) -> list[int]:
    """Put the circle of parts into steps of neighbors, steps and the pieces of each shuffled."""
    if not parts:
        return []
    first = words(seed, [0, 4, 0, epoch], 1, 24)[0] * len(parts) >> 64
    circle = [(row, number) for number, part in enumerate(parts[first:] + parts[:first]) for row in part]
    own = [length - few for length, few in zip(lengths, drawn, strict=True)]
    sizes = [sum(own[begin : begin + per_step]) for begin in range(0, len(own), per_step)]
    chunks = [circle[sum(sizes[:step]) : sum(sizes[: step + 1])] for step in range(len(sizes))]
    whole = len(chunks) - (sum(lengths) % (lengths[0] * per_step) > 0)
    steps = keyed(whole, seed, 24, (1, 0, epoch), range(whole)) + list(range(whole, len(chunks)))
    out = []
    for step in steps:
        numbers = list(dict.fromkeys(number for _, number in chunks[step]))
        for place in keyed(len(numbers), seed, 24, (3, step, epoch), range(len(numbers))):
            out += [row for row, number in chunks[step] if number == numbers[place]]
    return out


# ---- batches of topics and classes


def topic_batch(
    clusters: list[list[int]], size: int, mixed: int, random: int, by_size: bool, key: tuple[int, int, int]
) -> list[int]:
    """Make batch ``index`` of [`negmine.batches.topic_plan`][] for ``key`` (seed, epoch, index)."""
    seed, epoch, index = key
    n = sum(map(len, clusters))
    share = -(-max(1, size - random) // mixed)
    if by_size:
        owner = [number for number, rows in enumerate(clusters) for _ in rows]
        places = keyed(len(owner), seed, 25, (0, index, epoch), range(len(owner)))
        drawn = list(dict.fromkeys(owner[place] for place in places))
    else:
        drawn = keyed(len(clusters), seed, 25, (0, index, epoch), range(len(clusters)))
    orders = {}
    for number in drawn:
        rows = clusters[number]
        orders[number] = [rows[p] for p in keyed(len(rows), seed, 25, (1 + number, index, epoch), range(len(rows)))]
    first = [row for number in drawn for row in orders[number][:share]]
    by_topic = (first + [row for number in drawn for row in orders[number][share:]])[: size - random]
    others = keyed(n, seed, 25, (1 + len(clusters), index, epoch), range(n))
    return by_topic + [row for row in others if row not in by_topic][:random]


def hands(n: int, p: int, seed: int, key: int, total: int) -> list[list[int]]:
    """Deal ``total`` hands of ``p`` different cards from packs of ``n``, one after the other."""
    if 2 * p > n:
        left = hands(n, n - p, seed, key, total) if p < n else [[]] * total
        return [[card for card in range(n) if card not in hand] for hand in left]
    waiting: list[int] = []
    packs = 0
    out = []
    for _ in range(total):
        hand: list[int] = []
        while len(hand) < p:
            if not waiting:
                pack = keyed(n, seed, 26, (key, 0, packs), range(n))
                packs += 1
                # What this hand holds already comes right after it.
                later = []
                while len(hand) + len(waiting) < p:
                    card = pack.pop(0)
                    (later if card in hand else waiting).append(card)
                waiting += later + pack
            hand.append(waiting.pop(0))
        out.append(hand)
    return out


def class_batches(classes: list[list[int]], per_batch: int, per_class: int, seed: int, total: int) -> list[list[int]]:
    """Make the first batches of [`negmine.batches.class_balanced_plan`][], epochs one after the other."""
    rest = [per_class % len(rows) for rows in classes]
    dealt = [hands(len(rows), r, seed, 1 + c, total) for c, (rows, r) in enumerate(zip(classes, rest, strict=True))]
    visits = [0] * len(classes)
    batches = []
    for hand in hands(len(classes), per_batch, seed, 0, total):
        batch: list[int] = []
        for c in hand:
            batch += classes[c] * (per_class // len(classes[c]))
            batch += [classes[c][card] for card in dealt[c][visits[c]]] if rest[c] else []
            visits[c] += 1
        batches.append(batch)
    return batches


def chosen_pair(margins: list[float], bins: int, binning: str, seed: int, epoch: int, query: int) -> int:
    """Draw the pair of one query of [`negmine.batches.sample_balanced_margins`][]."""
    low, high = min(margins), max(margins)
    filled: dict[int, list[int]] = {}
    for place, margin in enumerate(margins):
        if binning == "quantile":
            number = sum(other < margin for other in margins) * bins // len(margins)
        else:
            width = (high - low) / bins
            number = min(int((margin - low) / width), bins - 1) if width > 0 else 0
        filled.setdefault(number, []).append(place)
    x, y = words(seed, [0, 0, query, epoch], 2, 27)
    pairs = [filled[number] for number in sorted(filled)]
    if binning == "tempered":
        weights = [len(part) ** 0.5 for part in pairs]
        left = ((x >> 12) + 0.5) * 2.0**-52 * sum(weights)
        ends = np.cumsum(weights)
        place = next((number for number, end in enumerate(ends) if left < end), len(ends) - 1)
    else:
        place = x * len(pairs) >> 64
    return pairs[place][y * len(pairs[place]) >> 64]


# ---- masks


def masked(query: int, document: int, rules: dict) -> bool:
    """Say whether a document must not count as a query's negative."""
    if query < 0 or document < 0:
        return True
    positives, groups, eligible = rules["positives"][query], rules["groups"], rules["eligible"]
    if document in positives or document in rules["exclude"][query]:
        return True
    if groups is not None and groups[document] >= 0 and groups[document] in {groups[row] for row in positives}:
        return True
    if eligible is None:
        return False
    keys, lowest, highest = eligible
    return not lowest[query] <= keys[document] <= highest[query]
