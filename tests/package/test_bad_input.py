"""Every bad input gets an error of negmine that names the argument, the rule and the value."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import Eligibility, ExactIndex, HardNegativeMiner, Positives, SimANS, Softmax
from negmine.batches import guided_mask, guided_pairs
from negmine.context import pack_context
from negmine.errors import (
    CorpusChangedError,
    JobError,
    MemoryLimitError,
    NegmineOSError,
    NegmineTypeError,
    NegmineValueError,
    NegmineWarning,
)
from negmine.mining import exclude_near, false_negatives
from negmine.selection import keep, select, sequence_scores
from negmine.weights import design_weights, hardness, ipw, popularity_propensity, selection_propensity

CORPUS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
QUERIES = CORPUS[:2].copy()
POSITIVES = [[0], [1]]
INDEX = ExactIndex(CORPUS)
LABELED = ExactIndex(CORPUS, ids=range(6))
NAMED = ExactIndex(CORPUS, ids=list("abcdef"))
MINER = HardNegativeMiner(2)
POOL = MINER.candidates(INDEX, QUERIES, POSITIVES)
NAN, INF = math.nan, math.inf

Value, Type = NegmineValueError, NegmineTypeError


def holed(array: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    """Copy an array with one value replaced."""
    copy = array.copy()
    copy[row, column] = value
    return copy


def candidates(positives: Any = POSITIVES, source: Any = INDEX, queries: Any = QUERIES, **rules: Any) -> Any:
    return MINER.candidates(source, queries, positives, **rules)


def search(queries: Any = QUERIES, k: Any = 1, **options: Any) -> Any:
    return INDEX.search(queries, k, **options)


def outside(**given: Any) -> Positives:
    """One positive outside the corpus, for the first of two queries."""
    return Positives.from_csr([0, 1, 1], [-1], **given)


Case = tuple[Callable[[], Any], type[Exception], str]

EMBEDDINGS: dict[str, Case] = {
    "NaN": (lambda: ExactIndex(holed(CORPUS, 4, 1, NAN)), Value, "`corpus` finite row 4 column 1"),
    "infinity": (lambda: search(holed(QUERIES, 1, 2, INF)), Value, "`queries` finite row 1 column 2"),
    "minus infinity": (lambda: candidates(queries=holed(QUERIES, 0, 0, -INF)), Value, "`queries` finite row 0"),
    "beyond float32": (lambda: ExactIndex(holed(CORPUS.astype(float), 3, 0, 1e39)), Value, "`corpus` float32 row 3"),
    "float16 infinity": (lambda: ExactIndex(np.array([[1], [INF]], "f2")), Value, "`corpus` finite row 1 column 0"),
    "list": (lambda: ExactIndex([[1.0]]), Type, "`corpus` NumPy array got list"),
    "None": (lambda: search(None), Type, "`queries` NumPy array got NoneType"),
    "scalar": (lambda: ExactIndex(np.float32(3)), Type, "`corpus` NumPy array got float32"),
    "object": (lambda: ExactIndex(CORPUS.astype(object)), Type, "`corpus` float32 float64 int8 got dtype object"),
    "int64": (lambda: ExactIndex(CORPUS.astype(int)), Type, "`corpus` float32 got dtype int64"),
    "complex": (lambda: ExactIndex(CORPUS.astype(complex)), Type, "`corpus` got dtype complex128"),
    "bool": (lambda: ExactIndex(CORPUS > 0), Type, "`corpus` got dtype bool"),
    "strings": (lambda: ExactIndex(np.array([["a"]])), Type, "`corpus` got dtype str"),
    "records": (lambda: ExactIndex(np.zeros((2, 2), [("a", "f4")])), Type, "`corpus` got dtype void"),
    "dates": (lambda: ExactIndex(np.zeros((2, 2), "M8[s]")), Type, "`corpus` got dtype datetime64"),
    "masked": (lambda: ExactIndex(np.ma.array(CORPUS)), Type, "`corpus` masked array Fill"),
    "one dimension": (lambda: ExactIndex(CORPUS[0]), Value, "`corpus` (n, width) got shape (3,)"),
    "three dimensions": (lambda: ExactIndex(CORPUS[None]), Value, "`corpus` (n, width) (1, 6, 3)"),
    "no dimension": (lambda: ExactIndex(np.array(3.0)), Value, "`corpus` (n, width) ()"),
    "width 0": (lambda: ExactIndex(np.empty((3, 0), "f4")), Value, "`corpus` between 1 and 65536 got width 0"),
    "width 0 queries": (lambda: search(np.empty((0, 0), "f4")), Value, "`queries` between 1 and 65536 got width 0"),
    "too wide": (lambda: ExactIndex(np.zeros((1, 65537), "f4")), Value, "`corpus` 65536 got width 65537"),
    "widths differ": (lambda: search(np.ones((1, 4))), Value, "`queries` as wide as the corpus width 4 width 3"),
    "widths differ in mining": (lambda: candidates(queries=np.ones((2, 4))), Value, "`queries` wide 4 3"),
}

INDEXES: dict[str, Case] = {
    "metric": (lambda: ExactIndex(CORPUS, metric="dot"), Value, "`metric` 'cosine', 'ip', 'l2' got 'dot'"),  # type: ignore[arg-type]
    "metric None": (lambda: ExactIndex(CORPUS, metric=None), Value, "`metric` 'cosine' got None"),  # type: ignore[arg-type]
    "metric list": (lambda: ExactIndex(CORPUS, metric=["ip"]), Value, "`metric` 'cosine' got ['ip']"),  # type: ignore[arg-type]
    "metric array": (lambda: ExactIndex(CORPUS, metric=np.array(["ip"])), Value, "`metric` 'cosine' array(['ip']"),  # type: ignore[arg-type]
    "option": (lambda: ExactIndex(CORPUS, metrics="ip"), Type, "`ExactIndex` no option 'metrics' metric"),  # type: ignore[call-arg]
    "ids short": (lambda: ExactIndex(CORPUS, ids=[1, 2]), Value, "`ids` shape (6,) got shape (2,)"),
    "ids deep": (lambda: ExactIndex(CORPUS, ids=np.ones((6, 1), int)), Value, "`ids` shape (n,) got shape (6, 1)"),
    "ids scalar": (lambda: ExactIndex(CORPUS, ids=5), Value, "`ids` shape got shape ()"),
    "ids word": (lambda: ExactIndex(CORPUS, ids="abcdef"), Type, "`ids` list or an array got 'abcdef'"),
    "ids ragged": (lambda: ExactIndex(CORPUS, ids=[[1], [2, 3], 4]), Type, "`ids` flat list"),  # type: ignore[list-item]
    "ids twice": (lambda: ExactIndex(CORPUS, ids=[1, 2, 3, 4, 5, 5]), Value, "`ids` unique got 5 more than once"),
    "ids twice str": (lambda: ExactIndex(CORPUS, ids=list("abcdee")), Value, "`ids` unique got 'e' more than once"),
    "ids pad": (lambda: ExactIndex(CORPUS, ids=[1, 2, 3, 4, 5, -1]), Value, "`ids` -1 pads row 5"),
    "ids pad str": (lambda: ExactIndex(CORPUS, ids=["a", "", "c", "d", "e", "f"]), Value, "`ids` '' pads row 1"),
    "ids float": (lambda: ExactIndex(CORPUS, ids=np.arange(6.0)), Type, "`ids` integers or strings got dtype float64"),
    "ids bytes": (lambda: ExactIndex(CORPUS, ids=[b"a"] * 6), Type, "`ids` integers or strings got dtype bytes"),
    "ids mixed": (lambda: ExactIndex(CORPUS, ids=[1, "a", 2, 3, 4, 5]), Type, "`ids` mixture"),
    "ids mixed objects": (
        lambda: ExactIndex(CORPUS, ids=np.array([1, "a", 2, 3, 4, 5], object)),
        Type,
        "`ids` mixture",
    ),
    "ids missing": (lambda: ExactIndex(CORPUS, ids=np.array([None] * 6)), Type, "`ids` integers or strings object"),
    "ids beyond": (lambda: ExactIndex(CORPUS, ids=np.arange(6, dtype="u8") + 2**63), Value, "`ids` fit int64 92233720"),
    "ids masked": (lambda: ExactIndex(CORPUS, ids=np.ma.array(np.arange(6))), Type, "`ids` masked array"),
    "threads": (lambda: ExactIndex(CORPUS, num_threads=0), Value, "`num_threads` at least 1 got 0"),
    "threads str": (lambda: ExactIndex(CORPUS, num_threads="2"), Type, "`num_threads` integer got '2'"),  # type: ignore[arg-type]
    "threads bool": (lambda: ExactIndex(CORPUS, num_threads=True), Type, "`num_threads` integer got True"),
    "threads many": (lambda: search(num_threads=2**70), Value, "`num_threads` at most"),
    "memory limit": (lambda: ExactIndex(CORPUS, memory_limit=-1), Value, "`memory_limit` at least 0 got -1"),
    "memory too small": (lambda: ExactIndex(CORPUS, memory_limit=1), MemoryLimitError, "`memory_limit` at least got 1"),
    "memory str": (lambda: ExactIndex(CORPUS, memory_limit="1GB"), Type, "`memory_limit` integer got '1GB'"),  # type: ignore[arg-type]
    "plan": (lambda: INDEX.plan(-1, 1), Value, "`n_queries` at least 0 got -1"),
    "pickled": (lambda: pickle.dumps(INDEX), Type, "`corpus` file pickled ndarray in memory memmap"),
}

SEARCHES: dict[str, Case] = {
    "k below": (lambda: search(k=-1), Value, "`k` at least 0 got -1"),
    "k float": (lambda: search(k=2.0), Type, "`k` integer got 2.0"),
    "k beyond": (lambda: search(k=2**70), Value, "`k` at most got 1180591620717411303424"),
    "k beyond memory": (lambda: INDEX.search(np.ones((9000, 3)), 2**31 - 1), MemoryLimitError, "`k` 9000 rows bytes"),
    "option": (lambda: search(excluded=[]), Type, "`search` no option 'excluded' exclude"),
    "max_score NaN": (lambda: search(max_score=NAN), Value, "`max_score` finite got nan"),
    "max_score word": (lambda: search(max_score="1"), Type, "`max_score` number got '1'"),
    "max_score beyond": (lambda: search(max_score=10**400), Value, "`max_score` finite"),
    "exclude flat": (lambda: search(exclude=[1, 2]), Type, "`exclude` list for every query got 1 for query 0"),
    "exclude word": (lambda: search(exclude="ab"), Type, "`exclude` list got str"),
    "exclude words": (lambda: search(exclude=["ab", "c"]), Type, "`exclude` list got 'ab' query 0"),
    "exclude labels": (lambda: search(exclude=[["a"], ["b"]]), Type, "`exclude` integers got strings"),
    "exclude number": (lambda: search(exclude=3), Type, "`exclude` list got int"),
    "exclude short": (lambda: search(exclude=[[1]]), Value, "`exclude` length 2 got 1"),
    "exclude outside": (lambda: search(exclude=[[-1], []]), Value, "`exclude` rows got -1"),
    "exclude beyond": (lambda: search(exclude=[[6], []]), Value, "`exclude` below 6 got 6"),
    "exclude float": (lambda: search(exclude=[[0.5], []]), Type, "`exclude` integers got dtype float64"),
    "eligible tuple": (lambda: search(eligible=([1] * 6, [0] * 2, [0] * 2)), Type, "`eligible` Eligibility got tuple"),
    "eligible keys": (
        lambda: search(eligible=Eligibility.equal([1] * 5, [0] * 2)),
        Value,
        "`eligible.keys` length 6 got 5",
    ),
    "eligible ranges": (
        lambda: candidates(eligible=Eligibility.equal([1] * 6, [0] * 3)),
        Value,
        "`eligible` 6 keys 2 ranges got 6 and 3",
    ),
    "eligible uneven": (
        lambda: Eligibility(np.arange(6), np.zeros(3, int), np.zeros(2, int)),
        Value,
        "`highest` length 3 got 2",
    ),
    "eligible float": (lambda: Eligibility.equal([1.5] * 6, [0]), Type, "`keys` integers got dtype float64"),
    "eligible word": (lambda: Eligibility.equal([1] * 6, ["a"]), Type, "`query_keys` integers got strings"),
    "progress": (lambda: search(progress=5), Type, "`progress` callable got 5"),
}

MINERS: dict[str, Case] = {
    "option": (lambda: HardNegativeMiner(relative_marign=0.1), Type, "no option 'relative_marign' relative_margin"),  # type: ignore[call-arg]
    "option of mine": (
        lambda: negmine.mine(QUERIES, CORPUS, POSITIVES, num_negative=3),
        Type,
        "`mine` no option 'num_negative' metric progress",
    ),
    "option of miner.mine": (lambda: MINER.mine(INDEX, QUERIES, POSITIVES, groop=3), Type, "`mine` no option 'groop'"),
    "option of candidates": (lambda: candidates(bogus=1), Type, "`candidates` no option 'bogus' exclude"),
    "num_negatives": (lambda: HardNegativeMiner(0), Value, "`num_negatives` at least 1 got 0"),
    "num_negatives float": (lambda: HardNegativeMiner(2.5), Type, "`num_negatives` integer got 2.5"),  # type: ignore[arg-type]
    "num_negatives None": (lambda: HardNegativeMiner(None), Type, "`num_negatives` integer got None"),  # type: ignore[arg-type]
    "num_negatives beyond": (lambda: HardNegativeMiner(2**40), Value, "`num_negatives` at most"),
    "absolute NaN": (lambda: HardNegativeMiner(absolute_margin=NAN), Value, "`absolute_margin` finite got nan"),
    "absolute inf": (lambda: HardNegativeMiner(absolute_margin=-INF), Value, "`absolute_margin` finite got -inf"),
    "absolute word": (lambda: HardNegativeMiner(absolute_margin="0.1"), Type, "`absolute_margin` number got '0.1'"),  # type: ignore[arg-type]
    "relative below": (lambda: HardNegativeMiner(relative_margin=-0.1), Value, "`relative_margin` least 0.0 got -0.1"),
    "relative inf": (lambda: HardNegativeMiner(relative_margin=INF), Value, "`relative_margin` finite got inf"),
    "relative NaN": (lambda: HardNegativeMiner(relative_margin=NAN), Value, "`relative_margin` finite got nan"),
    "min_score": (lambda: HardNegativeMiner(min_score=NAN), Value, "`min_score` finite got nan"),
    "max_score": (lambda: HardNegativeMiner(max_score=[1]), Type, "`max_score` number got [1]"),  # type: ignore[arg-type]
    "reference": (
        lambda: HardNegativeMiner(reference="median"),  # type: ignore[arg-type]
        Value,
        "`reference` 'min', 'max', 'mean', 'each' got 'median'",
    ),
    "empty window": (
        lambda: HardNegativeMiner(range_min=5, range_max=5),
        Value,
        "`range_max` greater than `range_min` range_min=5, range_max=5",
    ),
    "turned window": (lambda: HardNegativeMiner(range_min=6, range_max=5), Value, "`range_max` greater `range_min`"),
    "range_min": (lambda: HardNegativeMiner(range_min=-1), Value, "`range_min` at least 0 got -1"),
    "range_max": (lambda: HardNegativeMiner(range_max=0), Value, "`range_max` at least 1 got 0"),
    "range_max beyond memory": (
        lambda: HardNegativeMiner(range_max=2**31 - 1).candidates(INDEX, np.ones((9000, 3)), [[]] * 9000),
        MemoryLimitError,
        "`range_max` 9000 rows bytes",
    ),
    "sampling": (lambda: HardNegativeMiner(sampling="softmax"), Value, "`sampling` policy Softmax 'softmax'"),  # type: ignore[arg-type]
    "sampling class": (
        lambda: HardNegativeMiner(sampling=Softmax),
        Value,
        "`sampling` policy Softmax got",
    ),  # type: ignore[arg-type]
    "num_random": (lambda: HardNegativeMiner(num_random=-1), Value, "`num_random` at least 0 got -1"),
    "limit": (lambda: HardNegativeMiner(limit_per_document=0), Value, "`limit_per_document` at least 1 got 0"),
    "seed below": (lambda: HardNegativeMiner(seed=-1), Value, "`seed` at least 0 got -1"),
    "seed beyond": (lambda: HardNegativeMiner(seed=2**64), Value, "`seed` at most 18446744073709551615 got"),
    "seed float": (lambda: HardNegativeMiner(seed=0.5), Type, "`seed` integer got 0.5"),  # type: ignore[arg-type]
    "temperature": (lambda: Softmax(0), Value, "`temperature` greater than 0.0 got 0.0"),
    "temperature inf": (lambda: Softmax(INF), Value, "`temperature` finite got inf"),
    "temperature name": (lambda: Softmax(temp=1), Type, "`Softmax` no option 'temp' temperature"),  # type: ignore[call-arg]
    "a": (lambda: SimANS(a=-1), Value, "`a` at least 0.0 got -1.0"),
    "b": (lambda: SimANS(b="x"), Type, "`b` number got 'x'"),  # type: ignore[arg-type]
    "scale": (lambda: SimANS(scale="var"), Value, "`scale` 'std', 'raw' got 'var'"),  # type: ignore[arg-type]
}

RULES: dict[str, Case] = {
    "index": (lambda: candidates(source=CORPUS), Type, "`source` ExactIndex got ndarray"),
    "positives flat": (lambda: candidates([0, 1, 2]), Value, "`positives` length 2 list per query got 3"),
    "positives flat floats": (lambda: candidates([0.0, 1.0]), Type, "`positives` list for every query got 0.0"),
    "exclude flat": (lambda: candidates(exclude=[0, 1]), Type, "`exclude` list for every query got 0 for query 0"),
    "positives word": (lambda: candidates("ab"), Type, "`positives` list got str"),
    "positives words": (lambda: candidates(["0", "1"]), Type, "`positives` list got '0' query 0"),
    "positives None": (lambda: candidates(None), Type, "`positives` list got NoneType"),
    "positives holes": (lambda: candidates([[0], None]), Type, "`positives` list got None for query 1"),
    "positives dict": (lambda: candidates({0: [1]}), Type, "`positives` got dict from_dict"),
    "positives short": (lambda: candidates([[0]]), Value, "`positives` length 2 got 1"),
    "positives beyond": (lambda: candidates([[0], [6]]), Value, "`positives` below 6 got 6"),
    "positives outside": (lambda: candidates([[0], [-1]]), Value, "`positives` rows got -1 from_lists"),
    "positives float": (lambda: candidates([[0.5], [1]]), Type, "`positives` integers got dtype float64"),
    "positives labels": (lambda: candidates([["a"], ["b"]]), Type, "`positives` integers got strings"),
    "positives nested": (lambda: candidates([[[0]], [[1]]]), Value, "`positives` shape got shape (2, 1)"),
    "positives ragged": (lambda: candidates([[[0]], [1]]), Type, "`positives` flat list"),
    "positives ctor": (
        lambda: candidates(Positives(np.array([0, 5, 2]), np.array([0, 1]))),
        Value,
        "`offsets` start at 0, never fall [0 5 2]",
    ),
    "vectors width": (
        lambda: candidates(outside(positive_embeddings=np.ones((1, 4)))),
        Value,
        "`positive_embeddings` as wide as the queries, 3 got width 4",
    ),
    "groups short": (lambda: candidates(groups=[1]), Value, "`groups` shape (6,) got shape (1,)"),
    "groups float": (lambda: candidates(groups=np.ones(6)), Type, "`groups` integers got dtype float64"),
    "self unknown": (lambda: candidates(exclude_self=True), Value, "`exclude_self` `query_ids` labels query_offset=0"),
    "self without ids": (
        lambda: candidates(exclude_self=True, query_ids=[1, 2]),
        Value,
        "`exclude_self` no labels of the documents",
    ),
    "self word": (lambda: candidates(exclude_self="yes"), Type, "`exclude_self` True or False got 'yes'"),
    "query_ids alone": (lambda: candidates(query_ids=[1]), Value, "`query_ids` shape (2,) got shape (1,)"),
    "query_ids floats": (
        lambda: candidates(query_ids=[0.5, 1.5]),
        Type,
        "`query_ids` integers or strings dtype float64",
    ),
    "query_ids short": (
        lambda: candidates(source=LABELED, exclude_self=True, query_ids=[1]),
        Value,
        "`query_ids` shape (2,) got shape (1,)",
    ),
    "query_ids type": (
        lambda: candidates(source=NAMED, exclude_self=True, query_ids=[1, 2]),
        Value,
        "`query_ids` type of labels strings got dtype int64",
    ),
    "offset": (lambda: candidates(query_offset=-1), Value, "`query_offset` at least 0 got -1"),
    "offset beyond": (lambda: candidates(query_offset=2**63), Value, "`query_offset` at most got 9223372036854775808"),
    "rejected": (lambda: candidates(keep_rejected=-1), Value, "`keep_rejected` at least 0 got -1"),
    "warm start": (lambda: candidates(warm_start=[1, 2]), Value, "`warm_start` (2, any) got int64 (2,)"),
    "warm start short": (lambda: candidates(warm_start=np.zeros((3, 1), int)), Value, "`warm_start` (2, any) (3, 1)"),
    "warm start float": (lambda: candidates(warm_start=np.zeros((2, 1))), Value, "`warm_start` (2, any) float64"),
    "progress": (lambda: candidates(progress="bar"), Type, "`progress` callable got 'bar'"),
}

POOLS: dict[str, Case] = {
    "n": (lambda: POOL.select(0), Value, "`num_negatives` at least 1 got 0"),
    "n beyond": (lambda: POOL.select(2**40), Value, "`num_negatives` at most"),
    "sampling": (lambda: POOL.select(1, sampling="best"), Value, "`sampling` 'top', 'random' got 'best'"),  # type: ignore[arg-type]
    "seed": (lambda: POOL.select(1, seed=-1), Value, "`seed` at least 0 got -1"),
    "epoch": (lambda: POOL.select(1, epoch=-1), Value, "`epoch` at least 0 got -1"),
    "epoch beyond": (lambda: POOL.select(1, epoch=2**64), Value, "`epoch` at most got 18446744073709551616"),
    "num_random": (lambda: POOL.select(1, num_random="a"), Type, "`num_random` integer got 'a'"),  # type: ignore[arg-type]
    "option": (lambda: POOL.select(1, temperature=2), Type, "`select` no option 'temperature' sampling"),  # type: ignore[call-arg]
    "cap": (lambda: POOL.select(1, limit_per_document=0), Value, "`limit_per_document` at least 1 got 0"),
    "redraw": (lambda: POOL.select(1).redraw(-1), Value, "`epoch` at least 0 got -1"),
    "redraw option": (lambda: POOL.select(1).redraw(1, seed=3), Type, "`redraw` no option 'seed' epoch"),  # type: ignore[call-arg]
    "redraw word": (lambda: POOL.select(1).redraw("a"), Type, "`epoch` integer got 'a'"),  # type: ignore[arg-type]
    "attach": (lambda: POOL.attach(ExactIndex(CORPUS[:3]), QUERIES), Value, "`source` 6 documents got 3"),
    "attach width": (
        lambda: POOL.attach(ExactIndex(CORPUS[:, :2]), QUERIES),
        Value,
        "`queries` as wide as the corpus got width 3",
    ),
    "attach array": (lambda: POOL.attach(CORPUS, QUERIES), Type, "`source` ExactIndex got ndarray"),  # type: ignore[arg-type]
    "attach others": (lambda: POOL.attach(INDEX, QUERIES[::-1]), Value, "`queries` those of the pool document row"),
    "attach metric": (
        lambda: POOL.attach(ExactIndex(CORPUS, metric="ip"), QUERIES),
        Value,
        "`source` those of the pool got a score",
    ),
}

LISTS: dict[str, Case] = {
    "ragged": (lambda: Positives.from_csr([0, 2], [1]), Value, "`offsets` end number of items, 1 got [0 2]"),
    "start": (lambda: Positives.from_csr([1, 2], [1]), Value, "`offsets` start at 0 got [1 2]"),
    "falling": (lambda: Positives.from_csr([0, 2, 1, 2], [1, 2]), Value, "`offsets` never fall got [0 2 1 2]"),
    "empty": (lambda: Positives.from_csr([], []), Value, "`offsets` start at 0 got []"),
    "unsorted": (lambda: Positives.from_csr([0, 1, 3], [0, 4, 1]), Value, "`items` strictly ascending query 1"),
    "repeats": (lambda: Positives.from_csr([0, 2], [1, 1]), Value, "`items` strictly ascending query 0"),
    "below -1": (lambda: Positives.from_csr([0, 1], [-2]), Value, "`items` rows -1 got -2"),
    "no score": (lambda: Positives.from_csr([0, 1], [-1]), Value, "`positive_scores` `positive_embeddings` neither"),
    "items float": (lambda: Positives.from_csr([0, 1], [0.5]), Type, "`items` integers got dtype float64"),
    "offsets deep": (lambda: Positives.from_csr([[0, 1]], [1]), Value, "`offsets` shape (n,) got shape (1, 2)"),
    "scores length": (lambda: outside(positive_scores=[1, 2]), Value, "`positive_scores` shape (1,) got shape (2,)"),
    "scores NaN": (lambda: outside(positive_scores=[NAN]), Value, "`positive_scores` finite -1"),
    "scores inf": (lambda: outside(positive_scores=[INF]), Value, "`positive_scores` finite -1"),
    "scores word": (lambda: outside(positive_scores=["a"]), Type, "`positive_scores` numbers got strings"),
    "vectors rows": (lambda: outside(positive_embeddings=np.ones((2, 3))), Value, "`positive_embeddings` 1 rows got 2"),
    "vectors list": (lambda: outside(positive_embeddings=[[1.0]]), Type, "`positive_embeddings` NumPy array got list"),
    "vectors NaN": (
        lambda: outside(positive_embeddings=np.full((1, 3), NAN)),
        Value,
        "`positive_embeddings` finite row 0",
    ),
    "vectors beyond": (
        lambda: outside(positive_embeddings=np.full((1, 3), 1e39)),
        Value,
        "`positive_embeddings` finite",
    ),
    "both": (
        lambda: outside(positive_scores=[1], positive_embeddings=np.ones((1, 3))),
        Value,
        "`positive_scores` `positive_embeddings` not both",
    ),
    "grades length": (lambda: Positives.from_csr([0, 1], [1], grades=[1, 2]), Value, "`grades` (1,) got shape (2,)"),
    "grades float": (
        lambda: Positives.from_csr([0, 1], [1], grades=[1.5]),
        Value,
        "`grades` whole numbers got 1.5 row 0",
    ),
    "n_queries": (lambda: Positives.from_pairs([0], [1]), Type, "`n_queries` `query_ids` None"),
    "pairs uneven": (lambda: Positives.from_pairs([0], [1, 2], n_queries=2), Value, "`documents` length 1 got 2"),
    "pairs beyond": (lambda: Positives.from_pairs([2], [1], n_queries=2), Value, "`queries` below 2 got 2"),
    "pairs below": (lambda: Positives.from_pairs([-1], [1], n_queries=2), Value, "`queries` below 2 got -1"),
    "pairs document": (lambda: Positives.from_pairs([0], [-2], n_queries=2), Value, "`documents` rows -1 got -2"),
    "unknown query": (
        lambda: Positives.from_pairs(["z"], [1], query_ids=["a"]),
        Value,
        "`queries` labels of `query_ids` 'z' unknown",
    ),
    "unknown document": (
        lambda: Positives.from_pairs([0], [8], n_queries=1, document_ids=[7]),
        Value,
        "`documents` labels of `document_ids` 8 unknown",
    ),
    "label type": (
        lambda: Positives.from_pairs([0], [3], n_queries=1, document_ids=["a"]),
        Type,
        "`documents` `document_ids`, strings got dtype int64",
    ),
    "labels twice": (
        lambda: Positives.from_pairs([0], ["a"], n_queries=1, document_ids=["a", "a"]),
        Value,
        "`document_ids` unique got 'a'",
    ),
    "lists unknown": (lambda: Positives.from_lists([["z"]], document_ids=["a"]), Value, "`lists` `document_ids` 'z'"),
    "lists option": (
        lambda: Positives.from_lists([[1]], ids=[1, 2]),  # type: ignore[call-arg]
        Type,
        "`from_lists` no option 'ids' document_ids",
    ),
    "lists mixed": (lambda: Positives.from_lists([["z", 1]], document_ids=["a"]), Type, "`lists` mixture"),
    "lists words": (lambda: Positives.from_lists(["abc"], document_ids=["a"]), Type, "`lists` list got 'abc' query 0"),
    "dict words": (
        lambda: Positives.from_dict({"q": "abc"}, query_ids=["q"], document_ids=["a"]),
        Type,
        "`mapping` list got 'abc' for query 'q'",
    ),
    "dict unknown": (
        lambda: Positives.from_dict({"z": ["a"]}, query_ids=["q"], document_ids=["a"]),
        Value,
        "`mapping` `query_ids` 'z' unknown",
    ),
    "dict list": (
        lambda: Positives.from_dict([("q", ["a"])], query_ids=["q"], document_ids=["a"]),  # type: ignore[arg-type]
        Type,
        "`mapping` mapping got list",
    ),
    "qrels unknown": (
        lambda: Positives.from_qrels({"q": {"z": 1}}, query_ids=["q"], document_ids=["a"]),
        Value,
        "`qrels` `document_ids` 'z' unknown",
    ),
    "qrels list": (
        lambda: Positives.from_qrels({"q": ["a"]}, query_ids=["q"], document_ids=["a"]),  # type: ignore[dict-item]
        Type,
        "`qrels` mapping got list 'q'",
    ),
    "qrels grades": (
        lambda: Positives.from_qrels({"q": {"a": 0.5}}, query_ids=["q"], document_ids=["a"]),
        Value,
        "`qrels` whole numbers got 0.5 query 'q' document 'a'",
    ),
    "min_grade": (
        lambda: Positives.from_qrels({"q": {"a": 1}}, query_ids=["q"], document_ids=["a"], min_grade="1"),  # type: ignore[arg-type]
        Type,
        "`min_grade` integer got '1'",
    ),
    "scipy": (lambda: Positives.from_scipy([[1]]), Type, "`matrix` scipy sparse matrix got list"),
    "lower grades": (lambda: Positives.from_lists([[1]]).lower_grades(), Value, "`lower_grades` `from_qrels`"),
}

PAIRS: dict[str, Case] = {
    "document below": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[0, -1]]), Value, "`pairs` row numbers got -1"),
    "document beyond": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[0, 6]]), Value, "`pairs` below 6 got 6"),
    "query beyond": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[2, 0]]), Value, "`pairs` below 2 got 2"),
    "query below": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[-1, 0]]), Value, "`pairs` below 2 got -1"),
    "shape": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[0, 1, 2]]), Value, "`pairs` (n, 2) got int64 (1, 3)"),
    "float": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[0.0, 1.0]]), Value, "`pairs` integers float64 (1, 2)"),
    "ragged": (lambda: negmine.score_pairs(QUERIES, CORPUS, [[0, 1], [2]]), Type, "`pairs` flat list"),  # type: ignore[list-item]
    "metric": (lambda: negmine.score_pairs(QUERIES, CORPUS, [], metric="x"), Value, "`metric` 'ip' got 'x'"),  # type: ignore[arg-type]
    "verify option": (
        lambda: negmine.verify(QUERIES, CORPUS, [[1], [2]], 1, top=3),  # type: ignore[call-arg]
        Type,
        "`verify` no option 'top' metric",
    ),
    "sweep option": (
        lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, [0.1], max_margin=1),
        Type,
        "`sweep` no option 'max_margin'",
    ),
    "verify shape": (lambda: negmine.verify(QUERIES, CORPUS, [[1], [2]], 2), Value, "`indices` (2, at least 2) (2, 1)"),
    "verify k": (lambda: negmine.verify(QUERIES, CORPUS, [[1], [2]], 0), Value, "`k` at least 1 got 0"),
    "sweep kind": (
        lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, [0.1], "ratio"),  # type: ignore[arg-type]
        Value,
        "`kind` 'relative', 'absolute' got 'ratio'",
    ),
    "sweep none": (lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, []), Value, "`margins` at least one got none"),
    "sweep below": (lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, [-0.1]), Value, "`margins` at least 0.0 got -0.1"),
    "sweep verdicts": (
        lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, [0.1], verdicts=3),  # type: ignore[arg-type]
        Type,
        "`verdicts` Verdicts got int",
    ),
    "sweep depth": (
        lambda: MINER.sweep(INDEX, QUERIES, POSITIVES, [0.1], depth=1),
        Value,
        "`depth` at least 2 got 1",
    ),
}

ROWS = [0.5, 0.25, 1.0]
SELECTIONS: dict[str, Case] = {
    "num": (lambda: select(-1, scores=ROWS), Value, "`num` at least 0 got -1"),
    "num float": (lambda: select(1.5, scores=ROWS), Type, "`num` integer got 1.5"),  # type: ignore[arg-type]
    "num beyond": (lambda: select(2**40, scores=ROWS), Value, "`num` at most got 1099511627776"),
    "nothing": (lambda: select(1), Type, "`scores` `groups` given neither"),
    "scores NaN": (lambda: select(1, scores=[0, NAN]), Value, "`scores` finite -inf candidates NaN row 1"),
    "scores inf": (lambda: select(1, scores=[INF, 0]), Value, "`scores` finite got inf at row 0"),
    "scores strings": (lambda: select(1, scores=["a"]), Type, "`scores` numbers got strings"),
    "scores deep": (lambda: select(1, scores=[[1.0]]), Value, "`scores` shape (n,) got shape (1, 1)"),
    "groups short": (lambda: select(1, scores=ROWS, groups=[0]), Value, "`groups` length 3, `scores` got 1"),
    "groups float": (lambda: select(1, groups=[0.5]), Type, "`groups` integers got dtype float64"),
    "groups below": (lambda: select(1, groups=[0, -2]), Value, "`groups` from 0, or -1 got -2 at row 1"),
    "groups beyond": (lambda: select(1, groups=[0, 2], target=[1, 1]), Value, "`groups` got 2 at row 1, with 2 groups"),
    "groups far": (lambda: select(1, groups=[2**62]), MemoryLimitError, "`groups` fits in memory"),
    "target": (lambda: select(1, scores=ROWS, target="equal"), Value, "`target` 'proportional', 'balanced' 'equal'"),
    "target zero": (lambda: select(1, groups=[0, 1], target=[0, 0]), Value, "`target` not all 0 got [0.0, 0.0]"),
    "target below": (lambda: select(1, groups=[0, 1], target=[-1, 1]), Value, "`target` at least 0 got [-1.0, 1.0]"),
    "target NaN": (lambda: select(1, groups=[0, 1], target=[NAN, 1]), Value, "`target` finite got [nan, 1.0]"),
    "target inf": (lambda: select(1, groups=[0, 1], target=[INF, 1]), Value, "`target` finite got [inf, 1.0]"),
    "target empty": (lambda: select(1, groups=[-1], target=[]), Value, "`target` not all 0 got []"),
    "target alone": (
        lambda: select(1, scores=ROWS, target=[1, 2]),
        Value,
        "`target` length 1 if `groups` is None got 2",
    ),
    "given below": (lambda: select(1, groups=[0, 1], given=[0, -3]), Value, "`given` at least 0 got -3 for group 1"),
    "given float": (lambda: select(1, groups=[0, 1], given=[0.5, 1]), Type, "`given` integers got dtype float64"),
    "given alone": (lambda: select(1, scores=ROWS, given=[1, 2]), Value, "`given` length 1 `groups` is None got 2"),
    "given short": (lambda: select(1, groups=[0, 1], target=[1, 2], given=[1]), Value, "`given` length 2 got 1"),
    "minimum": (lambda: select(1, scores=ROWS, minimum=-1), Value, "`minimum` at least 0 got -1"),
    "minimum beyond num": (
        lambda: select(5, groups=[0, 0, 1, 1, 2, 2], minimum=2),
        Value,
        "`minimum` small enough every group got 2, `num` must be at least 6, not 5",
    ),
    "within": (lambda: select(1, scores=ROWS, within="best"), Value, "`within` 'top', 'softmax' got 'best'"),  # type: ignore[arg-type]
    "temperature": (
        lambda: select(1, scores=ROWS, within="softmax", temperature=0),
        Value,
        "`temperature` greater 0.0",
    ),
    "temperature NaN": (
        lambda: select(1, scores=ROWS, within="softmax", temperature=NAN),
        Value,
        "`temperature` finite",
    ),
    "temperature unused": (
        lambda: select(1, scores=ROWS, temperature=0.5),
        Value,
        "`temperature` 1.0 `within` 'top' got 0.5",
    ),
    "diversity": (lambda: select(1, embeddings=CORPUS, diversity=-0.1), Value, "`diversity` at least 0.0 got -0.1"),
    "diversity above": (lambda: select(1, embeddings=CORPUS, diversity=1.1), Value, "`diversity` at most 1.0 got 1.1"),
    "diversity alone": (lambda: select(1, scores=ROWS, diversity=0.5), Type, "`embeddings` given `diversity` got None"),
    "diversity softmax": (
        lambda: select(1, embeddings=CORPUS, diversity=0.5, within="softmax"),
        Value,
        "`diversity` None if `within` is 'softmax' got 0.5",
    ),
    "embeddings unused": (lambda: select(1, embeddings=CORPUS), Value, "`embeddings` None `diversity` not used"),
    "embeddings short": (
        lambda: select(1, scores=ROWS, embeddings=CORPUS, diversity=0.5),
        Value,
        "`embeddings` length 3, `scores` got 6",
    ),
    "embeddings NaN": (
        lambda: select(1, embeddings=holed(CORPUS, 4, 1, NAN), diversity=0.5),
        Value,
        "`embeddings` finite row 4 column 1",
    ),
    "embeddings list": (
        lambda: select(1, embeddings=[[1.0]], diversity=0.5),
        Type,
        "`embeddings` NumPy array got list",
    ),
    "replace": (lambda: select(1, scores=ROWS, replace=True), Value, "`replace` False `within` 'top' got True"),
    "replace word": (lambda: select(1, scores=ROWS, replace="no"), Type, "`replace` True or False got 'no'"),  # type: ignore[arg-type]
    "seed": (lambda: select(1, scores=ROWS, seed=-1), Value, "`seed` at least 0 got -1"),
    "epoch": (lambda: select(1, scores=ROWS, epoch=2**64), Value, "`epoch` at most got 18446744073709551616"),
    "query": (lambda: select(1, scores=ROWS, query="a"), Type, "`query` integer got 'a'"),  # type: ignore[arg-type]
    "threads": (lambda: select(1, scores=ROWS, num_threads=0), Value, "`num_threads` at least 1 got 0"),
    "progress": (lambda: select(1, scores=ROWS, progress=3), Type, "`progress` callable got 3"),  # type: ignore[arg-type]
    "option": (lambda: select(1, score=ROWS), Type, "`select` no option 'score' mean 'scores'"),  # type: ignore[call-arg]
    "keep NaN": (lambda: keep([0, NAN]), Value, "`scores` NaN row 1"),
    "keep low": (lambda: keep(ROWS, low=NAN), Value, "`low` finite got nan"),
    "keep high": (lambda: keep(ROWS, high="1"), Type, "`high` number got '1'"),  # type: ignore[arg-type]
    "keep turned": (lambda: keep(ROWS, low=2, high=1), Value, "`low` at most `high` low=2.0, high=1.0"),
    "keep share": (lambda: keep(ROWS, share=0), Value, "`share` greater than 0.0 got 0.0"),
    "keep share above": (lambda: keep(ROWS, share=1.5), Value, "`share` at most 1.0 got 1.5"),
    "keep option": (lambda: keep(ROWS, fraction=0.5), Type, "`keep` no option 'fraction' share"),  # type: ignore[call-arg]
    "log_probs above": (lambda: sequence_scores([-1, 0.1], [0, 2]), Value, "`log_probs` at most 0 got 0.1 at row 1"),
    "log_probs NaN": (lambda: sequence_scores([NAN], [0, 1]), Value, "`log_probs` at most 0 got nan at row 0"),
    "log_probs none": (lambda: sequence_scores(None, [0]), Type, "`log_probs` given `kind` 'min_k' got None"),
    "log_probs unused": (
        lambda: sequence_scores([-1], [0, 1], "npr", ranks=[1], perturbed=[1]),
        Value,
        "`log_probs` None `kind` 'npr'",
    ),
    "offsets": (lambda: sequence_scores([-1, -2], [0, 1]), Value, "`offsets` end tokens, 2 got [0 1]"),
    "kind": (lambda: sequence_scores([-1], [0, 1], "loss"), Value, "`kind` 'min_k', 'lrr' got 'loss'"),  # type: ignore[arg-type]
    "share": (lambda: sequence_scores([-1], [0, 1], share=2), Value, "`share` at most 1.0 got 2.0"),
    "share unused": (lambda: sequence_scores([-1], [0, 1], "perplexity", share=0.5), Value, "`share` 'perplexity' 0.5"),
    "ranks": (lambda: sequence_scores([-1], [0, 1], "lrr", ranks=[0]), Value, "`ranks` at least 1 got 0 at row 0"),
    "ranks none": (lambda: sequence_scores([-1], [0, 1], "lrr"), Type, "`ranks` given `kind` 'lrr' None"),
    "ranks short": (lambda: sequence_scores([-1], [0, 1], "lrr", ranks=[1, 2]), Value, "`ranks` shape (1,) got (2,)"),
    "ranks unused": (lambda: sequence_scores([-1], [0, 1], ranks=[1]), Value, "`ranks` None `kind` 'min_k'"),
    "perturbed": (
        lambda: sequence_scores(None, [0, 1], "npr", ranks=[1], perturbed=[-1]),
        Value,
        "`perturbed` finite and at least 0.0 got -1.0 at row 0",
    ),
    "entropy": (
        lambda: sequence_scores([-1], [0, 1], "surprise_gap", entropy=[INF]),
        Value,
        "`entropy` finite got inf at row 0",
    ),
}

WEIGHTS: dict[str, Case] = {
    "none": (lambda: ipw(), Type, "`propensity` `log` got neither"),  # type: ignore[call-overload]
    "both": (lambda: ipw([1], log=[0]), Type, "`propensity` `log` got both"),
    "propensity": (lambda: ipw([0.5, 1.5]), Value, "`propensity` [0, 1] 1.5 at row 1"),
    "propensity NaN": (lambda: ipw([[0.5], [NAN]]), Value, "`propensity` [0, 1] nan at place (1, 0)"),
    "propensity 0": (lambda: ipw([0.5, 0]), Value, "`propensity` finite inverse `clip` got 0.0 at row 1"),
    "propensity 0 seen": (lambda: ipw([0.0], label=[1]), Value, "`propensity` `clip` got 0.0 at row 0"),
    "propensity words": (lambda: ipw(["a"]), Type, "`propensity` numbers strings"),
    "log": (lambda: ipw(log=[0, INF]), Value, "`log` below infinity got inf at row 1"),
    "log NaN": (lambda: ipw(log=[NAN]), Value, "`log` got nan at row 0"),
    "log 0": (lambda: ipw(log=[-INF]), Value, "`log` `clip` got -inf at row 0"),
    "label": (lambda: ipw([0.5], label=[2]), Value, "`label` 0 or 1 got 2.0 at row 0"),
    "label shape": (lambda: ipw([0.5], label=[1, 0]), Value, "`label` shape (1,) got (2,)"),
    "label relative": (lambda: ipw([0.5], label=[1], relative_to=0), Value, "`relative_to` None `label` got 0"),  # type: ignore[call-overload]
    "label normalize": (lambda: ipw([0.5], label=[1], normalize="sum"), Value, "`normalize` None `label` got 'sum'"),  # type: ignore[call-overload]
    "clip": (lambda: ipw([0.5], clip=0), Value, "`clip` greater than 0.0 got 0.0"),
    "clip above": (lambda: ipw([0.5], clip=2), Value, "`clip` at most 1 got 2.0"),
    "relative": (lambda: ipw([0.5], relative_to=1), Value, "`relative_to` at most 0 got 1"),
    "relative number": (lambda: ipw(0.5, relative_to=0), Value, "`propensity` axis `relative_to` one number"),
    "relative 0": (lambda: ipw([0, 1], relative_to=0, clip=0.1), Value, "`propensity` positive `relative_to` got 0.0"),
    "normalize": (lambda: ipw([0.5], normalize="max"), Value, "`normalize` 'mean', 'sum' got 'max'"),  # type: ignore[call-overload]
    "ipw option": (lambda: ipw([0.5], clips=1), Type, "`ipw` no option 'clips' 'clip'"),  # type: ignore[call-overload]
    "score": (lambda: selection_propensity([1, INF], 1), Value, "`score` finite got inf at row 1"),
    "temperature": (lambda: selection_propensity([1], 0), Value, "`temperature` greater than 0.0 got 0.0"),
    "counts": (lambda: popularity_propensity([1, -1]), Value, "`counts` at least 0 got -1.0 at row 1"),
    "counts none": (lambda: popularity_propensity([0, 0]), Value, "`counts` positive got 2 counts"),
    "exponent": (lambda: popularity_propensity([1], -1), Value, "`exponent` at least 0.0 got -1.0"),
    "n_pos": (lambda: design_weights(0, 1), Value, "`n_pos` at least 1 got 0"),
    "n_unl": (lambda: design_weights(1, 0.5), Type, "`n_unl` integer got 0.5"),  # type: ignore[arg-type]
    "scores": (lambda: hardness([1, 2]), Value, "`scores` shape (n_rows, n_columns) got (2,)"),
    "scores NaN": (lambda: hardness([[1, NAN]]), Value, "`scores` finite got nan at place (0, 1)"),
    "scores target": (lambda: hardness([[INF, 1]], kind="sample"), Value, "`scores` finite targets got inf at row 0"),
    "mask shape": (lambda: hardness([[1, 2]], [[True]]), Value, "`mask` shape (1, 2) got (1, 1)"),
    "mask numbers": (lambda: hardness([[1, 2]], [[1, 0]]), Type, "`mask` True or False int64"),
    "kind": (lambda: hardness([[1]], kind="hard"), Value, "`kind` 'self', 'sample' got 'hard'"),  # type: ignore[call-overload]
    "beta": (lambda: hardness([[1]], beta=-1), Value, "`beta` at least 0.0 got -1.0"),
    "progress": (lambda: hardness([[1]], progress=1.5), Value, "`progress` at most 1 got 1.5"),
    "target": (lambda: hardness([[1]], target=[1]), Value, "`target` columns, from 0 to 0 got 1 at row 0"),
    "target missing": (lambda: hardness([[1], [2]], kind="ngame"), Value, "`target` given `scores` (2, 1)"),
    "margin": (lambda: hardness([[1]], margin=0.3), Value, "`margin` 'ngame' got 0.3"),
    "hardest": (lambda: hardness([[1]], hardest=3), Value, "`hardest` 'ngame' got 3"),
    "hardest 0": (lambda: hardness([[1]], kind="ngame", hardest=0), Value, "`hardest` at least 1 got 0"),
    "counted": (lambda: hardness([[1]], return_counts=1), Type, "`return_counts` True or False 1"),  # type: ignore[call-overload]
}

CONTEXTS: dict[str, Case] = {
    "gold below": (lambda: pack_context(-1, [1], 2), Value, "`gold` rows, at least 0 got -1 at place 0"),
    "gold float": (lambda: pack_context([0.5], [1], 2), Type, "`gold` integers got dtype float64"),
    "gold twice": (lambda: pack_context([3, 3], [1], 3), Value, "`gold` once got 3 again"),
    "distractors below": (lambda: pack_context(0, [-2], 2), Value, "`distractors` rows, at least -1 got -2 at place 0"),
    "distractors words": (lambda: pack_context(0, ["a"], 2), Type, "`distractors` integers got strings"),
    "distractors twice": (lambda: pack_context(0, [1, 1], 3), Value, "`distractors` once got 1 again"),
    "distractors gold": (lambda: pack_context(1, [2, 1], 3), Value, "`distractors` none that is gold got 1 again"),
    "k": (lambda: pack_context(0, [1], 0), Value, "`k` at least 1 got 0"),
    "k below gold": (lambda: pack_context([5, 6], [1], 1), Value, "`k` at least gold documents, 2 got 1"),
    "order": (lambda: pack_context(0, [1], 2, order="best"), Value, "`order` 'ends', 'rank' got 'best'"),  # type: ignore[arg-type]
    "position": (lambda: pack_context(0, [1, 2], 3, gold_position=3), Value, "`gold_position` at most 2 got 3"),
    "position below": (lambda: pack_context(0, [1], 2, gold_position=-1), Value, "`gold_position` at least 0 got -1"),
    "position random": (
        lambda: pack_context(0, [1], 2, order="random", gold_position=0),
        Value,
        "`gold_position` None `order` 'random' got 0",
    ),
    "position alone": (lambda: pack_context([], [1], 2, gold_position=0), Value, "`gold_position` None `gold` empty"),
    "budget alone": (lambda: pack_context(0, [1], 2, budget=9), Type, "`lengths` given `budget` None"),
    "lengths alone": (lambda: pack_context(0, [1], 2, lengths=[1, 1]), Type, "`budget` given `lengths` None"),
    "budget": (lambda: pack_context(0, [1], 2, budget=-1, lengths=[1, 1]), Value, "`budget` at least 0 got -1"),
    "budget gold": (lambda: pack_context(0, [1], 2, budget=2, lengths=[3, 1]), Value, "`budget` least 3, whole got 2"),
    "lengths short": (lambda: pack_context(0, [2], 2, budget=2, lengths=[1]), Value, "`lengths` document 2 1 lengths"),
    "lengths below": (lambda: pack_context(0, [1], 2, budget=2, lengths=[1, -1]), Value, "`lengths` 0 got -1 at row 1"),
    "lengths float": (lambda: pack_context(0, [1], 2, budget=2, lengths=[0.5, 1]), Type, "`lengths` integers float64"),
    "seed": (lambda: pack_context(0, [1], 2, seed=-1), Value, "`seed` at least 0 got -1"),
    "epoch": (lambda: pack_context(0, [1], 2, epoch=-1), Value, "`epoch` at least 0 got -1"),
    "query": (lambda: pack_context(0, [1], 2, query=2**64), Value, "`query` at most got 18446744073709551616"),
    "option": (lambda: pack_context(0, [1], 2, position=1), Type, "`pack_context` no option 'position'"),  # type: ignore[call-arg]
}

TEXTS = ["a cat", "a dog"]


def voted(negatives: Any = None, embeddings: Any = CORPUS, **options: Any) -> Any:
    return false_negatives(WIDE if negatives is None else negatives, embeddings=embeddings, **options)


WIDE = HardNegativeMiner(1, range_max=9).candidates(INDEX, QUERIES, POSITIVES)
EACH = HardNegativeMiner(1, range_max=9, reference="each").candidates(INDEX, QUERIES, [[0, 1], [1]])
FLAGS = np.zeros(WIDE.indices.shape, dtype=np.int64)


def flags(value: int, row: int = 0, column: int = 0) -> np.ndarray:
    """Flags of the pool, one of which is not 0."""
    copy = FLAGS.copy()
    copy[row, column] = value
    return copy


GUARDS: dict[str, Case] = {
    "votes negatives": (lambda: voted([[1]]), Type, "`negatives` HardNegatives CandidatePool got list"),
    "votes pool": (lambda: voted(replace(POOL.select(1), pool=None)), Value, "`negatives` pool saved `pool=True`"),
    "votes embeddings": (lambda: voted(embeddings=[[1.0]]), Type, "`embeddings` NumPy array got list"),
    "votes few": (lambda: voted(embeddings=CORPUS[:2]), Value, "`embeddings` row for document 5 got shape (2, 3)"),
    "votes width": (lambda: voted(embeddings=CORPUS[:, :0]), Value, "`embeddings` at least 1 wide (6, 0)"),
    "votes NaN": (lambda: voted(embeddings=holed(CORPUS, 2, 1, NAN)), Value, "`embeddings` finite row 2 column 1"),
    "votes k": (lambda: voted(k=0), Value, "`k` at least 1 got 0"),
    "votes k float": (lambda: voted(k=2.0), Type, "`k` integer got 2.0"),
    "votes shape": (lambda: voted(flagged=FLAGS[:1]), Value, "`flagged` shape of the negatives got (1,"),
    "votes bools": (lambda: voted(flagged=FLAGS > 0), Type, "`flagged` integers got dtype bool"),
    "votes value": (lambda: voted(flagged=flags(2)), Value, "`flagged` 1, 0 or -1 got 2 at (0, 0)"),
    "votes padding": (lambda: voted(flagged=flags(1, 1, -1)), Value, "`flagged` 0 for padding got 1 at (1,"),
    "votes contradict": (
        lambda: voted(EACH, flagged=[[1] + [0] * 8, [-1] + [0] * 8, [0] * 9]),
        Value,
        "`flagged` contradict 1 and -1 for query 0 and document",
    ),
    "votes option": (lambda: voted(flags=FLAGS), Type, "`false_negatives` no option 'flags' flagged"),
    "guide kind": (lambda: guided_mask(QUERIES, CORPUS, kind="best"), Value, "`kind` 'absolute' 'relative' 'best'"),  # type: ignore[arg-type]
    "guide margin": (lambda: guided_mask(QUERIES, CORPUS, margin=-0.1), Value, "`margin` at least 0.0 got -0.1"),
    "guide margin NaN": (lambda: guided_mask(QUERIES, CORPUS, margin=NAN), Value, "`margin` finite got nan"),
    "guide block": (lambda: guided_pairs(QUERIES, CORPUS, block="qq"), Value, "`block` 'query-query' got 'qq'"),  # type: ignore[arg-type]
    "guide metric": (lambda: guided_pairs(QUERIES, CORPUS, metric="dot"), Value, "`metric` 'cosine' got 'dot'"),  # type: ignore[arg-type]
    "guide fewer": (lambda: guided_mask(CORPUS, QUERIES), Value, "`target` given 2 documents for 6 queries"),
    "guide target": (lambda: guided_mask(QUERIES, CORPUS, target=[0, 6]), Value, "`target` from 0 to 5 got 6 query 1"),
    "guide target below": (lambda: guided_pairs(QUERIES, CORPUS, target=[-1, 0]), Value, "`target` 0 got -1 query 0"),
    "guide target short": (lambda: guided_mask(QUERIES, CORPUS, target=[0]), Value, "`target` shape (2,) got (1,)"),
    "guide target float": (lambda: guided_mask(QUERIES, CORPUS, target=[0.5, 1]), Type, "`target` integers float64"),
    "guide queries": (lambda: guided_mask([[1.0]], CORPUS), Type, "`guide_queries` NumPy array got list"),
    "guide documents": (lambda: guided_pairs(QUERIES, None), Type, "`guide_documents` NumPy array got NoneType"),
    "guide width": (
        lambda: guided_mask(QUERIES, CORPUS[:, :2]),
        Value,
        "`guide_documents` as wide as the queries, 3 got width 2",
    ),
    "guide empty": (
        lambda: guided_mask(QUERIES[:, :0], CORPUS[:, :0]),
        Value,
        "`guide_queries` at least 1 wide got (2, 0)",
    ),
    "guide NaN": (
        lambda: guided_pairs(QUERIES, holed(CORPUS, 5, 1, NAN)),
        Value,
        "`guide_documents` finite row 5 column 1",
    ),
    "guide infinity": (
        lambda: guided_mask(holed(QUERIES, 1, 2, INF), CORPUS),
        Value,
        "`guide_queries` finite row 1 column 2",
    ),
    "guide too large": (
        lambda: guided_mask(np.ones((2_000_000, 1), "i1"), np.ones((2_000_000, 1), "i1")),
        MemoryLimitError,
        "`guide_documents` `guided_pairs`",
    ),
    "guide option": (lambda: guided_mask(QUERIES, CORPUS, margins=1), Type, "`guided_mask` no option 'margins' margin"),  # type: ignore[call-arg]
    "near kind": (lambda: exclude_near(TEXTS, TEXTS, kind="same"), Value, "`kind` 'exact', 'minhash' got 'same'"),  # type: ignore[arg-type]
    "near exact": (lambda: exclude_near(TEXTS, TEXTS, kind="exact", threshold=0.5), Value, "`threshold` None got 0.5"),
    "near none": (lambda: exclude_near(TEXTS, TEXTS, kind="minhash"), Type, "`threshold` number got None"),
    "near zero": (lambda: exclude_near(TEXTS, TEXTS, kind="minhash", threshold=0), Value, "`threshold` greater 0.0"),
    "near above": (
        lambda: exclude_near(CORPUS, CORPUS, kind="cosine", threshold=1.5),
        Value,
        "`threshold` at most 1 got 1.5",
    ),
    "near text": (lambda: exclude_near("a cat", TEXTS, kind="exact"), Type, "`documents` iterable of strings got str"),
    "near numbers": (lambda: exclude_near(TEXTS, ["a", 5], kind="exact"), Type, "`held_out` strings got 5 at row 1"),
    "near set": (lambda: exclude_near(TEXTS, {"a"}, kind="exact"), Type, "`held_out` list got set"),
    "near texts": (lambda: exclude_near(TEXTS, CORPUS, kind="cosine", threshold=0.5), Type, "`documents` NumPy list"),
    "near width": (
        lambda: exclude_near(CORPUS, CORPUS[:, :2], kind="cosine", threshold=0.5),
        Value,
        "`held_out` as wide as the documents, 3 got width 2",
    ),
    "near empty": (
        lambda: exclude_near(CORPUS[:, :0], CORPUS[:, :0], kind="cosine", threshold=0.5),
        Value,
        "`documents` at least 1 wide got shape (6, 0)",
    ),
    "near NaN": (
        lambda: exclude_near(CORPUS, holed(CORPUS, 4, 1, NAN), kind="cosine", threshold=0.5),
        Value,
        "`held_out` finite row 4 column 1",
    ),
    "near infinity": (
        lambda: exclude_near(holed(CORPUS, 2, 0, INF), CORPUS, kind="cosine", threshold=0.5),
        Value,
        "`documents` finite row 2 column 0",
    ),
    "near eligible": (
        lambda: exclude_near(TEXTS, TEXTS, kind="exact").eligible(-1),
        Value,
        "`n_queries` at least 0 got -1",
    ),
    "near option": (lambda: exclude_near(TEXTS, TEXTS, how="exact"), Type, "`exclude_near` no option 'how' kind"),  # type: ignore[call-arg]
}

CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "embeddings": EMBEDDINGS,
        "index": INDEXES,
        "search": SEARCHES,
        "miner": MINERS,
        "rules": RULES,
        "pool": POOLS,
        "lists": LISTS,
        "pairs": PAIRS,
        "selection": SELECTIONS,
        "weights": WEIGHTS,
        "context": CONTEXTS,
        "guard": GUARDS,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str) -> None:
    call, expected, words = CASES[name]
    with pytest.raises(expected) as caught:
        call()
    assert isinstance(caught.value, negmine.NegmineError)
    message = str(caught.value)
    for word in words.split():
        assert word in message, f"{word!r} is missing in: {message}"
    assert "np." not in message, message


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (NegmineValueError, ValueError),
        (NegmineTypeError, TypeError),
        (MemoryLimitError, ValueError),
        (CorpusChangedError, ValueError),
        (JobError, ValueError),
        (NegmineOSError, OSError),
        (NegmineWarning, UserWarning),
    ],
)
def test_errors_are_what_callers_catch_anyway(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)
    if error is not NegmineWarning:
        assert issubclass(error, negmine.NegmineError)


def test_the_first_bad_row_is_named_whatever_the_schedule() -> None:
    rows = np.ones((5000, 3), dtype=np.float32)
    rows[[4999, 3500, 3501], 1] = np.nan
    for threads in (1, 2, 3, 8):
        with pytest.raises(NegmineValueError, match="row 3500 "):
            ExactIndex(rows, num_threads=threads)


def test_a_corpus_that_changed_is_noticed_and_its_row_named() -> None:
    rows = np.random.default_rng(1).standard_normal((500, 20)).astype(np.float32)
    index = ExactIndex(rows)
    index.search(rows[:3], 5)
    rows[7] = -rows[7]
    with pytest.raises(CorpusChangedError, match=r"`corpus` .* row 7 "):
        index.search(-rows[7:8], 5)


# ---- tensors


def test_tensors_on_another_device_are_refused() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.empty((4, 3), device="meta")
    for call in (lambda: ExactIndex(tensor), lambda: search(tensor), lambda: candidates(queries=tensor)):
        with pytest.raises(NegmineValueError, match=r"CPU memory; got a tensor on device meta. Call `.cpu\(\)`"):
            call()


def test_tensors_that_are_no_embeddings_are_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(NegmineTypeError, match=r"`corpus` must hold one of .* got dtype int64"):
        ExactIndex(torch.ones((2, 3), dtype=torch.int64))
    with pytest.raises(NegmineTypeError, match=r"`corpus` must be a dense tensor; got layout torch.sparse_coo"):
        ExactIndex(torch.ones((2, 3)).to_sparse())
    with pytest.raises(NegmineValueError, match=r"`corpus` must have shape \(n, width\); got shape \(3,\)"):
        ExactIndex(torch.ones(3))
    with pytest.raises(NegmineTypeError, match="`groups` must be an array or a flat list"):
        candidates(groups=torch.ones(6, dtype=torch.int64, device="meta"))


# ---- Arrow


def test_arrow_arrays_that_are_no_embeddings_are_refused() -> None:
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(NegmineTypeError, match="`corpus` must be a fixed-size-list array of numbers; got list"):
        ExactIndex(pa.array([[1.0], [2.0]]))
    with pytest.raises(NegmineTypeError, match=r"fixed-size-list array of numbers; got fixed_size_list.*string"):
        ExactIndex(pa.array([["a"], ["b"]], pa.list_(pa.string(), 1)))
    with pytest.raises(NegmineValueError, match="`corpus` must have every value; got 1 null"):
        ExactIndex(pa.array([[1.0], None], pa.list_(pa.float32(), 1)))
    with pytest.raises(NegmineValueError, match="`corpus` must have every value"):
        ExactIndex(pa.array([[1.0, None]], pa.list_(pa.float32(), 2)))
    with pytest.raises(NegmineTypeError, match=r"`corpus` must hold one of .* got dtype int64"):
        ExactIndex(pa.array([[1]], pa.list_(pa.int64(), 1)))
