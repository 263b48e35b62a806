"""Commands on files of mined negatives and training rows: check and convert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("typer")
pytest.importorskip("rich")

from commands import negmine, spoken, with_texts


def test_a_sound_file_is_said_to_be_one(data: Path, tmp_path: Path) -> None:
    negmine(*with_texts(data), "--out", tmp_path / "a.jsonl", "--format", "triplet")
    said = spoken("check", tmp_path / "a.jsonl")
    assert said["format"] == "triplet"
    assert said["is_sound"] is True
    assert said["n_rows"] == said["n_negatives"] > 0
    text = negmine("check", tmp_path / "a.jsonl").stdout
    assert "triplet" in text
    assert "negatives that are a positive of the same query" in text


def test_a_file_at_fault_ends_with_1(tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["a"], "neg": ["b", "b"]}, {"query": "r", "pos": ["b"], "neg": ["b"]}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = negmine("check", tmp_path / "a.jsonl", "--json", code=None)
    assert done.returncode == 1
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said["shares"]["own_positives"] == 1 / 3
    assert said["first"] == {"repeated_negatives": 1, "own_positives": 2, "other_positives": 1}
    text = negmine("check", tmp_path / "a.jsonl", code=None).stdout
    assert "negatives that are a positive of the same query, first in line 2" in text


def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"query": "q", "pos": "a cat", "neg": ["b"]}\n')
    done = negmine("check", tmp_path / "a.jsonl", code=1)
    assert "`FILE` must hold a list of strings or of integers under 'pos'; line 1 of" in done.stderr
    assert negmine("check", tmp_path / "none.jsonl", code=2).stderr


def test_converted_files_are_those_of_mining_with_a_format(data: Path, tmp_path: Path) -> None:
    sources = [*with_texts(data), "--scores", "--format", "triplet"]
    negmine(*sources, "--out", tmp_path / "wanted.jsonl")
    negmine(*with_texts(data), "--out", tmp_path / "a.parquet")
    options = ["--format", "triplet", "--scores", *_texts(with_texts(data))]
    said = spoken("convert", tmp_path / "a.parquet", tmp_path / "b.jsonl", *options)
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "wanted.jsonl").read_bytes()
    assert said["n_written"] == len((tmp_path / "b.jsonl").read_text().splitlines())
    done = negmine("convert", tmp_path / "b.jsonl", tmp_path / "c.jsonl", "--format", "flagembedding")
    assert f"c.jsonl: {said['n_written']} flagembedding rows" in done.stdout


def _texts(sources: list[object]) -> list[object]:
    """The options of texts among those of `mine`."""
    places = [place for place, option in enumerate(sources) if str(option) in ("--query-texts", "--document-texts")]
    return [part for place in places for part in sources[place : place + 2]]


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (["{tmp}/b.jsonl", "--format", "pairs"], 2, "`--format` must be one of"),
        (["{tmp}/b.parquet", "--format", "tevatron"], 2, "must end in .jsonl"),
        (["{tmp}/a.jsonl", "--format", "triplet"], 2, "`--force` must be given to overwrite it"),
        (["{tmp}/b.jsonl", "--format", "ids"], 1, "`--format` must be one that 'triplet' has all values for"),
        (["{tmp}/b.jsonl", "--format", "n-tuple", "--scores"], 1, "`--scores` must be"),
        (["{tmp}/b.jsonl"], 2, "--format"),
    ],
)
def test_bad_conversions_name_the_option(tmp_path: Path, options: list[str], code: int, part: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"anchor": "q", "positive": "a", "negative": "b"}\n')
    done = negmine("convert", tmp_path / "a.jsonl", *(one.format(tmp=tmp_path) for one in options), code=code)
    assert part in done.stderr
