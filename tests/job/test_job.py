"""A job ends with the same bytes however it was cut and merged, and refuses what it should."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import MINER, N_DOCUMENTS, N_QUERIES, TILE, WIDTH, arrays, files, options, run
from negmine import ExactIndex, HardNegativeMiner, Positives, Softmax, errors, io
from negmine._core import formats, headers
from negmine._core.labels import Strings
from negmine.data import fingerprint
from negmine.data.eligibility import Eligibility
from negmine.job import merge, mine_to

pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    run(folder)
    return folder


# ---- what a job gives


def test_the_result_is_what_one_call_gives(undisturbed: Path) -> None:
    given, chosen = arrays(), options()
    index = ExactIndex(given["corpus"], ids=chosen["document_ids"])
    rules = {name: chosen[name] for name in ("exclude", "groups", "eligible")}
    negatives = MINER.mine(index, given["queries"], given["positives"], **rules)
    wanted = next(io.MinedRows.from_negatives(negatives, query_ids=chosen["query_ids"]).batches())
    batches = list(io.read_negatives(undisturbed / "result.parquet").batches())
    assert len(batches) == -(-N_QUERIES // TILE)
    for name in ("query_indices", "query_ids", "reference_scores", "reasons", "sources"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(batch, name) for batch in batches]), getattr(wanted, name)
        )
    for side in ("positives", "negatives"):
        for name in ("indices", "ids", "scores", "counts"):
            found = np.concatenate([getattr(getattr(batch, side), name) for batch in batches])
            np.testing.assert_array_equal(found, getattr(getattr(wanted, side), name))
    report = json.loads((undisturbed / "report.json").read_text())
    assert report["n_rows"] == N_QUERIES
    assert report["n_negatives"] == negatives.counts.sum()
    assert report["documents"] == negatives.report.totals()
    assert report["short"] == negatives.report.short


def test_the_folder_says_where_it_comes_from(undisturbed: Path) -> None:
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        "lock",
        "manifest.json",
        "report.json",
        "result.parquet",
    ]
    said = io.read_negatives(undisturbed / "result.parquet").provenance
    manifest = json.loads((undisturbed / "manifest.json").read_text())
    assert said["fingerprint"] == manifest["fingerprint"]
    assert said["options"]["sampling"] == {"name": "softmax", "temperature": 0.05}
    assert said["metric"] == "cosine"
    assert "shard" not in said


def test_a_finished_job_does_nothing_and_says_so(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir() if path.name != "lock"}
    for resume in (False, True):
        result = run(undisturbed, resume=resume)
        assert result.was_finished
        assert result.n_mined == 0
        assert "nothing was done" in str(result)
    assert before == {path: path.stat().st_mtime_ns for path in undisturbed.iterdir() if path.name != "lock"}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_types_layouts_and_threads_change_nothing(
    tmp_path: Path, undisturbed: Path, dtype: Any, num_threads: int
) -> None:
    given = arrays(dtype)
    given["corpus"] = np.asfortranarray(given["corpus"])
    run(tmp_path / "job", **given, num_threads=num_threads)
    assert files(tmp_path / "job") == files(undisturbed)


def test_bfloat16_has_the_fingerprint_of_its_values(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    given = arrays(ml_dtypes.bfloat16)
    run(tmp_path / "short", **given)
    wide = {name: given[name].astype(np.float32) for name in ("queries", "corpus")}
    assert run(tmp_path / "short", **wide).was_finished


def test_tensors_and_arrow_arrays_have_the_fingerprint_of_their_values(tmp_path: Path, undisturbed: Path) -> None:
    given = arrays()
    lists = {name: pa.array(given[name].tolist(), pa.list_(pa.float32(), WIDTH)) for name in ("queries", "corpus")}
    run(tmp_path / "arrow", **lists)
    assert files(tmp_path / "arrow") == files(undisturbed)
    torch = pytest.importorskip("torch")
    run(tmp_path / "torch", **{name: torch.from_numpy(given[name]).half() for name in ("queries", "corpus")})
    assert files(tmp_path / "torch") == files(undisturbed)


def test_each_positive_may_have_rows_of_its_own(tmp_path: Path) -> None:
    miner = HardNegativeMiner(3, reference="each", relative_margin=0.1)
    run(tmp_path / "job", miner=miner)
    given = arrays()
    negatives = miner.mine(
        ExactIndex(given["corpus"]),
        given["queries"],
        given["positives"],
        **{name: options()[name] for name in ("exclude", "groups", "eligible")},
    )
    batches = list(io.read_negatives(tmp_path / "job" / "result.parquet").batches())
    rows = np.concatenate([batch.negatives.indices for batch in batches])
    np.testing.assert_array_equal(rows, negatives.indices[negatives.indices >= 0])
    positives = np.concatenate([batch.positives.indices for batch in batches])
    np.testing.assert_array_equal(positives, negatives.positive_indices[negatives.positive_indices >= 0])


def test_queries_that_are_the_corpus_exclude_themselves(tmp_path: Path) -> None:
    corpus = arrays()["corpus"]
    lists = [[(row + 1) % N_DOCUMENTS] for row in range(N_DOCUMENTS)]
    result = mine_to(tmp_path / "job", corpus, corpus, lists, num_negatives=3, exclude_self=True, tile_queries=50)
    for batch in result.rows().batches():
        assert not (batch.negatives.indices.reshape(-1, 3) == batch.query_indices[:, None]).any()
    assert result.report["documents"]["self"] == N_DOCUMENTS
    labels = [f"d{row}" for row in range(N_DOCUMENTS)]
    again = mine_to(
        tmp_path / "labels",
        corpus[:9].copy(),
        corpus,
        lists[:9],
        exclude_self=True,
        document_ids=labels,
        query_ids=labels[:9],
    )
    assert again.report["documents"]["self"] == 9


def test_positives_outside_the_corpus_keep_their_vectors(tmp_path: Path) -> None:
    given = arrays()
    lists = [[-1] if query % 2 else [query] for query in range(N_QUERIES)]
    vectors = np.random.default_rng(0).normal(size=(N_QUERIES // 2, WIDTH)).astype(np.float32)
    given["positives"] = Positives.from_lists(lists, positive_embeddings=vectors)
    result = run(tmp_path / "job", **given)
    assert sum((batch.positives.indices == -1).sum() for batch in result.rows().batches()) == N_QUERIES // 2
    other = Positives.from_lists(lists, positive_embeddings=vectors[::-1])
    with pytest.raises(errors.JobError, match="`positives` had other values"):
        run(tmp_path / "job", **(given | {"positives": other}))


def test_progress_counts_queries_and_goes_on_where_the_job_does(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "job", progress=stop)
    assert calls[0] == (0, N_QUERIES)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    later: list[tuple[int, int]] = []
    result = run(tmp_path / "job", resume=True, progress=lambda done, total: later.append((done, total)))
    assert 0 < result.n_mined < result.n_tiles
    assert later[0][0] >= 12
    assert later[-1] == (N_QUERIES, N_QUERIES)
    later.clear()
    assert run(tmp_path / "job", progress=lambda done, total: later.append((done, total))).was_finished
    assert later == [(N_QUERIES, N_QUERIES)]


@pytest.mark.parametrize("n", [0, 1])
def test_few_queries(tmp_path: Path, n: int) -> None:
    queries = np.ones((n, WIDTH), np.float32)
    result = mine_to(tmp_path / "job", queries, arrays()["corpus"], [[0]] * n, document_ids=options()["document_ids"])
    assert len(result.rows()) == n
    assert isinstance(next(result.rows().batches()).negatives.ids, Strings)
    calls: list[tuple[int, int]] = []
    given = {"document_ids": options()["document_ids"], "progress": lambda *step: calls.append(step)}
    assert mine_to(tmp_path / "job", queries, arrays()["corpus"], [[0]] * n, **given).was_finished
    assert calls == [(n, n)]
    mine_to(tmp_path / "again", queries, arrays()["corpus"], [[0]] * n, **given)
    assert calls[-1] == (n, n)


# ---- shards


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_shards_merge_into_the_uncut_job(tmp_path: Path, undisturbed: Path, n: int) -> None:
    folders = [tmp_path / f"shard{i}" for i in range(n)]
    for i, folder in enumerate(folders):
        run(folder, shard=(i, n))
    result = merge(folders[::-1], tmp_path / "all")
    assert not result.was_finished
    assert files(tmp_path / "all") == files(undisturbed)
    assert merge(folders, tmp_path / "all").was_finished
    assert run(tmp_path / "all").was_finished


def test_shards_of_nothing_merge(tmp_path: Path) -> None:
    given = {"queries": np.ones((0, WIDTH), np.float32), "corpus": arrays()["corpus"], "positives": []}
    mine_to(tmp_path / "one", **given)
    for i in range(2):
        mine_to(tmp_path / f"shard{i}", **given, shard=(i, 2))
    merge([tmp_path / "shard0", tmp_path / "shard1"], tmp_path / "all")
    assert files(tmp_path / "all") == files(tmp_path / "one")


def test_a_shard_says_that_it_is_one(tmp_path: Path) -> None:
    result = run(tmp_path / "shard", shard=(1, 3))
    assert result.rows().provenance["shard"] == [1, 3]
    assert result.report["shard"] == [1, 3]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("shards")
    for i in range(2):
        run(root / f"{i}", shard=(i, 2))
    return [root / "0", root / "1"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("missing", "must hold all 2 shards; 1 missing"),
        ("twice", "must hold every shard once"),
        ("uncut", "was not cut"),
        ("other seed", "`seed` was 7 and is 8"),
        ("other corpus", "`corpus` had other values"),
        ("other tiles", "`tile_queries` is 5, not 4"),
        ("other n", "`shard` is (1, 3), the first one's (0, 2)"),
        ("unfinished", "is not finished"),
        ("no result", "corrupt: checksum mismatch in "),
        ("no report", "must be a job report file of version 2; got None of version 1"),
        ("no job", "has no manifest.json"),
    ],
)
def test_what_is_no_set_of_shards_is_refused(
    tmp_path: Path, shards: list[Path], undisturbed: Path, change: str, part: str
) -> None:
    other, given = tmp_path / "other", arrays()
    match change:
        case "missing":
            folders = shards[:1]
        case "twice":
            folders = [shards[0], shards[0]]
        case "uncut":
            folders = [shards[0], undisturbed]
        case _:
            folders = [shards[0], other]
    match change:
        case "other seed":
            changed = HardNegativeMiner(
                4, absolute_margin=0.05, range_min=1, range_max=40, sampling=Softmax(0.05), num_random=2, seed=8
            )
            run(other, miner=changed, shard=(1, 2))
        case "other corpus":
            given["corpus"][5, 5] += 1
            run(other, corpus=given["corpus"], shard=(1, 2))
        case "other tiles":
            run(other, tile_queries=5, shard=(1, 2))
        case "other n":
            run(other, shard=(1, 3))
        case "unfinished":
            run(other, shard=(1, 2))
            (other / "report.json").unlink()
        case "no result":
            run(other, shard=(1, 2))
            (other / "result.parquet").write_bytes(b"PAR1")
        case "no report":
            run(other, shard=(1, 2))
            (other / "report.json").write_text("{}")
        case "no job":
            other.mkdir()
    with pytest.raises(errors.JobError) as caught:
        merge(folders, tmp_path / "all")
    assert part in str(caught.value)
    assert not (tmp_path / "all").exists()


def test_merging_into_another_job_is_refused(tmp_path: Path, shards: list[Path], undisturbed: Path) -> None:
    run(tmp_path / "other", metric="ip")
    with pytest.raises(errors.JobError, match=r"`out` must be new, empty or of the same job.*`metric` was 'ip'"):
        merge(shards, tmp_path / "other")
    with pytest.raises(errors.JobError, match="`out` must be new, empty or of the same job"):
        merge(shards, shards[0])
    assert merge(shards, undisturbed).was_finished
    with pytest.raises(errors.NegmineTypeError, match="`folders` must be a list"):
        merge("a", tmp_path / "all")  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "all"):
        with pytest.raises(errors.JobError, match="`out` must be a folder"):
            merge(shards, out)


# ---- what is refused


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"corpus": arrays()["corpus"][::-1]}, "`corpus` had other values"),
    ({"queries": arrays()["queries"] * 2}, "`queries` had other values"),
    ({"positives": [[0]] * N_QUERIES}, "`positives` had other values"),
    ({"exclude": None}, "`exclude` was given and is not"),
    ({"groups": None}, "`groups` was given and is not"),
    ({"groups": np.arange(N_DOCUMENTS)}, "`groups` had other values"),
    ({"eligible": None}, "`eligible` was given and is not"),
    ({"document_ids": [f"e{row}" for row in range(N_DOCUMENTS)]}, "`document_ids` had other values"),
    ({"document_ids": None}, "`document_ids` was given and is not"),
    ({"query_ids": range(N_QUERIES)}, "`query_ids` had other values"),
    ({"metric": "l2"}, "`metric` was 'cosine' and is 'l2'"),
    ({"epoch": 1}, "`epoch` was 0 and is 1"),
    ({"miner": HardNegativeMiner(4)}, "`absolute_margin` was 0.05 and is None"),
    ({"exclude_self": True, "query_ids": [f"d{row}" for row in range(N_QUERIES)]}, "`exclude_self` was False and is T"),
    ({"exclude": [[0]] * N_QUERIES}, "`exclude` had other values"),
    ({"eligible": Eligibility.equal(range(N_DOCUMENTS), range(N_QUERIES))}, "`eligible` had other values"),
    ({"query_ids": None}, "`query_ids` was given and is not"),
    ({"tile_queries": 5}, "`tile_queries` was 4 and is 5"),
    ({"shard": (0, 2)}, "`shard` was None and is (0, 2)"),
]


@pytest.mark.parametrize(("change", "part"), CHANGES, ids=[part for _, part in CHANGES])
def test_changed_inputs_are_refused_by_name(undisturbed: Path, change: dict[str, Any], part: str) -> None:
    before = files(undisturbed)
    for resume in (False, True):
        with pytest.raises(errors.JobError) as caught:
            run(undisturbed, resume=resume, **change)
        assert part in str(caught.value)
    assert files(undisturbed) == before


def test_another_definition_of_scores_is_another_job(undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negmine._core.formats.CANONICAL_SCORE", formats.Format("canonical score", 3))
    with pytest.raises(errors.JobError, match="`canonical_version` was 2 and is 3"):
        run(undisturbed)


def test_scores_of_positives_outside_the_corpus_belong_to_the_job(tmp_path: Path) -> None:
    lists = [[-1]] * N_QUERIES
    given = [Positives.from_lists(lists, positive_scores=np.full(N_QUERIES, score)) for score in (0.5, 0.25)]
    run(tmp_path / "job", positives=given[0])
    with pytest.raises(errors.JobError, match="`positives` had other values"):
        run(tmp_path / "job", positives=given[1])


def test_a_job_goes_on_with_the_tiles_of_its_manifest(tmp_path: Path, undisturbed: Path) -> None:
    unfinished(tmp_path / "job")
    result = run(tmp_path / "job", resume=True, tile_queries=None, num_threads=3, memory_limit=10**7)
    assert (result.n_mined, result.n_tiles) == (9, 12)
    assert files(tmp_path / "job") == files(undisturbed)


def test_a_tile_has_8192_queries_whatever_the_machine(tmp_path: Path) -> None:
    for name, machine in (("a", {"num_threads": 1}), ("b", {"num_threads": 3, "memory_limit": 10**7})):
        run(tmp_path / name, tile_queries=None, **machine)
        assert json.loads((tmp_path / name / "manifest.json").read_text())["tile_queries"] == 8192
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_another_shape_is_said_as_such(undisturbed: Path) -> None:
    given = arrays()
    wider = {name: np.pad(given[name], ((0, 0), (0, 1))) for name in ("queries", "corpus")}
    with pytest.raises(errors.JobError, match=r"`corpus` had shape \[120, 8\] and has \[120, 9\]"):
        run(undisturbed, **wider)


def test_an_unfinished_job_asks_for_resume(tmp_path: Path) -> None:
    unfinished(tmp_path / "job")
    with pytest.raises(errors.JobError, match=r"`resume` must be True .* with 3 of 12 tiles"):
        run(tmp_path / "job")
    run(tmp_path / "job", resume=True)


def unfinished(folder: Path) -> None:
    """Leave a job after three tiles."""

    def stop(done: int, total: int) -> None:
        if done >= 3 * TILE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, progress=stop)


def test_resume_begins_where_there_is_nothing_yet(tmp_path: Path, undisturbed: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/er"):
        run(tmp_path / name, resume=True)
        assert files(tmp_path / name) == files(undisturbed)


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_no_job_is_refused_and_left_alone(tmp_path: Path, *, resume: bool) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(errors.JobError, match=r"holds .notes\.txt. and no manifest\.json"):
        run(tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(errors.JobError, match=r"`folder` must be a folder; got .*, where there is a file"):
        run(tmp_path / "notes.txt", resume=resume)


def manifest(**changes: Any) -> str:
    """A manifest with a right checksum, and some entries of another type."""
    inputs = {"options": {"metric": "ip", "epoch": 0, "num_negatives": 1, "num_random": 0}, "corpus": {"shape": [1, 1]}}
    whole = {"negmine": "0", "inputs": inputs, "n_queries": 1, "tile_queries": 1, "shard": None, **changes}
    whole.setdefault("fingerprint", fingerprint.of_inputs(whole["inputs"]))
    return json.dumps(headers.seal(formats.JOB, whole))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "readable manifest"),
        ("[" * 100_000, "readable manifest"),
        ('{"kind": "negmine job"}', "version 3; got 'negmine job' of version 1"),
        ('{"kind": "negmine job", "format": 1}', "version 3; got 'negmine job' of version 1"),
        ('{"kind": "negmine job", "version": 9}', "of version 9"),
        ('{"kind": "negmine job", "version": 3}', "corrupt: checksum mismatch in "),
        ('{"kind": "a job", "version": 2}', "'a job'"),
        ("[]", "got None of version 1"),
        (manifest(inputs=3), "readable manifest"),
        (manifest(inputs={}), "readable manifest"),
        (manifest(fingerprint="0"), "readable manifest"),
        (manifest(n_queries=-1), "readable manifest"),
        (manifest(shard=[5]), "readable manifest"),
        (manifest(shard=["0", 2]), "readable manifest"),
        (manifest(tile_queries=True), "readable manifest"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(errors.JobError) as caught:
        run(tmp_path, resume=True)
    assert part in str(caught.value)


LONG = np.ones((N_QUERIES, WIDTH), np.float32)


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"miner": HardNegativeMiner(2, limit_per_document=3)}, errors.NegmineValueError, "`limit_per_document`"),
        ({"num_negatives": 3}, errors.NegmineTypeError, "`miner` must be None if options are given"),
        ({"miner": None, "num_negative": 3}, errors.NegmineTypeError, "no option 'num_negative'"),
        ({"miner": None, "range_min": -1}, errors.NegmineValueError, "`range_min`"),
        ({"metric": "dot"}, errors.NegmineValueError, "`metric` must be one of"),
        ({"tile_queries": 0}, errors.NegmineValueError, "`tile_queries` must be at least 1; got 0"),
        ({"tile_queries": 2**31}, errors.NegmineValueError, "`tile_queries` must be at most"),
        ({"shard": (2, 2)}, errors.NegmineValueError, "`shard` must be (i, n) with i below n"),
        ({"shard": (0, 0)}, errors.NegmineValueError, "`shard` must be at least 1; got 0"),
        ({"shard": "1/2"}, errors.NegmineTypeError, "`shard` must be a pair"),
        ({"epoch": -1}, errors.NegmineValueError, "`epoch` must be at least 0; got -1"),
        ({"queries": np.ones((N_QUERIES, 3), np.float32)}, errors.NegmineValueError, "`queries` must have the width"),
        ({"positives": [[0]]}, errors.NegmineValueError, "`positives` must have length 45, one list per query; got 1"),
        (
            {"positives": 5},
            errors.NegmineTypeError,
            "`positives` must be Positives or a list of rows per query; got int",
        ),
        ({"exclude": 5}, errors.NegmineTypeError, "`exclude` must be Positives or a list of rows per query; got int"),
        ({"exclude_self": "no"}, errors.NegmineTypeError, "`exclude_self` must be True or False; got 'no'"),
        ({"eligible": 3}, errors.NegmineTypeError, "`eligible` must be an Eligibility; got int"),
        ({"miner": 3}, errors.NegmineTypeError, "`miner` must be a HardNegativeMiner; got int"),
        ({"resume": 1}, errors.NegmineTypeError, "`resume` must be True or False; got 1"),
        (
            {"grups": [0]},
            errors.NegmineTypeError,
            "`mine_to` has no option 'grups'. Did you mean 'groups'? It has absolute_floor, absolute_margin, categ",
        ),
        ({"positives": [[999]] * N_QUERIES}, errors.NegmineValueError, "`positives` must hold rows below 120; got 999"),
        ({"exclude": [[999]] * N_QUERIES}, errors.NegmineValueError, "`exclude` must hold rows below 120; got 999"),
        ({"query_ids": ["a"]}, errors.NegmineValueError, "`query_ids` must have shape (45,)"),
        ({"document_ids": ["a"] * N_DOCUMENTS}, errors.NegmineValueError, "`document_ids` must be unique"),
        ({"groups": [1]}, errors.NegmineValueError, "`groups` must have shape (120,)"),
        ({"document_ids": None, "exclude_self": True}, errors.NegmineValueError, "`exclude_self` must have"),
        ({"memory_limit": -1}, errors.NegmineValueError, "`memory_limit`"),
        ({"folder": 3}, errors.NegmineTypeError, "`folder` must be a path"),
        ({"folder": "a\0b"}, errors.NegmineValueError, "`folder` must be a path without NUL"),
        ({"progress": 5}, errors.NegmineTypeError, "`progress` must be callable"),
        (
            {"queries": np.full((N_QUERIES, WIDTH), 1e300)},
            errors.NegmineValueError,
            "`queries` must fit float32, to which float64 is rounded; row 0 overflows at column 0",
        ),
        # What the last tile alone would notice.
        (
            {"exclude": Positives.from_lists([[]] * (N_QUERIES - 1) + [[-1]], positive_scores=[0.5])},
            errors.NegmineValueError,
            "`exclude` must hold document rows, at least 0; got -1",
        ),
        (
            {
                "queries": LONG,
                "corpus": LONG[: N_QUERIES - 1],
                "document_ids": None,
                "query_ids": None,
                "exclude_self": True,
            }
            | {"exclude": None, "groups": None, "eligible": None, "positives": [[]] * N_QUERIES},
            errors.NegmineValueError,
            "`exclude_self` must have `query_ids`",
        ),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_bad_arguments_leave_nothing(
    tmp_path: Path, change: dict[str, Any], error: type, part: str, *, there: bool
) -> None:
    folder = tmp_path / "job"
    if there:
        folder.mkdir()
    with pytest.raises(error) as caught:
        run(**({"folder": folder} | change))
    assert part in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == (["job"] if there else [])


def test_bad_arguments_leave_no_folder_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(errors.NegmineValueError, match="`memory_limit`"):
        run(tmp_path / "deep" / "er" / "job", memory_limit=1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(errors.JobError, match=r"`folder` must be a folder that can be made; got .*file/job"):
        run(tmp_path / "file" / "job")


@pytest.mark.parametrize("argument", ["queries", "corpus"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_are_checked_before_the_first_tile(tmp_path: Path, argument: str, value: float) -> None:
    given = arrays()
    given[argument][-1, 3] = value
    with pytest.raises(errors.NegmineValueError, match=f"`{argument}` must be finite; row .* at column 3"):
        run(tmp_path / "job", **given)
    assert not (tmp_path / "job").exists()


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    seen: list[str] = []

    def again(done: int, total: int) -> None:
        if not seen:
            with pytest.raises(errors.JobError) as caught:
                run(tmp_path / "job", resume=True)
            seen.append(str(caught.value))

    run(tmp_path / "job", progress=again)
    assert f"is held by process {os.getpid()} on " in seen[0]
    assert (tmp_path / "job" / "lock").read_bytes() == b""
