"""Groups come from every kind of file, by label or by row, and bad files are refused by place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import errors, io

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IDS = [f"d{row}" for row in range(8)]


def write(path: Path, labels: list[Any], groups: list[Any]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": labels, "group": groups, "keep": [True] * len(labels)}), path)
    elif path.name.endswith(".tsv"):
        lines = ["id\tgroup", *(f"{a}\t{'' if b is None else b}" for a, b in zip(labels, groups, strict=True))]
        path.write_text("\n".join(lines) + "\n")
    else:
        lines = [json.dumps({"id": a, "group": b}) for a, b in zip(labels, groups, strict=True)]
        text = "".join(f"{line}\n" for line in lines)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
    return path


@given(
    st.permutations(range(8)),
    st.lists(st.sampled_from([-1, 0, 1, 2, None]), min_size=1, max_size=8),
    st.sampled_from([".parquet", ".tsv", ".jsonl", ".jsonl.gz"]),
    st.sampled_from(["int", "str", "string groups"]),
)
def test_documents_share_a_group_where_the_file_says_so(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], groups: list[int | None], suffix: str, kind: str
) -> None:
    rows = order[: len(groups)]
    ids: list[Any] = [7 * row + 1 for row in range(8)] if kind == "int" and suffix != ".tsv" else IDS
    values: list[Any] = list(groups)
    if kind == "string groups":
        values = [None if group is None or group < 0 else f"group {group}" for group in groups]
    path = write(tmp_path_factory.mktemp("groups") / f"a{suffix}", [ids[row] for row in rows], values)
    found = io.read_groups(path, document_ids=ids)
    wanted = {row: group for row, group in zip(rows, groups, strict=True) if group is not None and group >= 0}
    for one in range(8):
        assert (found[one] >= 0) == (one in wanted)
        for other in wanted:
            if one in wanted:
                assert (found[one] == found[other]) == (wanted[one] == wanted[other])
    if kind != "string groups":
        assert all(found[row] == group for row, group in wanted.items())


def test_rows_of_an_array_are_those_of_the_documents(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([3, -1, 3, 0], dtype=np.int32))
    assert io.read_groups(tmp_path / "a.npy", document_ids=[5, 6, 7, 8]).tolist() == [3, -1, 3, 0]
    with pytest.raises(errors.NegmineValueError, match=r"`path` must have shape \(3,\)"):
        io.read_groups(tmp_path / "a.npy", document_ids=[5, 6, 7])


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "`path` must end in one of .npy, .jsonl"),
        ("a.npy", b"text", "`path` must be a readable npy file"),
        ("a.tsv", b"id\tgroup\nd9\t1\n", "`path` must hold labels of documents; "),
        ("a.tsv", b"name\tgroup\nd0\t1\n", "`path` must label every row"),
        ("a.tsv", b"id\tgroup\nd0\t1\nd0\t2\n", "`path` must"),
        ("a.jsonl", b'{"id": "d0", "group": 1}\n{"id": "d1"}\n', "a label and 'group' in every line; line 2"),
        ("a.jsonl", b'{"id": "d0", "group": 1.5}\n', "must hold integers or strings as labels and groups; line 1"),
        ("a.jsonl", b'{"id": "d0", "group": 1}\n{"id": "d1", "group": "a"}\n', "all integers or all strings"),
        ("a.jsonl", b'{"id": "d0", "group": 1}\n{\n', "must hold one JSON object per line; line 2"),
        ("a.jsonl", b'{"id": 3, "group": 1}\n', "`path` must"),
        ("a.parquet", b"text", "`path` must"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.NegmineError) as caught:
        io.read_groups(tmp_path / name, document_ids=IDS)
    assert part in str(caught.value)


def test_a_table_without_groups_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": IDS}), tmp_path / "a.parquet")
    with pytest.raises(errors.NegmineValueError, match="`path` must have a column 'group'"):
        io.read_groups(tmp_path / "a.parquet", document_ids=IDS)
    with pytest.raises(errors.NegmineValueError, match="`document_ids` must"):
        io.read_groups(tmp_path / "a.parquet", document_ids=["a", "a"])
