"""Guards against false negatives, written to be read: one pair at a time, as the definitions say."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

import oracle


def normal(text: str) -> str:
    """Return a text as it is compared."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def shingles(text: str) -> set[str]:
    """Return the sets of five successive characters; a shorter text is one shingle, and an empty one has none."""
    plain = normal(text)
    return {plain[i : i + 5] for i in range(max(1, len(plain) - 4))} if plain else set()


def jaccard(text: str, other: str) -> Fraction:
    """Return the similarity of two texts; an empty one is similar to nothing."""
    one, two = shingles(text), shingles(other)
    return Fraction(len(one & two), len(one | two)) if one and two else Fraction(0)


def nearest(similarities: Sequence[float | Fraction], threshold: float) -> int:
    """Return the place of the highest similarity that reaches the threshold, the lowest of equals; -1 without one."""
    near = [place for place, value in enumerate(similarities) if value >= threshold]
    return min(near, key=lambda place: (-similarities[place], place), default=-1)


def near_texts(documents: Sequence[str], held_out: Sequence[str], threshold: float | None) -> list[int]:
    """Return the nearest held-out text of every document; a threshold of None asks for equal texts."""
    if threshold is None:
        equal = [
            [float(bool(normal(text)) and normal(text) == normal(other)) for other in held_out] for text in documents
        ]
        return [nearest(row, 1.0) for row in equal]
    return [nearest([jaccard(text, other) for other in held_out], threshold) for text in documents]


def near_embeddings(documents: NDArray[np.float32], held_out: NDArray[np.float32], threshold: float) -> list[int]:
    """Return the nearest held-out embedding of every document, by cosine in float32."""
    found = []
    for row in oracle.all_scores(documents, held_out).tolist():
        best = max(range(len(row)), key=lambda place: (row[place], -place), default=-1)
        near = best >= 0 and np.float32(row[best]) >= np.float32(threshold)
        found.append(best if near else -1)
    return found


def guided(
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    targets: Sequence[int],
    kind: str,
    margin: float,
    block: str,
    metric: oracle.Metric,
) -> list[list[bool]]:
    """Return which columns of a block must not count: above t - margin, or above t - |t| * margin."""
    first = documents[list(targets)] if block == "document-document" else queries
    second = queries if block == "query-query" else documents
    scores = oracle.all_scores(first, second, metric).tolist()
    labeled = oracle.all_scores(queries, documents, metric).tolist()
    mask = []
    for row, target in enumerate(targets):
        t = labeled[row][target]
        limit = t - margin if kind == "absolute" else t - abs(t) * margin
        masked = [score > limit for score in scores[row]]
        if block == "query-query":
            masked[row] = True
        else:
            masked[target] = block == "document-document"
        mask.append(masked)
    return mask


def votes(
    negatives: Sequence[Sequence[int]],
    queries: Sequence[int],
    positives: Sequence[Sequence[int]],
    flagged: Sequence[Sequence[int]],
    embeddings: NDArray[np.float32],
    k: int,
) -> list[list[float | None]]:
    """Return the vote of the k nearest documents on every negative, None for padding."""
    cosines = oracle.all_scores(embeddings, embeddings).tolist()
    labels = [dict.fromkeys(relevant, 1) for relevant in positives]
    for documents, query, flags in zip(negatives, queries, flagged, strict=True):
        labels[query].update({d: flag for d, flag in zip(documents, flags, strict=True) if flag})
    result: list[list[float | None]] = []
    for documents, query in zip(negatives, queries, strict=True):
        row: list[float | None] = []
        for document in documents:
            others = [other for other in range(len(cosines)) if other != document]
            near = sorted(others, key=lambda other, d=document: (-cosines[d][other], other))[:k]
            vote = 0.0
            for other in near:
                vote += labels[query].get(other, 0) * cosines[document][other]
            row.append(None if document < 0 else vote)
        result.append(row)
    return result


Judgment = dict[str, Any]


def decided(lines: Sequence[Judgment]) -> dict[tuple[Any, Any], str]:
    """Return the verdict on every judged pair: what most judges said last; a tie is "drop", "unsure" is nothing."""
    verdicts = {}
    for pair in dict.fromkeys((line["query_id"], line["document_id"]) for line in lines):
        said = [
            line for line in lines if (line["query_id"], line["document_id"]) == pair and line["verdict"] != "unsure"
        ]
        last = {line["judge"]: line["verdict"] for line in said}
        counts = {word: list(last.values()).count(word) for word in last.values()}
        most = [word for word, count in counts.items() if count == max(counts.values())]
        if most:
            verdicts[pair] = most[0] if len(most) == 1 else "drop"
    return verdicts


def applied(
    lines: Sequence[Judgment],
    positives: Sequence[Sequence[int]],
    exclude: Sequence[Sequence[int]],
    query_ids: Sequence[Any],
    document_ids: Sequence[Any],
) -> tuple[list[list[int]], list[list[int]], dict[str, int]]:
    """Return positives and exclusions after the verdicts, and the number of pairs by verdict."""
    relevant, barred = [set(rows) for rows in positives], [set(rows) for rows in exclude]
    numbers = dict.fromkeys(("positive", "drop", "keep", "unknown"), 0)
    for (query_id, document_id), word in decided(lines).items():
        if query_id not in query_ids or document_id not in document_ids:
            numbers["unknown"] += 1
            continue
        numbers[word] += 1
        query, document = query_ids.index(query_id), document_ids.index(document_id)
        if word == "positive":
            relevant[query].add(document)
            barred[query].discard(document)
        if word == "drop":
            barred[query].add(document)
            relevant[query].discard(document)
    return [sorted(rows) for rows in relevant], [sorted(rows) for rows in barred], numbers


def worth_judging(
    rows: Sequence[tuple[int, Sequence[int], Sequence[float], float]], judged: set[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the pairs of (query, documents, scores, reference) rows by score - reference, ties by (query, row)."""
    excess: dict[tuple[int, int], float] = {}
    for query, documents, scores, reference in rows:
        for document, score in zip(documents, scores, strict=True):
            value = -np.inf if np.isnan(reference) else score - reference
            excess[query, document] = max(value, excess.get((query, document), -np.inf))
    return sorted(excess.keys() - judged, key=lambda pair: (-excess[pair], pair))
