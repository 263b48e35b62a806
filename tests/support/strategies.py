"""Hypothesis strategies: parameters are drawn and shrunk, contents follow from them and a seed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import compare
from compare import How, Problem
from problems import METRICS, POLICIES, REFERENCES, Features, make_problem
from vectors import KINDS, LAYOUTS

SEEDS = st.integers(0, 2**32 - 1)

#: What must not change an answer.
HOWS = st.builds(
    How,
    threads=st.sampled_from(compare.THREADS),
    corpus_layout=st.sampled_from(list(LAYOUTS.values())),
    query_layout=st.sampled_from(list(LAYOUTS.values())),
    tile_rows=st.sampled_from(compare.TILE_ROWS),
    tight=st.booleans(),
)

#: Ranges from 0 alone would make a third of all problems empty and nearly none of more than 20 documents.
SHAPES = st.tuples(
    st.one_of(st.integers(1, 7), st.integers(2, 7), st.integers(0, 7)),
    st.one_of(st.integers(8, 90), st.integers(1, 12), st.integers(0, 90)),
    st.one_of(st.integers(1, 5), st.integers(1, 70)),
)

#: Several panels, blocks and tiles, and widths beyond every vector.
LARGE_SHAPES = st.tuples(st.integers(1, 120), st.integers(200, 3000), st.integers(2, 300))

FEATURES = st.builds(
    Features,
    outside=st.sampled_from(["none", "scores", "embeddings"]),
    exclude=st.booleans(),
    itself=st.sampled_from(["no", "labels", "slice"]),
    groups=st.booleans(),
    eligible=st.booleans(),
    absolute=st.booleans(),
    relative=st.booleans(),
    highest=st.booleans(),
    lowest=st.booleans(),
    absolute_floor=st.sampled_from([False, False, True]),
    relative_floor=st.sampled_from([False, False, True]),
    reference=st.sampled_from(REFERENCES),
    ids=st.sampled_from(["none", "int", "str"]),
    range_min=st.integers(0, 3),
    depth=st.one_of(st.integers(1, 6), st.integers(1, 120)),
    query_offset=st.sampled_from([0, 5, 2**40]),
)

POLICY = st.sampled_from(POLICIES)

#: Policies that a limit per document may be combined with.
LIMITED_POLICY = st.sampled_from([policy for policy in POLICIES if not getattr(policy, "strict", False)])


@st.composite
def problems(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, int, int]] = SHAPES) -> Problem:
    """Draw a problem with any of the features."""
    return make_problem(
        np.random.default_rng(draw(SEEDS)),
        draw(st.sampled_from(list(KINDS))),
        draw(st.sampled_from(METRICS)),
        draw(shapes),
        draw(FEATURES),
    )
