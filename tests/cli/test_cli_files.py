"""Commands around the negatives: groups of documents, sweeps over margins, checks and conversions of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("typer")
pytest.importorskip("rich")

import negmine as library
from commands import N_QUERIES, labeled, negmine, plain, spoken, with_texts


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


def test_ids_are_written_even_where_texts_are_known(data: Path, tmp_path: Path) -> None:
    negmine(*with_texts(data), "--out", tmp_path / "a.jsonl", "--format", "ids")
    first = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert list(first)[:3] == ["query_id", "positive_id", "negative_id_1"]
    assert spoken("check", tmp_path / "a.jsonl")["format"] == "ids"


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


# ---- groups


def test_groups_of_a_file_take_documents_out(data: Path, tmp_path: Path) -> None:
    lines = [f"c{row}\t{row // 20}" for row in range(80)]
    (tmp_path / "groups.tsv").write_text("\n".join(["id\tgroup", *lines]) + "\n")
    np.save(tmp_path / "groups.npy", np.arange(80) // 20)
    one = spoken(*labeled(data), "--groups", tmp_path / "groups.tsv", "--out", tmp_path / "a.parquet")
    other = spoken(*labeled(data), "--groups", tmp_path / "groups.npy", "--out", tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert one["n_grouped"] == other["n_grouped"] == 80
    assert one["documents"]["group"] == 19 * N_QUERIES
    text = negmine(*labeled(data), "--groups", tmp_path / "groups.npy", "--out", tmp_path / "c.parquet").stdout
    assert "80 documents in groups; those of a positive are out" in text


def test_near_duplicates_are_groups(data: Path, tmp_path: Path) -> None:
    for suffix in (".npy", ".parquet"):
        groups = tmp_path / f"groups{suffix}"
        negmine("dedup", "--texts", data / "corpus.jsonl", "--threshold", 0.5, "--out", groups)
        said = spoken(*with_texts(data), "--groups", groups, "--out", tmp_path / f"a{suffix}.parquet")
        assert said["n_grouped"] >= 2
    assert (tmp_path / "a.npy.parquet").read_bytes() == (tmp_path / "a.parquet.parquet").read_bytes()


def test_bad_groups_name_the_option(data: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id\tgroup\nother\t1\n")
    options = [*labeled(data), "--groups", tmp_path / "a.tsv", "--out", tmp_path / "a.parquet"]
    assert "`--groups` must hold labels of documents" in negmine(*options, code=1).stderr
    negmine(*plain(data), "--groups", tmp_path / "none.tsv", "--out", tmp_path / "a.parquet", code=2)


# ---- sweep


def test_a_sweep_says_what_the_library_finds(data: Path, tmp_path: Path) -> None:
    options = [*plain(data)[1:], "-n", 3, "--depth", 40, "--reference", "max"]
    held_out = [[query, (query + 7) % 80] for query in range(N_QUERIES)]
    lines = [f"{query}\t{row}\t1" for query, rows in enumerate(held_out) for row in rows]
    (tmp_path / "hidden.tsv").write_text("\n".join(lines) + "\n")
    known = ["--hidden", tmp_path / "hidden.tsv", "--max-false-negatives", 0.2]
    said = spoken("sweep", "none,0,0.05,0.4", *options, *known, "--plot", tmp_path / "a.png")
    wanted = library.HardNegativeMiner(3, reference="max").sweep(
        library.ExactIndex(np.load(data / "corpus.npy")),
        np.load(data / "queries.npy"),
        [[query] for query in range(N_QUERIES)],
        [None, 0.0, 0.05, 0.4],
        depth=40,
        hidden=held_out,
    )
    assert said["margins"] == [None, 0.0, 0.05, 0.4]
    for name in ("rejected", "hardness", "short_rows", "censored_rows"):
        assert said[name] == getattr(wanted, name).tolist()
    assert wanted.false_negatives is not None
    assert said["false_negatives"]["share"] == wanted.false_negatives.share.tolist()
    advice = wanted.recommend(max_false_negatives=0.2)
    assert said["recommended"]["reason"] == advice.reason
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    text = negmine("sweep", "none,0,0.05,0.4", *options, *known).stdout
    assert text.startswith(str(wanted))
    assert advice.reason in text


def test_a_sweep_without_evidence_recommends_nothing(data: Path) -> None:
    assert spoken("sweep", "0,0.1", *plain(data)[1:])["recommended"] is None
    assert "recommended" not in negmine("sweep", "0,0.1", *plain(data)[1:]).stdout


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["0,much"], "`MARGINS` must be numbers such as 0,0.05,0.1, or none; got '0,much'"),
        (["0", "--kind", "both"], "`--kind` must be one of"),
        (["0", "--metric", "dot"], "`--metric` must be one of"),
        (["0", "--depth", "2"], "`--depth` must be at least 5"),
        (["0", "-n", "0"], "`--num-negatives` must be at least 1; got 0"),
        (["0", "--max-false-negatives", "-1"], "`--max-false-negatives` must be at least 0"),
        (["0", "--plot", "{tmp}/a.txt"], "`--plot` must end in .png or .svg or .pdf"),
        (["0", "--plot", "{tmp}/none/a.png"], "`--plot` must lie in a folder that exists"),
    ],
)
def test_bad_sweeps_name_the_option(data: Path, tmp_path: Path, options: list[str], part: str) -> None:
    margins, *rest = (one.format(tmp=tmp_path) for one in options)
    assert part in negmine("sweep", margins, *plain(data)[1:], *rest, code=2).stderr
