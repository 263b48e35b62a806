"""Malformed files of every format: refused by an error of negmine, or read as the format promises; never worse."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings

import written
from damage import malformed
from negmine.errors import NegmineError

pytest.importorskip("pyarrow")
pytest.importorskip("safetensors")
pytest.importorskip("hnswlib")


@pytest.mark.parametrize("name", written.KINDS)
def test_a_malformed_file_is_refused_or_read_as_its_format_promises(name: str, tmp_path: Path) -> None:
    kind = written.KINDS[name]
    file = kind.write(tmp_path)
    content, good = file.path.read_bytes(), file.read()
    tried: dict[bytes, str] = {}

    @given(changed=malformed(content))
    @settings(max_examples=max(settings().max_examples // (4 * kind.cost), 2))
    def check(changed: bytes) -> None:
        tried[changed] = ""
        file.path.write_bytes(changed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = file.read()
        except NegmineError as error:
            tried[changed] = str(error)
            return
        if kind.promise == "sealed":
            assert found == good
        elif kind.promise == "growing":
            assert found == good[: len(found)]

    check()
    file.path.write_bytes(content)
    assert file.read() == good
    refused = [message for message in tried.values() if message]
    assert kind.promise == "plain" or all(file.path.name in message for message in refused)
    print(f"{len(tried)} malformed files, {len(refused)} refused: {name}")


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)


def tensors(header: str, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + body


#: What random damage seldom makes, by the kind of file.
MADE: dict[str, list[bytes]] = {
    "run in JSON": [
        b"[" * 100_000,
        b'{"q":' * 100_000,
        b'{"q": {"d": ' + b"9" * 400 + b"}}",
        b'{"q": {"d": ' + b"9" * 5000 + b"}}",
        b'{"q": {"d": NaN}}',
    ],
    "texts in JSONL": [b'{"_id": "a", "text": ' + b"[" * 100_000, b'{"_id": ' + b"9" * 5000 + b', "text": "x"}'],
    "groups in JSONL": [b'{"_id": "d0", "group": ' + b"[" * 100_000, b'{"_id": "d0", "group": ' + b"9" * 5000 + b"}"],
    "training rows in JSONL": [b'{"anchor": ' + b"[" * 100_000, b'{"anchor": ' + b"9" * 5000 + b"}"],
    "judged lines": [b"[" * 100_000, b'{"query_id": ' + b"9" * 5000 + b"}"],
    "npy": [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3000000000, 3000000000)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 4)}"),
        npy("{'descr': (), 'fortran_order': False, 'shape': (1, 4)}"),
        npy("{1: 2, 'a': 'b'}"),
        npy("{[]: 1}"),
        npy("(" * 3000),
        npy("-" * 5000 + "1"),
    ],
    "safetensors": [
        tensors('{"emb": {"dtype": "F32", "shape": [9223372036854775807, 0], "data_offsets": [0, 0]}}'),
        tensors('{"emb": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}}'),
        tensors("[" * 5000),
    ],
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, made in MADE.items() for content in made])
def test_a_file_made_to_mislead_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    file = written.KINDS[name].write(tmp_path)
    file.path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(NegmineError, match=file.path.name):
            file.read()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("texts in Parquet", b"text"),
        ("qrels in Parquet", b"score"),
        ("embeddings in Parquet", b"emb"),
        ("embeddings in Arrow", b"emb"),
        ("training rows in Parquet", b"anchor"),
    ],
)
def test_a_column_whose_name_is_not_utf8_is_refused(name: str, column: bytes, tmp_path: Path) -> None:
    file = written.KINDS[name].write(tmp_path)
    content = file.path.read_bytes()
    assert column in content
    file.path.write_bytes(content.replace(column, b"\xff" + column[1:]))
    with pytest.raises(NegmineError, match=file.path.name):
        file.read()
