"""``negmine mine --run``: candidates from ranked lists, alone, fused, and into a job."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from negmine import HardNegativeMiner, ScoredLists, fuse, io

pytest.importorskip("pyarrow")

from commands import negmine

JUDGED = {"q1": "d1", "q2": "d3"}
BM25 = {"q1": {"d1": 9.0, "d2": 8.0, "d3": 7.0, "d4": 6.0}, "q2": {"d4": 5.0, "d3": 4.0, "d1": 3.0}}
SPLADE = {"q1": {"d5": 3.0, "d2": 2.0}, "q2": {"d9": 1.0, "d1": 0.5}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    judgments = [f"{query}\t{document}\t1" for query, document in JUDGED.items()]
    (tmp_path / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judgments, ""]))
    lines = [
        f"{query} Q0 {document} {rank} {score} bm25"
        for query, found in BM25.items()
        for rank, (document, score) in enumerate(found.items(), start=1)
    ]
    (tmp_path / "bm25.trec").write_text("\n".join([*lines, ""]))
    (tmp_path / "splade.json").write_text(json.dumps(SPLADE))
    return tmp_path


def mine(folder: Path, *arguments: str, code: int | None = 0) -> Any:
    return negmine("mine", "--positives", folder / "qrels.tsv", "--run", folder / "bm25.trec", *arguments, code=code)


def negatives_of(path: Path) -> list[list[str]]:
    found = []
    for records in io.read_negatives(path).batches():
        ids, offsets = list(records.negatives.ids), records.negatives.offsets.tolist()
        found += [ids[begin:end] for begin, end in itertools.pairwise(offsets)]
    return found


def test_a_run_gives_the_candidates(folder: Path) -> None:
    done = mine(folder, "-n", "2", "--out", str(folder / "a.parquet"))
    assert negatives_of(folder / "a.parquet") == [["d2", "d3"], ["d4", "d1"]]
    # The corpus is what the run and the judgments name, and one list lacks d2.
    assert "unlisted 1" in done.stdout


def test_several_runs_are_fused(folder: Path) -> None:
    out, splade = folder / "a.parquet", str(folder / "splade.json")
    mine(folder, "--run", splade, "--fuse", "rrf", "-n", "3", "--out", str(out), "--json")
    documents, queries = ["d1", "d2", "d3", "d4", "d5", "d9"], list(JUDGED)
    positives = [[documents.index(document)] for document in JUDGED.values()]
    runs = [io.read_run(folder / "bm25.trec"), io.read_run(folder / "splade.json")]
    lists = [ScoredLists.from_run(run, query_ids=queries, document_ids=documents) for run in runs]
    pools = [HardNegativeMiner(3).candidates(one, None, positives) for one in lists]
    assert negatives_of(out) == fuse(pools).select(3).ids.tolist()


def test_a_job_of_a_run_goes_on_and_refuses_another(folder: Path) -> None:
    job = ["--job", str(folder / "job"), "-n", "2"]
    said = json.loads(mine(folder, *job, "--tile-queries", "1", "--json").stdout)
    assert negatives_of(Path(said["result"])) == [["d2", "d3"], ["d4", "d1"]]
    assert json.loads(mine(folder, *job, "--tile-queries", "1", "--resume", "--json").stdout)["was_finished"]
    (folder / "bm25.trec").write_text((folder / "bm25.trec").read_text().replace(" 9.0 ", " 9.5 "))
    other = mine(folder, *job, "--tile-queries", "1", "--resume", code=1)
    assert "corpus" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queries", "qrels.tsv"], "`--queries` must not be given with `--run`"),
        (["--metric", "ip"], "`--metric` must not be given with `--run`"),
        (["--memory-limit", "1GiB"], "`--memory-limit` must not be given with `--run`"),
        (["--run", "splade.json", "--job", "job", "--format", "triplet"], "`--job` must have one `--run`"),
        (["--fuse", "mean"], "`--fuse` must be one of"),
    ],
)
def test_what_has_no_meaning_for_runs_is_refused(folder: Path, arguments: list[str], message: str) -> None:
    named = [str(folder / part) if "." in part else part for part in arguments]
    assert message in mine(folder, "--out", str(folder / "a.parquet"), *named, code=2).stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "must be an object of queries"),
        ('{"q1": ["d1"]}', "query 'q1'"),
        ('{"q1": {"d1": "9"}}', "document 'd1' of query 'q1'"),
        ('{"q1": {"d1": true}}', "must hold numbers"),
        ('{"q1": {"d1": 1.0}', "must be JSON"),
        ('{"q1": {"d1": NaN}}', "`--run` must hold numbers"),
    ],
)
def test_a_malformed_json_run_is_refused_by_place(folder: Path, content: str, message: str) -> None:
    (folder / "x.json").write_text(content)
    done = mine(folder, "--run", str(folder / "x.json"), "--out", str(folder / "a.parquet"), code=1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_ranks_of_a_json_run_are_by_score_then_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"q": {"a": 1.0, "b": 3, "c": 1.0, "d": 2.0}, "none": {}, "p": {"a": 0.5}}')
    run = io.read_run(tmp_path / "a.json")
    assert (list(run.query_ids), list(run.document_ids)) == (["q"] * 4 + ["p"], ["a", "b", "c", "d", "a"])
    assert run.ranks.tolist() == [3, 1, 4, 2, 1]
