"""What the command line refuses: with one line that names the option, an exit code, and nothing left behind."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import cli

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("typer")
pytest.importorskip("rich")

from commands import PYTHON_NAME, labeled, negmine, plain, spoken, with_texts  # noqa: E402 (after the skips)

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
        (["--job", "{tmp}/job", "--shard", "2/2"], "`--shard` must be (i, n) with i below n"),
        (["--job", "{tmp}/job", *HERE], "`--out` must come with `--format` where `--job` is given"),
        (["--job", "{tmp}/job", "--limit-per-document", "3"], "`--limit-per-document` must not be given with `--job`"),
        ([*HERE, "--format", "pairs"], "`--format` must be one of triplet"),
        ([*HERE, "--format", "tevatron"], "`--out` must end in .jsonl"),
        (["--out", "{tmp}/a.jsonl", "--format", "tevatron"], "`--query-texts` and `--document-texts` must be given"),
        ([*HERE, "--keep-rejected", "-1"], "`--keep-rejected` must be at least 0; got -1"),
        (
            ["--out", "{tmp}/a.npz", "--keep-rejected", "1"],
            "`--keep-rejected` must come with `--out` of mined negatives",
        ),
        (["--job", "{tmp}/job", "--keep-rejected", "1"], "`--keep-rejected` must come with `--out` of mined negatives"),
        ([*HERE, "--random-weights", "popularity"], "`--random-weights` must come with `--num-random`"),
        (
            [*HERE, "--num-random", "1", "--random-weights", "popular"],
            "`--random-weights` must be popularity or a .npy file; got 'popular'",
        ),
        (
            [*HERE, "--num-random", "1", "--random-weights", "{tmp}/none.npy"],
            "`--random-weights` must be a file; got ",
        ),
        ([*HERE, "--scores"], "`--scores` must come with `--format`"),
        ([*HERE, "--relative-margin", "-1"], "`--relative-margin` must be at least 0.0; got -1.0"),
        ([*HERE, "--relative-margin", "nan"], "`--relative-margin` must be finite; got nan"),
        ([*HERE, "--relative-margin", "much"], "--relative-margin"),
        ([*HERE, "-n", "0"], "`--num-negatives` must be at least 1; got 0"),
        ([*HERE, "--range-min", "5", "--range-max", "5"], "`--range-max` must be greater than `--range-min`"),
        ([*HERE, "--metric", "dot"], "`--metric` must be one of"),
        ([*HERE, "--reference", "best"], "`--reference` must be one of"),
        ([*HERE, "--sampling", "best"], "`--sampling` must be top, random"),
        ([*HERE, "--sampling", "softmax:x"], "`--sampling` must have a number for temperature"),
        ([*HERE, "--sampling", "softmax:0"], "`--sampling softmax:0`: `temperature` must be greater than 0.0; got 0.0"),
        ([*HERE, "--memory-limit", "much"], "`--memory-limit` must be a size"),
        ([*HERE, "--memory-limit", "99999999999GiB"], "`--memory-limit` must be at most"),
        (["--job", "{tmp}/job", "--tile-queries", "0"], "`--tile-queries` must be at least 1; got 0"),
        ([*HERE, "--num-threads", "0"], "`--num-threads` must be at least 1; got 0"),
        ([*HERE, "--min-grade", "-3000000000"], "`--min-grade` must be at least"),
        ([*HERE, "--split", "train"], "`--split` must not be given where the file has no columns; got 'train'"),
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
    assert PYTHON_NAME.search(said.err) is None
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
        (["demo", "--num-threads", "0"], "`--num-threads` must be at least 1; got 0"),
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
        assert "`--corpus` must be finite; row 7 holds NaN or infinity at column 3" in done.stderr
    short = ["--queries", data / "queries.npy", "--positives", data / "known.tsv", "--corpus", data / "corpus.npy"]
    assert "got 'q0'" in negmine("mine", *short, "--out", tmp_path / "a.parquet", code=1).stderr
    for option in ("--positives", "--exclude"):
        done = negmine(*plain(data), option, data / "known.tsv", "--out", tmp_path / "a.parquet", code=1)
        assert f"{data / 'known.tsv'}: the labels of the queries are integers" in done.stderr
        assert "`--query-texts` and `--document-texts`, or `--id-name`, give others." in done.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    assert "is no job" not in negmine(*plain(data), "--job", tmp_path / "other", code=1).stdout
    assert "manifest" in negmine("merge", tmp_path / "other", "--out", tmp_path / "all", code=1).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "other"]


def test_a_changed_job_is_refused_and_told_what_changed(data: Path, tmp_path: Path) -> None:
    negmine(*labeled(data), "--job", tmp_path / "job")
    done = negmine(*labeled(data), "--relative-margin", 0.1, "--job", tmp_path / "job", code=1)
    assert "`--relative-margin` was None and is 0.1" in done.stderr


def test_without_the_extra_one_line_says_which(tmp_path: Path) -> None:
    for module in ("typer", "rich"):
        (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('no {module}', name='{module}')")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = negmine("info", code=1, PYTHONPATH=path)
        assert f"needs {module}" in done.stderr
        assert "pip install 'negmine[cli]'" in done.stderr
        (tmp_path / f"{module}.py").unlink()


# ---- one vocabulary


def help_of(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main([command, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["mine", "cluster", "dedup", "demo"])
def test_commands_that_compute_and_write_share_options(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of(command, capsys, monkeypatch)
    for option in ("--num-threads", "--force", "--out", "--json"):
        assert option in text
    assert cli.main([command, "--threads", "2"]) == 2
    assert "No such option" in capsys.readouterr().err


def writers(data: Path) -> dict[str, list[str]]:
    """Every command that writes a file."""
    return {
        "mine": [*map(str, plain(data))],
        "cluster": ["cluster", str(data / "corpus.npy"), "--n-clusters", "4"],
        "dedup": ["dedup", "--texts", str(data / "corpus.jsonl")],
        "demo": ["demo"],
    }


@pytest.mark.parametrize("command", ["mine", "cluster", "dedup", "demo"])
def test_a_file_that_exists_is_overwritten_only_by_force(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    out = tmp_path / "a.parquet"
    out.write_text("precious")
    arguments = [*writers(data)[command], "--out", str(out)]
    assert cli.main(arguments) == 2
    assert "`--out` must not exist, or `--force` must be given" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert cli.main([*arguments, "--force"]) == 0
    assert pq.read_metadata(out).num_rows > 0
    folder = tmp_path / "folder.parquet"
    folder.mkdir()
    assert cli.main([*arguments[:-1], str(folder), "--force"]) == 2
    assert "`--out` must be a file; got the folder" in capsys.readouterr().err


def test_training_rows_of_a_job_are_overwritten_only_by_force(data: Path, tmp_path: Path) -> None:
    command = [*labeled(data), "--job", tmp_path / "job", "--format", "triplet", "--out", tmp_path / "a.jsonl"]
    negmine(*command)
    assert "`--force` must be given" in negmine(*command, code=2).stderr
    assert spoken(*command, "--force")["was_finished"]


def test_a_split_that_is_not_there_is_an_argument(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
        (beir / name).write_text((data / "beir" / name).read_text())
    (beir / "qrels" / "test.tsv").write_text((data / "known.tsv").read_text())
    vectors = ["--queries", str(data / "queries.npy"), "--corpus", str(data / "corpus.npy")]
    out = ["--out", str(tmp_path / "a.parquet")]
    table = {"query_id": ["q0"], "doc_id": ["c0"], "split": ["train"]}
    pq.write_table(pa.table(table), tmp_path / "qrels.parquet")
    negmine(*labeled(data), *out)
    files = [*map(str, labeled(data)[:-1]), str(tmp_path / "qrels.parquet")]
    beir_command = ["mine", "--beir", str(beir), *vectors, "--out", str(tmp_path / "b.parquet")]
    for arguments, part in (
        (beir_command, f"`--split` must say which to read; {beir} has 'test', 'train'"),
        ([*beir_command, "--split", "dev"], "`--split` must be one that"),
        ([*beir_command, "--split", "test", "--embeddings", "x"], "`--embeddings` must be one that"),
        ([*files, "--split", "dev", "--out", str(tmp_path / "b.parquet")], "`--split` must name rows of"),
        (
            ["evaluate", str(tmp_path / "a.parquet"), "--qrels", str(tmp_path / "qrels.parquet"), "--split", "dev"],
            "`--split` must name rows of",
        ),
    ):
        assert cli.main(arguments) == 2, arguments
        assert part in capsys.readouterr().err


# ---- files that hold something else


def bytes_of(write: Callable[..., object], *arguments: Any, **options: Any) -> bytes:
    """Give the bytes that a writer of files makes."""
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def table(columns: dict[str, Any] | list[Any], names: list[str] | None = None, stamp: bytes | None = None) -> bytes:
    """Give the bytes of a Parquet file."""
    made = pa.table(columns, names=names)
    file = io.BytesIO()
    pq.write_table(made.replace_schema_metadata({b"negmine": stamp} if stamp else None), file)
    return file.getvalue()


#: What a file may hold instead of what is asked for.
CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "bytes": bytes(range(256)) * 10,
    "text": b"a b c\n1 2\n",
    "numbers": b"1\t2\t3\n4\t5\t6\n",
    "json": b'{"a": [1, {"b": null}]}\n[]\n',
    "archive": bytes_of(np.savez, a=np.zeros(3)),
    "array": bytes_of(np.save, np.array(["x", "y"])),
    "table": table({"a": [1, None], "b": [["x"], []]}),
    "twins": table([pa.array([[1.0]])] * 2 + [pa.array(["q"])] * 3, names=["v", "v", "id", "text", "text"]),
    "nulls": table({name: pa.nulls(2) for name in ("query_id", "doc_id", "score", "text")}),
    "stamped": table({"query_index": ["a"]}, stamp=b'{"kind": "mined negatives"}'),
}

#: Options that take files, and the suffixes to try.
FILES = {
    "--queries": (".npy", ".safetensors", ".parquet", ".arrow"),
    "--corpus": (".npy", ".parquet"),
    "--positives": (".tsv", ".txt", ".qrels.gz", ".parquet"),
    "--query-texts": (".jsonl", ".jsonl.gz", ".tsv", ".parquet"),
    "--document-texts": (".jsonl", ".feather"),
    "--exclude": (".tsv", ".run", ".trec.gz", ".ipc"),
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command that must end with one line about an option or a file."""
    code = cli.main(arguments)
    said = capsys.readouterr()
    assert code in (1, 2), arguments
    assert said.out == ""
    errors = [line for line in said.err.splitlines() if not line.startswith("negmine: warning: ")]
    assert len(errors) == 1, said.err
    assert errors[0].startswith("negmine: error: ")
    assert "unexpected" not in errors[0]
    assert PYTHON_NAME.search(errors[0]) is None, errors[0]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("option", FILES)
def test_files_of_something_else_end_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, content: str
) -> None:
    for suffix in FILES[option]:
        path = tmp_path / f"file{suffix}"
        path.write_bytes(CONTENTS[content])
        arguments = [*map(str, with_texts(data)), "--out", str(tmp_path / "a.parquet")]
        if content == "nothing" and option in ("--positives", "--exclude") and suffix not in (".parquet", ".ipc"):
            continue  # no judgments and no exclusions, which are warnings
        refused([*arguments, option, str(path)], capsys)
        assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize("content", CONTENTS)
def test_other_commands_refuse_files_of_something_else(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    for suffix in (".npy", ".parquet", ".arrow", ".jsonl", ".tsv", ".npz"):
        path = tmp_path / f"file{suffix}"
        path.write_bytes(CONTENTS[content])
        out = ["--out", str(tmp_path / "a.npy")]
        commands = [
            ["cluster", str(path), "--n-clusters", "2", *out],
            ["dedup", "--embeddings", str(path), *out],
            ["evaluate", str(path), "--qrels", str(data / "all.tsv")],
            ["evaluate", str(tmp_path), "--qrels", str(data / "all.tsv")],
            ["verify", str(path), "--queries", str(data / "queries.npy"), "--corpus", str(data / "corpus.npy")],
            ["verify", str(path), "--queries", str(path), "--corpus", str(path)],
            ["merge", str(tmp_path), "--out", str(tmp_path / "all")],
        ]
        if not (content in ("nothing", "numbers") and suffix in (".tsv", ".jsonl")):
            commands.append(["dedup", "--texts", str(path), *out])
        for arguments in commands:
            refused(arguments, capsys)


def test_a_folder_of_something_else_ends_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    vectors = ["--queries", str(data / "queries.npy"), "--corpus", str(data / "corpus.npy")]
    command = ["mine", "--beir", str(beir), *vectors, "--out", str(tmp_path / "a.parquet")]
    good = {name: (data / "beir" / name).read_bytes() for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv")}
    for wrong in good:
        for name, content in good.items():
            (beir / name).write_bytes(content)
        for content in ("bytes", "json", "archive"):
            (beir / wrong).write_bytes(CONTENTS[content])
            refused(command, capsys)
        (beir / wrong).unlink()
        refused(command, capsys)


def test_an_error_that_was_not_foreseen_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise LookupError("no such thing")

    monkeypatch.setattr("negmine.demo.run.run", broken)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "negmine: error: unexpected LookupError: no such thing; please report it, with what NEGMINE_TRACEBACK=1 shows\n"
    )
    monkeypatch.setenv("NEGMINE_TRACEBACK", "1")
    with pytest.raises(LookupError):
        cli.main(["demo"])
