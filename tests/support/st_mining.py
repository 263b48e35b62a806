"""Generated calls of ``mine_hard_negatives``, a model of chosen vectors, and a comparison of results within ties."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.util import SimilarityFunction

from negmine.errors import NegmineWarning

#: Largest difference between scores that counts as a tie; distances lose half of the digits near zero.
BAND = {"cosine": 2e-6, "dot": 2e-6, "euclidean": 2e-3}

HAS_FAISS = importlib.util.find_spec("faiss") is not None

#: Vectors of length 1 whose inner products are exact in float32: 0, 0.25, 0.5, 0.75, 1 and their negatives.
UNIT = np.array(
    [sign * np.eye(4)[axis] for axis in range(4) for sign in (1, -1)]
    + [0.5 * np.array([a, b, c, d]) for a in (1, -1) for b in (1, -1) for c in (1, -1) for d in (1, -1)]
)


class Table:
    """A model that looks the vectors of texts up, with all that either miner asks of a model."""

    device = "cpu"
    prompts: Mapping[str, str] = {}
    model_card_data = type("Card", (), {"base_model": "table"})

    def __init__(self, vectors: Mapping[str, NDArray[Any]], similarity: str = "cosine") -> None:
        self.vectors = {text: np.asarray(vector, dtype=np.float32) for text, vector in vectors.items()}
        self.similarity_fn_name = similarity
        self.calls: list[tuple[str, int, dict[str, Any]]] = []

    def _look_up(self, kind: str, texts: list[str], options: dict[str, Any]) -> NDArray[np.float32]:
        self.calls.append((kind, len(texts), options))
        return np.stack([self.vectors[text] for text in texts])

    def encode_query(self, texts: list[str], **options: Any) -> NDArray[np.float32]:
        return self._look_up("query", texts, options)

    def encode_document(self, texts: list[str], **options: Any) -> NDArray[np.float32]:
        return self._look_up("document", texts, options)

    def get_embedding_dimension(self) -> int:
        return len(next(iter(self.vectors.values())))

    def similarity(self, a: Any, b: Any) -> torch.Tensor:
        return SimilarityFunction.to_similarity_fn(self.similarity_fn_name)(a, b)

    def similarity_pairwise(self, a: Any, b: Any) -> torch.Tensor:
        return SimilarityFunction.to_similarity_pairwise_fn(self.similarity_fn_name)(a, b)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {text: torch.from_numpy(vector) for text, vector in self.vectors.items()}


class Judge:
    """A cross encoder that looks scores up, multiples of 1/8, and counts them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.scored = seed, 0

    def score(self, query: str, document: str) -> float:
        draw = np.random.default_rng([self.seed, *query.encode(), 0, *document.encode()])
        return int(draw.integers(-16, 17)) / 8

    def predict(self, pairs: list[Any], **options: Any) -> Any:
        self.scored += len(pairs)
        scores = torch.tensor([self.score(*pair) for pair in pairs], dtype=torch.float32)
        return scores if options.get("convert_to_tensor") else scores.numpy()


@dataclass
class Case:
    """One call: the model, the pairs, the corpus, and the other arguments."""

    vectors: dict[str, NDArray[Any]]
    similarity: str
    pairs: list[tuple[str, str]]
    options: dict[str, Any]
    judge: Judge | None = None

    @property
    def dataset(self) -> datasets.Dataset:
        anchors, positives = zip(*self.pairs, strict=True)
        return datasets.Dataset.from_dict({"q": list(anchors), "p": list(positives)})

    def run(self, mine: Callable[..., Any], **changes: Any) -> Any:
        options = {**self.options, "verbose": False, **changes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NegmineWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # of the bindings of faiss
            return mine(self.dataset, Table(self.vectors, self.similarity), cross_encoder=self.judge, **options)


def make_case(seed: int) -> Case:
    """Generate a call; seeds cover formats, filters at equal scores, ranks, duplicates and both searches there."""
    draw = np.random.default_rng(seed)
    exact = bool(draw.random() < 0.6)
    similarity = str(draw.choice(["cosine", "dot"] if exact else ["cosine", "cosine", "dot", "euclidean"]))
    n_documents, n_queries = int(draw.integers(1, 41)), int(draw.integers(1, 9))
    documents = [f"document {i}" for i in range(n_documents)]
    # An anchor may be a document.
    anchors = [f"query {i}" for i in range(n_queries)]
    if draw.random() < 0.3:
        anchors[0] = documents[0]
    texts = list(dict.fromkeys(documents + anchors))
    if exact:
        rows = UNIT[draw.integers(0, len(UNIT), len(texts))] * (1 if similarity == "cosine" else 2)
    else:
        rows = draw.standard_normal((len(texts), 12))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = dict(zip(texts, rows, strict=True))
    pairs = [
        (anchor, documents[int(document)])
        for anchor in anchors
        for document in draw.choice(n_documents, int(draw.integers(1, min(4, n_documents) + 1)), replace=False)
    ]
    pairs += [pairs[int(i)] for i in draw.integers(0, len(pairs), int(draw.integers(0, 4)))]
    if draw.random() < 0.5:
        pairs = [pairs[int(i)] for i in draw.permutation(len(pairs))]
    options: dict[str, Any] = {"num_negatives": int(draw.integers(1, 5))}
    if draw.random() < 0.7:
        corpus = [documents[int(i)] for i in draw.permutation(n_documents)] + documents[:2]
        options["corpus"] = [] if draw.random() < 0.1 else corpus + (anchors if draw.random() < 0.3 else [])
    _add_filters(draw, options, vectors, pairs, similarity, exact)
    if draw.random() < 0.4:
        options["range_min"] = int(draw.integers(0, 4))
    if draw.random() < 0.4:
        first = options.get("range_min", 0)
        options["range_max"] = first + options["num_negatives"] + int(draw.integers(0, 6))
    options["output_format"] = str(draw.choice(["triplet", "n-tuple", "labeled-pair", "labeled-list"]))
    options["output_scores"] = bool(draw.random() < 0.5)
    options["include_positives"] = bool(draw.random() < 0.15)
    options["faiss_batch_size"] = int(draw.choice([1, 3, 16384]))
    options["use_faiss"] = HAS_FAISS and similarity != "euclidean" and bool(draw.random() < 0.4)
    judge = Judge(seed) if draw.random() < 0.15 else None
    return Case(vectors, similarity, pairs, options, judge)


def _add_filters(
    draw: np.random.Generator,
    options: dict[str, Any],
    vectors: dict[str, NDArray[Any]],
    pairs: list[tuple[str, str]],
    similarity: str,
    exact: bool,
) -> None:
    """Add filters, with values at which scores are equal if these are exact."""
    steps = np.array([-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]) * (4 if exact and similarity == "dot" else 1)
    steps = steps - 1.5 if similarity == "euclidean" else steps

    def value(choices: NDArray[Any]) -> float:
        return float(draw.choice(choices)) + (0.0 if exact else float(draw.normal(0, 0.1)))

    if draw.random() < 0.3:
        options["max_score"] = value(steps[2:])
    if draw.random() < 0.3:
        options["min_score"] = value(steps[:5])
    if draw.random() < 0.3:
        options["absolute_margin"] = value(np.array([-0.25, 0.0, 0.0, 0.25, 0.5]))
    if draw.random() < 0.3:
        options["relative_margin"] = value(np.array([-0.25, 0.0, 0.0, 0.25, 0.5]))


@dataclass
class Truth:
    """Scores of one query, whether a score lies at a filter, up to rounding, and whether ties leave more open."""

    scores: dict[str, float]
    is_near: bool
    is_open: bool


def truths(case: Case) -> dict[str, Truth]:
    """Score every document for every query in float64, slowly."""
    documents = list(dict.fromkeys([*(case.options.get("corpus") or []), *(p for _, p in case.pairs)]))
    counts: dict[str, int] = {}
    for anchor, _ in case.pairs:
        counts[anchor] = counts.get(anchor, 0) + 1
    band, found = BAND[case.similarity], {}
    limits = {name: case.options.get(name) for name in ("absolute_margin", "relative_margin", "max_score", "min_score")}
    judged = case.judge is not None and any(value is not None for value in limits.values())
    n, first, most = case.options["num_negatives"], case.options.get("range_min", 0), max(counts.values())
    wide = judged or any(limits[name] is not None for name in ("absolute_margin", "relative_margin", "max_score"))
    end = case.options.get("range_max") or first + (10 * n if wide else n) + most
    for anchor in counts:
        raw = {document: _score(case, anchor, document) for document in documents}
        ranked = sorted(raw.values(), reverse=True)
        cut = end + most
        is_open = cut < len(ranked) and ranked[cut - 1] - ranked[cut] <= band
        scores = {d: case.judge.score(anchor, d) for d in documents} if judged and case.judge else raw
        reference = min(scores[p] for a, p in case.pairs if a == anchor)
        caps = [
            None if limits["absolute_margin"] is None else reference - limits["absolute_margin"],
            None if limits["relative_margin"] is None else reference - abs(reference) * limits["relative_margin"],
            limits["max_score"],
            limits["min_score"],
        ]
        near = [abs(score - cap) for cap in caps if cap is not None for score in scores.values()]
        # Exact scores have no rounding, and a score at a filter is one of the cases to test.
        exact = judged or all(float(score * 64).is_integer() for score in raw.values())
        is_near = not exact and any(gap <= band for gap in near)
        found[anchor] = Truth(scores, is_near, is_open or is_near)
    return found


def _score(case: Case, anchor: str, document: str) -> float:
    a, b = (np.asarray(case.vectors[text], dtype=np.float32).astype(np.float64) for text in (anchor, document))
    if case.similarity == "euclidean":
        return -float(np.sqrt(((a - b) ** 2).sum()))
    return float(a @ b) / (float(np.sqrt((a @ a) * (b @ b))) if case.similarity == "cosine" else 1.0)


@dataclass
class Mined:
    """Negatives of one query, from rows of any format."""

    positives: list[str] = field(default_factory=list)
    negatives: dict[str, list[str]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


def read_rows(rows: Any, options: dict[str, Any], pairs: list[tuple[str, str]]) -> dict[str, Mined]:
    """Read rows of any format, per query."""
    form = "n-tuple" if options.get("include_positives") else options["output_format"]
    known = set(pairs)
    found: dict[str, Mined] = {}
    for row in rows.to_list():
        mined = found.setdefault(row["q"], Mined())
        if form == "labeled-pair":
            is_positive = (row["q"], row["p"]) in known
            assert row.get("label", is_positive) == is_positive
            mined.negatives.setdefault("", [])
            (mined.positives if is_positive else mined.negatives[""]).append(row["p"])
            if "score" in row:
                mined.scores[row["p"]] = row["score"]
            continue
        if form == "labeled-list":
            positive, *negatives = row["p"]
            if "labels" in row:
                assert row["labels"] == [1] + [0] * len(negatives)
        else:
            positive = row["p"]
            names = [name for name in row if name.startswith("negative")]
            negatives = [row[name] for name in names]
        if "scores" in row:
            mined.scores.update(zip([positive, *negatives], row["scores"], strict=True))
        if positive not in mined.positives:
            mined.positives.append(positive)
        mined.negatives.setdefault(positive, []).extend(negatives)
    return found


def difference(case: Case, theirs: Any, ours: Any) -> tuple[str | None, int]:
    """Describe the first difference that no tie explains; return also how many queries were left open."""
    if theirs.column_names != ours.column_names:
        return f"columns {theirs.column_names} and {ours.column_names}", 0
    if len(theirs) and theirs.features != ours.features:
        return f"types {theirs.features} and {ours.features}", 0
    known = truths(case)
    a, b = (read_rows(rows, case.options, case.pairs) for rows in (theirs, ours))
    left_open = 0
    order = [anchor for anchor in dict.fromkeys(q for q, _ in case.pairs) if anchor in a or anchor in b]
    settled = [anchor for anchor in order if not known[anchor].is_open]
    if [q for q in a if q in settled] != [q for q in b if q in settled]:
        return f"anchors {list(a)} and {list(b)}", 0
    for anchor in order:
        truth = known[anchor]
        if truth.is_open:
            left_open += 1
            continue
        told = _difference(truth, a[anchor], b[anchor], BAND[case.similarity])
        if told is not None:
            return f"{anchor}: {told}", left_open
    return None, left_open


def _difference(truth: Truth, theirs: Mined, ours: Mined, band: float) -> str | None:
    if theirs.positives != ours.positives or theirs.negatives.keys() != ours.negatives.keys():
        return f"positives {theirs.positives} and {ours.positives}"
    for mined in (theirs, ours):
        for document, score in mined.scores.items():
            if abs(score - truth.scores[document]) > band:
                return f"score {score} of {document} instead of {truth.scores[document]}"
    for positive, expected in theirs.negatives.items():
        got = ours.negatives[positive]
        levels = [sorted(truth.scores[document] for document in documents) for documents in (expected, got)]
        if len(expected) != len(got) or not np.allclose(*levels, rtol=0, atol=band):
            return f"negatives {expected} and {got}, of scores {levels}"
        for document in set(expected) ^ set(got):
            # Equal scores at the first or the last rank may be of other documents.
            if min(abs(truth.scores[document] - end) for end in (levels[0][0], levels[0][-1])) > band:
                return f"negatives {expected} and {got}: {document} is not tied"
    return None
