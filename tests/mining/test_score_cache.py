"""The cache of a scorer: no finished batch is scored again, and damaged files give no wrong scores."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import damage
import negmine
import oracle_pools
import scorers
from negmine import CandidatePool
from negmine._core import formats, headers
from negmine.errors import NegmineOSError, NegmineTypeError, NegmineValueError
from negmine.mining.score_cache import open_cache
from pools import as_rows, assert_equal_pools, line_pool, lists, teacher
from scorers import BATCH, Logged, calls, kept, make_pool, options, records, score

POOL = make_pool()
PLAIN = POOL.rescore(score)
N_PAIRS = int(POOL.counts.sum()) + len(POOL)


def never(queries: Any, documents: Any) -> Any:
    raise AssertionError("nothing is left to score")


def rescored(path: Path, scorer: Any = score, **changes: Any) -> CandidatePool:
    return POOL.rescore(scorer, **{**options(path), **changes})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "teacher.scores"


# ---- what is found again


def test_everything_is_scored_once(cache: Path, tmp_path: Path) -> None:
    assert_equal_pools(rescored(cache, Logged(tmp_path / "log")), PLAIN)
    assert sum(map(len, calls(tmp_path / "log"))) == N_PAIRS
    before = cache.read_bytes()
    assert_equal_pools(rescored(cache, never), PLAIN)
    assert_equal_pools(rescored(cache, never, batch_size=7), PLAIN)
    guided = rescored(cache, never, as_guide=True)
    assert guided.guide_positive_scores is not None
    assert np.array_equal(guided.guide_positive_scores, PLAIN.positive_scores)
    assert cache.read_bytes() == before


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rescored(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_batch_is_in_the_file_before_the_next_is_scored(cache: Path) -> None:
    seen = []

    def scorer(queries: Any, documents: Any) -> Any:
        seen.append(sum(len(scores) for _, scores in records(cache.read_bytes())))
        return score(queries, documents)

    rescored(cache, scorer)
    assert seen == list(range(0, N_PAIRS, BATCH))


def test_other_names_share_a_file(cache: Path) -> None:
    rescored(cache)
    assert_equal_pools(
        rescored(cache, lambda q, d: -score(q, d), name="minus"), POOL.rescore(lambda q, d: -score(q, d))
    )
    assert_equal_pools(rescored(cache, never), PLAIN)


def test_labels_find_pairs_when_rows_shift(cache: Path, tmp_path: Path) -> None:
    labels = list("abcdef")
    scores = [[9.0, 3.0, 2.0, 1.0, 5.0, 4.0], [1.0, 9.0, 4.0, 2.0, 3.0, 5.0]]
    pool = line_pool(scores, [[0], [1]], ids=labels)
    pool.rescore(Logged(tmp_path / "log"), cache=cache, name="x", query_ids=["p", "q"])
    # The corpus begins with another document, and the queries change places and come later in the data set.
    shifted = line_pool(
        [[0.0, *scores[1]], [0.0, *scores[0]]], [[2], [1]], ids=["new", *labels], query_offset=7, exclude=[[0], [0]]
    )
    found = shifted.rescore(never, cache=cache, name="x", query_ids=["q", "p"])
    plain = pool.rescore(score)
    assert found.ids[0].tolist()[:5] == plain.ids[1].tolist()[:5]
    assert found.scores[0].tolist()[:5] == plain.scores[1].tolist()[:5]


def test_only_what_is_missing_is_scored(cache: Path, tmp_path: Path) -> None:
    rescored(cache)
    wider = negmine.HardNegativeMiner(5, range_max=scorers.DEPTH + 3)
    assert POOL.origin is not None
    more = wider.candidates(POOL.origin.source, POOL.origin.queries, [[row] for row in range(scorers.N_QUERIES)])
    found = more.rescore(Logged(tmp_path / "log"), **options(cache))
    assert_equal_pools(found, more.rescore(score))
    assert sum(map(len, calls(tmp_path / "log"))) == 3 * scorers.N_QUERIES


@pytest.mark.parametrize("labels", [None, [1, 2], ["1", "2"]])
def test_rows_and_kinds_of_labels_are_different_keys(cache: Path, labels: Any) -> None:
    pool = line_pool([[9.0, 3.0, 2.0], [1.0, 9.0, 4.0]], [[0], [1]], ids=None)
    kinds = ({"query_ids": None}, {"query_ids": [1, 2]}, {"query_ids": ["1", "2"]})
    for kind in kinds:
        if kind["query_ids"] != labels:
            pool.rescore(teacher, cache=cache, name="x", cache_key="set", **kind)
    with pytest.raises(NegmineValueError, match="nothing is left to score"):
        pool.rescore(never, cache=cache, name="x", cache_key="set", query_ids=labels)
    pool.rescore(teacher, cache=cache, name="x", cache_key="set", query_ids=labels)
    pool.rescore(never, cache=cache, name="x", cache_key="set", query_ids=labels)
    with pytest.raises(NegmineValueError, match="nothing is left to score"):
        pool.rescore(never, cache=cache, name="x", cache_key="another set", query_ids=labels)


def test_rows_are_those_of_the_whole_data_set(cache: Path) -> None:
    scores, positives = [[9.0, 3.0, 2.0], [1.0, 9.0, 4.0]], [[0], [1]]
    line_pool(scores, positives).rescore(teacher, cache=cache, name="x", cache_key="set")
    part = line_pool(scores[1:], positives[1:], query_offset=1)
    assert_equal_pools(part.rescore(never, cache=cache, name="x", cache_key="set"), part.rescore(teacher))


def test_many_pairs_are_found_in_any_order(cache: Path) -> None:
    draw = np.random.default_rng(2)
    pool = line_pool(draw.standard_normal((40, 50)).tolist(), [[row] for row in range(40)])
    pool.rescore(score, cache=cache, name="x", cache_key="set", batch_size=1)
    assert_equal_pools(pool.rescore(never, cache=cache, name="x", cache_key="set"), pool.rescore(score))


def test_keys_are_compared_as_a_whole(cache: Path) -> None:
    keys = np.array([[7, 1], [7, 2], [3, 1], [7, 3], [9, 9]], dtype=np.uint64)
    with open_cache(cache) as opened:
        opened.append(keys[:3], np.array([0.5, 1.5, 2.5]))
        opened.append(keys[3:4], np.array([3.5]))
    with open_cache(cache) as opened:
        found = opened.find(np.concatenate([keys[::-1], np.array([[7, 4], [3, 2], [2, 1]], dtype=np.uint64)]))
    expected = [np.nan, 3.5, 2.5, 1.5, 0.5, np.nan, np.nan, np.nan]
    assert np.array_equal(found, expected, equal_nan=True)


# ---- bad scorers


@pytest.mark.parametrize("kind", ["nan", "few", "raise", "interrupt"])
def test_a_bad_scorer_leaves_the_finished_batches(cache: Path, tmp_path: Path, kind: str) -> None:
    n = 0

    def scorer(queries: Any, documents: Any) -> Any:
        nonlocal n
        n += 1
        scores = score(queries, documents)
        if n < 4:
            return scores
        if kind == "nan":
            scores[3] = np.nan
        if kind == "raise":
            raise OSError(errno.EIO, "the accelerator is lost")
        if kind == "interrupt":
            raise KeyboardInterrupt
        return scores if kind == "nan" else scores[1:]

    with pytest.raises(KeyboardInterrupt if kind == "interrupt" else NegmineValueError) as caught:
        rescored(cache, scorer)
    if kind != "interrupt":
        assert "query 'query 2' and document 'document " in str(caught.value)
    assert len(records(cache.read_bytes())) == 3
    assert_equal_pools(rescored(cache, Logged(tmp_path / "log")), PLAIN)
    assert sum(map(len, calls(tmp_path / "log"))) == N_PAIRS - 3 * BATCH


# ---- kills


def killed_at_random(root: Path, n_kills: int, seconds: float) -> None:
    """Kill a process at random moments; each time, compare the file with what its scorer has logged."""
    moments, kills, number = random.Random(3), 0, 0
    everything = oracle_pools.pairs(as_rows(POOL), lists(POOL), 0)
    while kills < n_kills:
        number += 1
        cache, log = root / f"{number}.scores", root / f"{number}.log"
        n_logged = 0
        while True:
            finished = kept(cache)
            command = [sys.executable, scorers.__file__, str(cache), str(log), str(seconds)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
                try:
                    wait = moments.uniform(0.0, 0.6) if kills < n_kills else 60
                    assert child.wait(timeout=wait) == 0
                except subprocess.TimeoutExpired:
                    child.kill()
                    kills += child.wait() == -signal.SIGKILL
            logged = calls(log)
            # The child scored what was not in the file, in order, and lost at most the last batch.
            scored = [pair for call in logged[n_logged:] for pair in call]
            assert scored == everything[finished : finished + len(scored)]
            n_kept = kept(cache)
            assert finished <= n_kept <= finished + len(scored) <= n_kept + BATCH
            n_logged = len(logged)
            if child.returncode == 0:
                assert n_kept == N_PAIRS
                break
        assert_equal_pools(rescored(cache, never), PLAIN)


def test_killed_five_times_no_finished_batch_is_scored_again(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 5, 0.01)


@pytest.mark.slow
def test_killed_fifty_times_no_finished_batch_is_scored_again(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 50, 0.01)


def test_a_file_has_one_user_at_a_time(cache: Path) -> None:
    command = [sys.executable, scorers.__file__, str(cache), str(cache.with_suffix(".log")), "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            while not cache.exists() or cache.stat().st_size < 64:
                assert child.poll() is None
            with pytest.raises(
                NegmineValueError, match=r"`cache` must have one user at a time; .*teacher\.scores is held"
            ):
                rescored(cache)
        finally:
            child.kill()
    assert_equal_pools(rescored(cache), PLAIN)


def test_a_scorer_cannot_use_the_cache_that_it_fills(cache: Path) -> None:
    with pytest.raises(NegmineValueError, match="is held by another process"):
        rescored(cache, lambda q, d: rescored(cache) and score(q, d))


# ---- damage


@pytest.fixture
def small(cache: Path) -> tuple[CandidatePool, dict[str, Any]]:
    pool = line_pool([[9.0, 3.0, 2.0, 1.0], [1.0, 9.0, 4.0, 2.0]], [[0], [1]])
    arguments = {"cache": cache, "name": "x", "cache_key": "set", "batch_size": 3}
    pool.rescore(teacher, **arguments)
    return pool, arguments


def test_a_file_cut_anywhere_gives_the_same_scores(small: Any, cache: Path) -> None:
    pool, arguments = small
    content, plain = cache.read_bytes(), pool.rescore(teacher)
    ends = [64] + [end for end, _ in records(content)]
    for length in range(len(content) + 1):
        cache.write_bytes(content[:length])
        n = 0

        def scorer(queries: Any, documents: Any) -> Any:
            nonlocal n
            n += len(queries)
            return teacher(queries, documents)

        assert_equal_pools(pool.rescore(scorer, **arguments), plain)
        whole = max((place for place, end in enumerate(ends) if end <= length), default=0)
        assert n == max(8 - 3 * whole, 0), length
        assert cache.read_bytes() == content


def test_every_flipped_bit_is_refused_or_costs_one_batch(small: Any, cache: Path) -> None:
    pool, arguments = small
    content, plain = cache.read_bytes(), pool.rescore(teacher)
    last = records(content)[-2][0]
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        cache.write_bytes(flipped)
        try:
            assert_equal_pools(pool.rescore(teacher, **arguments), plain)
        except NegmineValueError as error:
            message = str(error)
        else:
            message = ""
        # In the last record, a flip of what stands after the number of pairs cannot be told from an unfinished write.
        assert (cache.name in message) == (place < last + 8), place
        assert cache.read_bytes() == (bytes(flipped) if message else content)


def test_damaged_files_give_no_other_scores(small: Any, cache: Path) -> None:
    pool, arguments = small

    def read() -> Any:
        return pool.rescore(teacher, **arguments).scores.tolist()

    found = damage.outcomes(cache, 100, read)
    assert found["other"] == found["raw"] == []
    assert len(found["refused"]) > 50


def test_zeros_that_a_crash_left_are_removed(small: Any, cache: Path) -> None:
    pool, arguments = small
    content = cache.read_bytes()
    cache.write_bytes(content + bytes(100))
    pool.rescore(never, **arguments)
    assert cache.read_bytes() == content


def test_a_full_disk_leaves_the_finished_batches(cache: Path) -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with damage.full_disk(2000), pytest.raises(NegmineOSError) as caught:
            rescored(cache)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.filename == str(cache)
    whole = records(cache.read_bytes())
    assert len(whole) == 4
    assert cache.stat().st_size == whole[-1][0]
    assert_equal_pools(rescored(cache), PLAIN)


@pytest.mark.parametrize("content", [b"negmine", b"PK\x03\x04" + bytes(100), b"x" * 1000, b"{}\n"])
def test_another_file_is_refused_and_kept(cache: Path, content: bytes) -> None:
    cache.write_bytes(content)
    with pytest.raises(
        NegmineValueError, match=r"`cache` must be a score cache file of negmine; got .*teacher\.scores"
    ):
        rescored(cache)
    assert cache.read_bytes() == content


def test_another_version_is_refused_by_its_version(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rescored(cache)
    newer = formats.Format("score cache", 2, b"negscore")
    monkeypatch.setattr("negmine.mining.score_cache.SCORE_CACHE", newer)
    with pytest.raises(
        NegmineValueError, match="must be a score cache file of version 2; got 'score cache' of version 1"
    ):
        rescored(cache)


def test_a_header_with_other_content_is_refused(cache: Path) -> None:
    cache.write_bytes(headers.pack(formats.SCORE_CACHE, {"hash": "another"}))
    with pytest.raises(NegmineValueError, match="corrupt: checksum mismatch in"):
        rescored(cache)


# ---- bad arguments

BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no name": ({"name": None}, NegmineValueError, "`name` must be given together with `cache`"),
    "name": ({"name": 3}, NegmineTypeError, "`name` must be a string; got 3"),
    "empty name": ({"name": ""}, NegmineValueError, "`name` must not be empty; got ''"),
    "surrogate": ({"name": "\ud800"}, NegmineValueError, "`name` must hold Unicode text"),
    "no key": ({"query_ids": None}, NegmineValueError, "`cache_key` must name the data set for queries without labels"),
    "key": ({"query_ids": None, "cache_key": 3}, NegmineTypeError, "`cache_key` must be a string; got 3"),
    "needless key": (
        {"cache_key": "x"},
        NegmineValueError,
        "`cache_key` must be None where queries and documents have",
    ),
    "cache": ({"cache": 3}, NegmineTypeError, "`cache` must be a path; got int"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_argument_rule_and_value(case: str, cache: Path) -> None:
    changes, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        rescored(cache, **changes)
    assert words in str(caught.value)
    assert not cache.exists()


def test_bad_places_of_a_cache_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "a.scores"):
        with pytest.raises(NegmineValueError, match=f"`cache` must be a file that can be read and written; got {path}"):
            rescored(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NegmineValueError, match=r"got .*pipe: not a file but a pipe"):
        rescored(tmp_path / "pipe")
