"""The command line in processes of its own: what it writes, says and returns."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import HardNegatives, io
from negmine.mining import Rejection

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("typer")
pytest.importorskip("rich")

from commands import N_QUERIES, labeled, negmine, plain, spoken, with_texts  # noqa: E402 (after the skips)

# ---- mine


def test_mine_says_and_writes_what_the_library_finds(data: Path, tmp_path: Path) -> None:
    options = ["-n", 4, "--relative-margin", 0.05, "--range-min", 1, "--num-random", 2, "--seed", 3]
    said = spoken(*plain(data), *options, "--out", tmp_path / "a.parquet")
    import negmine as library

    wanted = library.mine(
        np.load(data / "queries.npy"),
        np.load(data / "corpus.npy"),
        [[query] for query in range(N_QUERIES)],
        num_negatives=4,
        relative_margin=0.05,
        range_min=1,
        num_random=2,
        seed=3,
    )
    rows = next(io.read_negatives(tmp_path / "a.parquet").batches())
    np.testing.assert_array_equal(rows.negatives.indices, wanted.indices[wanted.indices >= 0])
    assert said["n_rows"] == N_QUERIES
    assert said["n_negatives"] == wanted.counts.sum()
    assert said["documents"] == wanted.report.totals()
    provenance = io.read_negatives(tmp_path / "a.parquet").provenance
    assert provenance["options"]["relative_margin"] == 0.05
    assert provenance["fingerprint"] == said["fingerprint"]
    text = negmine(*plain(data), *options, "--out", tmp_path / "a.parquet", "--force").stdout
    assert f"a.parquet: {N_QUERIES} rows" in text
    assert "pairs" in text
    assert f"documents that rules took out, over all rows: positives {N_QUERIES}" in text


def test_random_negatives_by_weights(data: Path, tmp_path: Path) -> None:
    corpus, queries = np.load(data / "corpus.npy"), np.load(data / "queries.npy")
    weights = np.arange(len(corpus)) % 7 / 2
    options = [*plain(data), "-n", 1, "--num-random", 2]
    import negmine as library

    positives = [[query] for query in range(N_QUERIES)]
    out, job = tmp_path / "negatives.parquet", tmp_path / "job"
    np.save(tmp_path / "weights.npy", weights)
    cases: tuple[tuple[Any, Any, list[Any], Path], ...] = (
        ("popularity", "popularity", ["--out", out], out),
        (tmp_path / "weights.npy", weights, ["--job", job, "--tile-queries", 3], job / "result.parquet"),
    )
    for text, value, target, path in cases:
        wanted = library.mine(queries, corpus, positives, num_negatives=1, num_random=2, random_weights=value).indices
        negmine(*options, "--random-weights", text, *target)
        found = [rows.negatives.indices for rows in io.read_negatives(path).batches()]
        np.testing.assert_array_equal(np.concatenate(found), wanted[wanted >= 0])
    np.save(tmp_path / "short.npy", weights[1:])
    refused = negmine(*options, "--random-weights", tmp_path / "short.npy", "--out", tmp_path / "a.parquet", code=1)
    assert "`--random-weights` must have shape" in refused.stderr


def test_all_sources_say_the_same(data: Path, tmp_path: Path) -> None:
    for name, source in (("a", labeled(data)), ("b", [*with_texts(data), "--no-same-text"])):
        negmine(*source, "--out", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    negmine(*plain(data), "--out", tmp_path / "c.parquet")
    one, other = (next(io.read_negatives(tmp_path / f"{name}.parquet").batches()) for name in "ac")
    np.testing.assert_array_equal(one.negatives.indices, other.negatives.indices)
    assert one.negatives.ids[0] == f"c{one.negatives.indices[0]}"


def test_rejected_documents_are_kept(data: Path, tmp_path: Path) -> None:
    negmine(*plain(data), "--relative-margin", 0.2, "--keep-rejected", 3, "--out", tmp_path / "a.parquet")
    rows = next(io.read_negatives(tmp_path / "a.parquet").batches())
    assert rows.rejected is not None
    assert set(rows.rejections.tolist()) == {Rejection.ABOVE_RELATIVE_MARGIN}
    assert 0 < rows.rejected.counts.max() <= 3


def test_copies_of_a_positive_are_left_out(data: Path, tmp_path: Path) -> None:
    said = spoken(*with_texts(data), "-n", 79, "--out", tmp_path / "a.parquet")
    assert said["n_same_text"] == 2
    assert said["documents"]["group"] == 2
    assert "2 documents share a text" in negmine(*with_texts(data), "--out", tmp_path / "b.parquet").stdout


def test_exclusions_come_from_judgments_and_runs(data: Path, tmp_path: Path) -> None:
    for file in ("all.tsv", "bm25.run"):
        said = spoken(*labeled(data), "--exclude", data / file, "--out", tmp_path / f"{file}.parquet")
        assert said["documents"]["excluded"] == N_QUERIES
    assert spoken(*labeled(data), "--out", tmp_path / "a.parquet")["documents"]["excluded"] == 0


@pytest.mark.parametrize("job", [True, False])
def test_dropped_judgments_are_counted(data: Path, tmp_path: Path, job: bool) -> None:
    (tmp_path / "some.tsv").write_text("q0\tc0\t1\nq0\tother\t1\nother\tc0\t1\n")
    (tmp_path / "some.run").write_text("q0 Q0 c1 1 2.5 x\nq0 Q0 other 2 1.5 x\n")
    files = ["--positives", tmp_path / "some.tsv", "--exclude", tmp_path / "some.run", "--unknown", "drop"]
    target = ["--job", tmp_path / "job"] if job else ["--out", tmp_path / "a.parquet"]
    command = [*labeled(data)[:-2], *files, *target]
    said = spoken(*command)
    assert (said["n_judgments"], said["unknown_judgments"], said["unknown_excluded"]) == (3, 2, 1)
    text = negmine(*command, *([] if job else ["--force"])).stdout
    assert "2 of 3 judgments dropped" in text
    assert "1 entries of --exclude dropped" in text
    done = negmine(
        *command[:-2], *(["--job", tmp_path / "b"] if job else ["--out", tmp_path / "b.npz"]), "--min-grade", 2
    )
    assert "negmine: warning: No query has a positive: of 3 judgments, the labels of 2" in done.stderr


def test_exclusions_of_no_document_warn(data: Path, tmp_path: Path) -> None:
    for name in ("a.run", "a.tsv"):
        (tmp_path / name).write_text("\n")
        done = negmine(*labeled(data), "--exclude", tmp_path / name, "--out", tmp_path / f"{name}.parquet")
        assert "negmine: warning: `--exclude` names no document of any query" in done.stderr


def test_a_folder_is_mined_with_embeddings_beside_it(data: Path, tmp_path: Path) -> None:
    vectors = ["--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    said = spoken("mine", "--beir", data / "beir", *vectors, "--out", tmp_path / "a.parquet")
    assert said["n_rows"] == 20
    refused = negmine("mine", "--beir", data / "beir", "--out", tmp_path / "b.parquet", code=2)
    assert "must give embeddings" in refused.stderr


@pytest.mark.parametrize(
    ("sampling", "described"),
    [
        ("random", "random"),
        ("stride", {"name": "stride"}),
        ("softmax:0.1", {"name": "softmax", "temperature": 0.1}),
        ("simans:0.7", {"name": "simans", "a": 0.7, "b": 0.0, "scale": "std"}),
    ],
)
def test_policies(data: Path, tmp_path: Path, sampling: str, described: object) -> None:
    negmine(*plain(data), "--sampling", sampling, "--out", tmp_path / "a.parquet")
    assert io.read_negatives(tmp_path / "a.parquet").provenance["options"]["sampling"] == described


def test_npz_is_what_the_library_loads(data: Path, tmp_path: Path) -> None:
    negmine(*plain(data), "--limit-per-document", 2, "--memory-limit", "64MiB", "--out", tmp_path / "a.npz")
    loaded = HardNegatives.load(tmp_path / "a.npz")
    assert np.bincount(loaded.indices[loaded.indices >= 0]).max() <= 2


@pytest.mark.parametrize("form", ["triplet", "n-tuple", "labeled-pair", "labeled-list", "flagembedding", "tevatron"])
def test_training_rows(data: Path, tmp_path: Path, form: str) -> None:
    said = spoken(*with_texts(data), "--format", form, "--scores", "--out", tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lines) == said["n_written"] > 0
    assert "text 5" in str(lines[5]) or form in ("triplet", "labeled-pair")


# ---- jobs


def job_options(data: Path) -> list[object]:
    return [*labeled(data), "--sampling", "softmax:0.1", "--num-random", 1, "--tile-queries", 4]


def test_jobs_shards_and_merge(data: Path, tmp_path: Path) -> None:
    whole = spoken(*job_options(data), "--job", tmp_path / "whole")
    assert whole["n_tiles_mined"] == whole["n_tiles"] == 8
    again = negmine(*job_options(data), "--job", tmp_path / "whole")
    assert "nothing was done" in again.stdout
    for i in range(3):
        negmine(*job_options(data), "--job", tmp_path / f"{i}", "--shard", f"{i}/3")
    merged = spoken("merge", tmp_path / "2", tmp_path / "0", tmp_path / "1", "--out", tmp_path / "all")
    assert merged["n_negatives"] == whole["n_negatives"]
    for name in ("result.parquet", "report.json", "manifest.json"):
        assert (tmp_path / "all" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (
        "nothing was done" in negmine("merge", *(tmp_path / f"{i}" for i in range(3)), "--out", tmp_path / "all").stdout
    )


def test_a_shard_that_no_tile_falls_to_says_so(data: Path, tmp_path: Path) -> None:
    text = negmine(*labeled(data), "--job", tmp_path / "job", "--shard", "0/2").stdout
    assert "no tile falls to shard 0 of 2" in text
    assert "`--tile-queries`" in text


def test_a_job_gives_training_rows_too(data: Path, tmp_path: Path) -> None:
    rows = ["--format", "labeled-list", "--out", tmp_path / "rows.jsonl"]
    said = spoken(*with_texts(data), "--job", tmp_path / "job", *rows)
    direct = ["--format", "labeled-list", "--out", tmp_path / "direct.jsonl"]
    negmine(*with_texts(data), *direct)
    assert said["n_written"] == N_QUERIES
    assert (tmp_path / "rows.jsonl").read_bytes() == (tmp_path / "direct.jsonl").read_bytes()


def test_ctrl_c_says_how_to_go_on_and_resume_does(data: Path, tmp_path: Path) -> None:
    # Wide enough to take seconds; stopped after the first tile.
    draw = np.random.default_rng(0)
    np.save(tmp_path / "corpus.npy", draw.standard_normal((80_000, 256), dtype=np.float32))
    np.save(tmp_path / "queries.npy", draw.normal(size=(3000, 256)).astype(np.float32))
    (tmp_path / "rows.tsv").write_text("".join(f"{row}\t{row}\t1\n" for row in range(3000)))
    command = [*plain(tmp_path), "--tile-queries", 100, "--num-threads", 1, "--job", tmp_path / "job"]
    line = [sys.executable, "-m", "negmine", *map(str, command)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not any((tmp_path / "job").glob("parts/*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "negmine: error: stopped; what a job has finished is kept, and --resume goes on"
    assert "`--resume` must be given to go on" in negmine(*command, code=1).stderr
    result = spoken(*command, "--resume")
    assert 0 < result["n_tiles_mined"] < result["n_tiles"] == 30


# ---- evaluate


def test_evaluate_counts_false_negatives(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "-n", 20, "--out", tmp_path / "a.parquet")
    said = spoken("evaluate", tmp_path / "a.parquet", "--qrels", data / "all.tsv")
    rows = next(io.read_negatives(tmp_path / "a.parquet").batches())
    query = np.repeat(rows.query_indices, rows.negatives.counts)
    hidden = rows.negatives.indices == query + N_QUERIES
    assert said["n_known"] == 0
    assert said["n_false_negatives"] == hidden.sum() > 0
    assert said["n_rows_hit"] == len(set(query[hidden].tolist()))
    assert said["false_negative_rate"] == pytest.approx(hidden.mean())
    assert said["hardness"] == pytest.approx(rows.negatives.scores.mean(dtype=np.float64))
    assert said["false_negative_hardness"] == pytest.approx(rows.negatives.scores[hidden].mean(dtype=np.float64))
    text = negmine("evaluate", tmp_path / "a.parquet", "--qrels", data / "all.tsv").stdout
    assert re.search(rf"false negatives +{hidden.sum()} ", text)
    assert "hardness" in text


def test_evaluate_reads_jobs_and_refuses_other_labels(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--job", tmp_path / "job")
    assert spoken("evaluate", tmp_path / "job", "--qrels", data / "all.tsv")["n_rows"] == N_QUERIES
    refused = negmine("evaluate", tmp_path / "job", "--qrels", data / "rows.tsv", code=1)
    assert "`--qrels` must judge queries that were mined" in refused.stderr
    assert "no query has a relevant document there, such as 'q0'" in refused.stderr


def test_evaluate_takes_row_numbers_as_labels_only_where_asked(data: Path, tmp_path: Path) -> None:
    negmine(*plain(data), "--out", tmp_path / "a.parquet")
    negmine(*plain(data), "--job", tmp_path / "job")
    for answer in (tmp_path / "a.parquet", tmp_path / "job"):
        refused = negmine("evaluate", answer, "--qrels", data / "rows.tsv", code=1)
        assert "`ANSWER` must have labels to be compared with those of `--qrels`" in refused.stderr
        assert "give `--rows-are-labels` if row numbers are the labels" in refused.stderr
        said = spoken("evaluate", answer, "--qrels", data / "rows.tsv", "--rows-are-labels")
        assert said["n_judged_rows"] == N_QUERIES
    negmine(*labeled(data), "--out", tmp_path / "b.parquet")
    refused = negmine("evaluate", tmp_path / "b.parquet", "--qrels", data / "all.tsv", "--rows-are-labels", code=2)
    assert "`--rows-are-labels` must be False for negatives with labels" in refused.stderr


def test_an_archive_has_the_labels_of_the_queries(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--out", tmp_path / "a.npz")
    assert HardNegatives.load(tmp_path / "a.npz").query_labels.tolist() == [f"q{row}" for row in range(N_QUERIES)]


def test_evaluate_says_what_is_unknown(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--out", tmp_path / "a.parquet")
    (tmp_path / "other.tsv").write_text("q0\tx0\t1\nq1\tx1\t1\n")
    refused = negmine("evaluate", tmp_path / "a.parquet", "--qrels", tmp_path / "other.tsv", code=1)
    assert "`--qrels` must judge documents that were mined; no judgment mentions any of them" in refused.stderr
    (tmp_path / "some.tsv").write_text("q0\tc0\t1\nq1\tc1\t1\n")
    said = spoken("evaluate", tmp_path / "a.parquet", "--qrels", tmp_path / "some.tsv")
    assert (said["n_judged_rows"], said["n_unjudged_rows"]) == (2, N_QUERIES - 2)
    assert said["n_without_judgment"] == said["n_judged_negatives"] == 10
    negmine(*labeled(data), "--min-score", 2, "--out", tmp_path / "none.parquet")
    said = spoken("evaluate", tmp_path / "none.parquet", "--qrels", tmp_path / "some.tsv")
    assert said["false_negative_rate"] is None
    text = negmine("evaluate", tmp_path / "none.parquet", "--qrels", tmp_path / "some.tsv").stdout
    assert re.search(r"false negatives +0  unknown", text)
    assert f"nothing is known of {N_QUERIES - 2} rows" in text


# ---- verify


def test_verify_says_how_many_rows_hold_up(data: Path, tmp_path: Path) -> None:
    files = ["--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    negmine(*labeled(data), "--relative-margin", 0.05, "--num-random", 1, "--out", tmp_path / "a.parquet")
    negmine(*labeled(data), "--job", tmp_path / "job")
    negmine(*plain(data), "--out", tmp_path / "a.npz")
    for answer, *options in (
        (tmp_path / "a.parquet",),
        (tmp_path / "job",),
        (tmp_path / "a.npz", "--metric", "cosine"),
    ):
        said = spoken("verify", answer, *files, *options)
        assert said["n_sound"] == said["n_checked"] == said["n_rows"] == N_QUERIES
    assert spoken("verify", tmp_path / "a.parquet", *files, "--sample", 7)["n_checked"] == 7
    tables = ["--queries", data / "queries.parquet", "--corpus", data / "corpus.parquet", "--embedding-name", "emb"]
    text = negmine("verify", tmp_path / "a.parquet", *tables).stdout
    assert f"{N_QUERIES} of {N_QUERIES} rows hold up" in text
    shuffled = np.load(data / "corpus.npy")[::-1]
    np.save(tmp_path / "other.npy", shuffled)
    done = negmine("verify", tmp_path / "a.parquet", *files[:2], "--corpus", tmp_path / "other.npy", code=None)
    assert done.returncode == 1
    assert f"0 of {N_QUERIES} rows hold up" in done.stdout
    assert re.search(
        rf"score +{N_QUERIES} +a negative whose score is not the canonical one, first of query row 0", done.stdout
    )
    np.save(tmp_path / "short.npy", shuffled[1:])
    refused = negmine("verify", tmp_path / "a.parquet", *files[:2], "--corpus", tmp_path / "short.npy", code=1)
    assert "`--corpus` must be what was mined, 80 rows; got 79" in refused.stderr
    assert "`--sample` must be at least 1" in negmine("verify", tmp_path / "job", *files, "--sample", 0, code=2).stderr
    assert "`--metric` must be given" in negmine("verify", tmp_path / "a.npz", *files, code=1).stderr
    (tmp_path / "empty").mkdir()
    assert (
        "`ANSWER` must be the folder of a finished job" in negmine("verify", tmp_path / "empty", *files, code=1).stderr
    )
    assert "or `--beir`, must be given" in negmine("verify", tmp_path / "job", *files[:2], code=2).stderr


def test_verify_reads_the_folder_that_was_mined(data: Path, tmp_path: Path) -> None:
    files = ["--beir", data / "beir", "--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    negmine("mine", *files, "--out", tmp_path / "a.parquet")
    said = spoken("verify", tmp_path / "a.parquet", *files, "--split", "train")
    assert said["n_sound"] == said["n_rows"] == 20
    refused = negmine("verify", tmp_path / "a.parquet", *files, "--split", "x", code=2)
    assert "`--split` must be one that" in refused.stderr


# ---- the others


def test_info_says_what_runs_here() -> None:
    said = spoken("info")
    assert said["isa"] in said["available_isas"]
    assert said["packages"]["numpy"] == np.__version__
    text = negmine("info").stdout
    assert said["cpu"] in text
    assert negmine("--version").stdout == f"negmine {said['version']}\n"


def test_demo_shows_and_writes(tmp_path: Path) -> None:
    text = negmine("demo", folder=tmp_path).stdout
    assert "hidden right answers" in text
    assert list(tmp_path.iterdir()) == []
    said = spoken("demo", "--out", tmp_path / "b.parquet")
    assert len(io.read_negatives(tmp_path / "b.parquet")) == 1200
    assert said["rules"][0]["false_negative_rate"] > said["rules"][-1]["false_negative_rate"]


def test_the_command_is_installed() -> None:
    script = Path(sys.executable).with_name("negmine")
    if not script.exists():
        pytest.skip("not installed beside this interpreter")
    assert subprocess.run([script, "--version"], check=True, capture_output=True, text=True).stdout.startswith(
        "negmine"
    )


def test_help_names_every_option() -> None:
    text = negmine("mine", "--help").stdout
    for option in ("--beir", "--relative-margin", "--limit-per-document", "--resume", "--shard", "--format", "--json"):
        assert option in text
    assert "Usage" in negmine("--help").stdout


# ---- progress


def test_a_terminal_sees_a_bar_and_stdout_stays_clean(data: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.save(tmp_path / "corpus.npy", draw.normal(size=(20_000, 128)).astype(np.float32))
    np.save(tmp_path / "queries.npy", draw.normal(size=(2000, 128)).astype(np.float32))
    (tmp_path / "rows.tsv").write_text("".join(f"{row}\t{row}\t1\n" for row in range(2000)))
    ours, theirs = pty.openpty()
    command = [*plain(tmp_path), "--tile-queries", 100, "--job", tmp_path / "job", "--json"]
    line = [sys.executable, "-m", "negmine", *map(str, command)]
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm"}
    seen = b""
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=theirs, env=environment) as running:
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how Linux says that the other side closed
                break
            if not part:
                break
            seen += part
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["n_rows"] == 2000
    os.close(ours)
    assert running.returncode == 0
    text = seen.decode()
    assert "of 2,000 queries" in text
    assert "/s" in text


def test_elsewhere_lines_say_rate_and_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from negmine.cli import progress

    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.shown("mining", 2000, "queries") as report:
        report(500, 1000)
        for done in (600, 700, 800):
            now[0] += 6
            report(done, 1000)
    assert capsys.readouterr().err.splitlines() == ["mining: 1,400 of 2,000 queries, 33/s, 18 s left"]


def test_dedup_groups_texts_and_vectors(tmp_path: Path) -> None:
    texts = ["the cat sat on the mat", "a dog ran far away", "The cat sat on the mat.", "nothing like it"]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"_id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    said = spoken("dedup", "--texts", source, "--threshold", 0.7, "--out", tmp_path / "groups.parquet")
    assert (said["n_rows"], said["n_groups"], said["n_redundant"], said["largest_group"]) == (4, 1, 1, 2)
    assert said["bands"] * said["band_rows"] <= 128
    table = pq.read_table(tmp_path / "groups.parquet").to_pydict()
    assert table == {"id": ["d0", "d1", "d2", "d3"], "group": [0, -1, 0, -1], "keep": [True, True, False, True]}

    np.save(tmp_path / "v.npy", np.array([[1, 0], [0, 1], [1, 0.01]], np.float32))
    done = negmine("dedup", "--embeddings", tmp_path / "v.npy", "--threshold", 0.9, "--out", tmp_path / "groups.npy")
    assert "3 rows: 1 group of near-duplicates, the largest of 2; 1 row beyond the first of a group" in done.stdout
    assert np.load(tmp_path / "groups.npy").tolist() == [0, -1, 0]

    assert "only one of them; got neither" in negmine("dedup", code=2).stderr
    assert (
        "`--threshold` must be at most 1; got 2.0"
        in negmine("dedup", "--texts", source, "--threshold", 2, code=2).stderr
    )
    assert "`--out` must end in" in negmine("dedup", "--texts", source, "--out", "a.csv", code=2).stderr
