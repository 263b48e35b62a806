"""Commands on files of mined negatives and training rows: check and convert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("typer")
pytest.importorskip("rich")

from commands import negmine, spoken, with_texts  # noqa: E402 (after the skips)


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
