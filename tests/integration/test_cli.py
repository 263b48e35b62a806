"""The command line in processes of its own: what it writes, says and returns."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import HardNegatives, cli, io

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("typer")
pytest.importorskip("rich")

N_QUERIES, N_DOCUMENTS, WIDTH = 30, 80, 8


def negmine(
    *arguments: object, code: int = 0, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit code must be `code`."""
    done = subprocess.run(
        [sys.executable, "-m", "negmine", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code in (1, 2):
        assert done.stderr.startswith("negmine: error: ")
        assert len(done.stderr.splitlines()) == 1
    return done


def spoken(*arguments: object, **options: Any) -> dict[str, Any]:
    """What the command says as JSON."""
    said: dict[str, Any] = json.loads(negmine(*arguments, "--json", **options).stdout)
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small set: documents 0 and 1 share a text, and every query knows one of its two relevant documents."""
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(2)
    corpus = draw.normal(size=(N_DOCUMENTS, WIDTH)).astype(np.float32)
    queries = corpus[:N_QUERIES] + 0.1 * draw.normal(size=(N_QUERIES, WIDTH)).astype(np.float32)
    np.save(folder / "corpus.npy", corpus)
    np.save(folder / "queries.npy", queries)
    for name, vectors in (("corpus", corpus), ("queries", queries)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), WIDTH)
        ids = [f"{name[0]}{row}" for row in range(len(vectors))]
        pq.write_table(pa.table({"id": ids, "emb": column}), folder / f"{name}.parquet")
        lines = [{"_id": label, "text": f"text {max(row, 1)}"} for row, label in enumerate(ids)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    pairs = [(query, query) for query in range(N_QUERIES)]
    hidden = [(query, N_QUERIES + query) for query in range(N_QUERIES)]
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "rows.tsv").write_text(header + "".join(f"{q}\t{d}\t1\n" for q, d in pairs))
    (folder / "known.tsv").write_text(header + "".join(f"q{q}\tc{d}\t1\n" for q, d in pairs))
    (folder / "all.tsv").write_text(header + "".join(f"q{q}\tc{d}\t1\n" for q, d in pairs + hidden))
    (folder / "bm25.run").write_text("".join(f"q{q} Q0 c{d} 1 2.5 bm25\n" for q, d in hidden))
    beir = folder / "beir"
    (beir / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (beir / name).write_text((folder / name).read_text())
    (beir / "qrels" / "train.tsv").write_text(
        "".join((folder / "known.tsv").read_text().splitlines(keepends=True)[:21])
    )
    return folder


def plain(data: Path) -> list[object]:
    files = ("queries.npy", "corpus.npy", "rows.tsv")
    return ["mine", *sum(zip(("--queries", "--corpus", "--positives"), (data / f for f in files), strict=True), ())]


def labeled(data: Path) -> list[object]:
    named = ["--queries", data / "queries.parquet", "--corpus", data / "corpus.parquet", "--id-name", "id"]
    return ["mine", *named, "--positives", data / "known.tsv"]


def with_texts(data: Path) -> list[object]:
    named = ["--query-texts", data / "queries.jsonl", "--document-texts", data / "corpus.jsonl"]
    files = ["--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    return ["mine", *files, *named, "--positives", data / "known.tsv"]


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
    text = negmine(*plain(data), *options, "--out", tmp_path / "a.parquet").stdout
    assert f"a.parquet: {N_QUERIES} rows" in text
    assert "pairs" in text
    assert f"documents that rules took out, over all rows: positives {N_QUERIES}" in text


def test_all_sources_say_the_same(data: Path, tmp_path: Path) -> None:
    for name, source in (("a", labeled(data)), ("b", [*with_texts(data), "--no-same-text"])):
        negmine(*source, "--out", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    negmine(*plain(data), "--out", tmp_path / "c.parquet")
    one, other = (next(io.read_negatives(tmp_path / f"{name}.parquet").batches()) for name in "ac")
    np.testing.assert_array_equal(one.negatives.indices, other.negatives.indices)
    assert one.negatives.ids[0] == f"c{one.negatives.indices[0]}"


def test_copies_of_a_positive_are_left_out(data: Path, tmp_path: Path) -> None:
    said = spoken(*with_texts(data), "-n", 79, "--out", tmp_path / "a.parquet")
    assert said["n_same_text"] == 2
    assert said["documents"]["group"] == 2
    assert "2 documents share a text" in negmine(*with_texts(data), "--out", tmp_path / "a.parquet").stdout


def test_exclusions_come_from_judgments_and_runs(data: Path, tmp_path: Path) -> None:
    for file in ("all.tsv", "bm25.run"):
        said = spoken(*labeled(data), "--exclude", data / file, "--out", tmp_path / "a.parquet")
        assert said["documents"]["excluded"] == N_QUERIES
    assert spoken(*labeled(data), "--out", tmp_path / "a.parquet")["documents"]["excluded"] == 0


def test_a_folder_is_mined_with_embeddings_beside_it(data: Path, tmp_path: Path) -> None:
    vectors = ["--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    said = spoken("mine", "--beir", data / "beir", *vectors, "--out", tmp_path / "a.parquet")
    assert said["n_rows"] == 20
    refused = negmine("mine", "--beir", data / "beir", "--out", tmp_path / "a.parquet", code=2)
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
    assert "`tile_queries`" in text


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
    np.save(tmp_path / "corpus.npy", draw.normal(size=(20_000, 256)).astype(np.float32))
    np.save(tmp_path / "queries.npy", draw.normal(size=(3000, 256)).astype(np.float32))
    (tmp_path / "rows.tsv").write_text("".join(f"{row}\t{row}\t1\n" for row in range(3000)))
    command = [*plain(tmp_path), "--tile-queries", 100, "--num-threads", 1, "--job", tmp_path / "job"]
    line = [sys.executable, "-m", "negmine", *map(str, command)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not any((tmp_path / "job").glob("parts/*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "negmine: error: stopped; what a job has finished is kept, and --resume goes on"
    assert "`resume` must be True" in negmine(*command, code=1).stderr
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
    assert "hidden positives" in text
    assert "hardness" in text


def test_evaluate_reads_jobs_and_refuses_other_labels(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--job", tmp_path / "job")
    assert spoken("evaluate", tmp_path / "job", "--qrels", data / "all.tsv")["n_rows"] == N_QUERIES
    refused = negmine("evaluate", tmp_path / "job", "--qrels", data / "rows.tsv", code=1)
    assert "no query has a relevant document there, such as 'q0'" in refused.stderr


# ---- the others


def test_the_readmes_commands_run(data: Path, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## On the command line")[2].partition("\n## ")[0]
    lines = re.findall(r"^negmine (.*)$", section, re.MULTILINE)
    assert len(lines) == section.count("\nnegmine ") >= 3
    shutil.copytree(data / "beir", tmp_path / "scifact")
    for side in ("corpus", "queries"):
        shutil.copy(data / f"{side}.npy", tmp_path / "scifact" / f"{side}.minilm.npy")
    for line in lines:
        negmine(*shlex.split(line, comments=True), folder=tmp_path)
    assert (tmp_path / "triplets.jsonl").stat().st_size > 0


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
    assert len(io.read_negatives(tmp_path / "negmine-demo.parquet")) == 1200
    said = spoken("demo", "--out", tmp_path / "b.parquet")
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


# ---- what is refused

HERE = ["--out", "{tmp}/a.parquet"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ([], "`--out` or `--job` must say where the result goes"),
        (["--out", "{tmp}/a.csv"], "`--out` must end in .parquet or .npz"),
        (["--out", "{tmp}/none/a.parquet"], "`--out` must lie in a folder that exists"),
        ([*HERE, "--resume"], "`--resume` must come with `--job`"),
        ([*HERE, "--shard", "0/2"], "`--shard` must come with `--job`"),
        (["--job", "{tmp}/job", "--shard", "2"], "`--shard` must be I/N, such as 0/4; got '2'"),
        (["--job", "{tmp}/job", "--shard", "2/2"], "`shard` must be (i, n) with i below n"),
        (["--job", "{tmp}/job", *HERE], "`--out` must come with `--format` where `--job` is given"),
        (["--job", "{tmp}/job", "--limit-per-document", "3"], "`limit_per_document` must be None in a job"),
        ([*HERE, "--format", "pairs"], "`--format` must be one of triplet"),
        ([*HERE, "--format", "tevatron"], "`--out` must end in .jsonl"),
        ([*HERE, "--scores"], "`--scores` must come with `--format`"),
        ([*HERE, "--relative-margin", "-1"], "`relative_margin` must be at least 0.0; got -1.0"),
        ([*HERE, "--relative-margin", "nan"], "`relative_margin` must be finite; got nan"),
        ([*HERE, "--relative-margin", "much"], "--relative-margin"),
        ([*HERE, "-n", "0"], "`num_negatives` must be at least 1; got 0"),
        ([*HERE, "--range-min", "5", "--range-max", "5"], "`range_max` must be greater than `range_min`"),
        ([*HERE, "--metric", "dot"], "`metric` must be one of"),
        ([*HERE, "--reference", "best"], "`reference` must be one of"),
        ([*HERE, "--sampling", "best"], "`--sampling` must be top, random"),
        ([*HERE, "--sampling", "softmax:x"], "`--sampling` must have a number for temperature"),
        ([*HERE, "--sampling", "softmax:0"], "`temperature` must be greater than 0.0; got 0.0"),
        ([*HERE, "--memory-limit", "much"], "`--memory-limit` must be a size"),
        ([*HERE, "--memory-limit", "99999999999GiB"], "`memory_limit` must be at most"),
        (["--job", "{tmp}/job", "--tile-queries", "0"], "`tile_queries` must be at least 1; got 0"),
        ([*HERE, "--num-threads", "0"], "`num_threads` must be at least 1; got 0"),
        ([*HERE, "--unknown", "skip"], "`--unknown` must be 'error' or 'drop'"),
        ([*HERE, "--embeddings", "x"], "`--embeddings` must come with `--beir`"),
        ([*HERE, "--id-name", "id"], "`--id-name` must come with a table of embeddings"),
        ([*HERE, "--nonsense"], "No such option: --nonsense"),
        ([*HERE, "--exclude", "{tmp}/none.tsv"], "'--exclude'"),
    ],
)
def test_wrong_arguments_end_with_2_and_leave_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], part: str
) -> None:
    # In this process, because there are many of them.
    arguments = [*map(str, plain(data)), *(option.format(tmp=tmp_path) for option in options)]
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("negmine: error: ")
    assert len(said.err.splitlines()) == 1
    assert part in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["mine", "--out", "a.parquet"], "`--queries` must be given where `--beir` is not"),
        (["merge"], "Missing argument"),
        (["evaluate", "none.parquet", "--qrels", "none.tsv"], "does not exist"),
        (["nonsense"], "No such command"),
        (["demo", "--num-threads", "few"], "--num-threads"),
        (["demo", "--num-threads", "0"], "`num_threads` must be at least 1; got 0"),
        (["demo", "--out", "a.csv"], "`--out` must end in .parquet; got a.csv"),
        (["demo", "--out", "none/a.parquet"], "`--out` must lie in a folder that exists; got none/a.parquet"),
    ],
)
def test_other_wrong_arguments_end_with_2(tmp_path: Path, arguments: list[str], part: str) -> None:
    assert part in negmine(*arguments, code=2, folder=tmp_path).stderr


def test_work_that_fails_ends_with_1_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    bad = np.load(data / "corpus.npy")
    bad[7, 3] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    files = ["--queries", data / "queries.npy", "--positives", data / "rows.tsv"]
    for target in (["--out", tmp_path / "a.parquet"], ["--job", tmp_path / "job"]):
        done = negmine("mine", *files, "--corpus", tmp_path / "bad.npy", *target, code=1)
        assert "`corpus` must be finite; row 7 holds NaN or infinity at column 3" in done.stderr
    short = ["--queries", data / "queries.npy", "--positives", data / "known.tsv", "--corpus", data / "corpus.npy"]
    assert "got 'q0'" in negmine("mine", *short, "--out", tmp_path / "a.parquet", code=1).stderr
    for option in ("--positives", "--exclude"):
        done = negmine(*plain(data), option, data / "known.tsv", "--out", tmp_path / "a.parquet", code=1)
        assert f"{data / 'known.tsv'}: `query_ids` are integers" in done.stderr
        assert "`--query-texts` and `--document-texts`, or `--id-name`, give others." in done.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    assert "is no job" not in negmine(*plain(data), "--job", tmp_path / "other", code=1).stdout
    assert "manifest" in negmine("merge", tmp_path / "other", "--out", tmp_path / "all", code=1).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "other"]


def test_a_changed_job_is_refused_and_told_what_changed(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--job", tmp_path / "job")
    done = negmine(*labeled(data), "--relative-margin", 0.1, "--job", tmp_path / "job", code=1)
    assert "`relative_margin` was None and is 0.1" in done.stderr


def test_without_the_extra_one_line_says_which(tmp_path: Path) -> None:
    for module in ("typer", "rich"):
        (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('no {module}', name='{module}')")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = negmine("info", code=1, PYTHONPATH=path)
        assert f"needs {module}" in done.stderr
        assert "pip install 'negmine[cli]'" in done.stderr
        (tmp_path / f"{module}.py").unlink()


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
        "`threshold` must be at most 1; got 2.0" in negmine("dedup", "--texts", source, "--threshold", 2, code=2).stderr
    )
    assert "`--out` must end in" in negmine("dedup", "--texts", source, "--out", "a.csv", code=2).stderr
