"""Embeddings come back from files as they were written, mapped where they can be; what is wrong is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import errors, io, mine

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
feather = pytest.importorskip("pyarrow.feather")
safetensors = pytest.importorskip("safetensors.numpy")
ml_dtypes = pytest.importorskip("ml_dtypes")

DTYPES = [np.float32, np.float16, np.float64, np.int8, np.uint8]


def some_vectors(n: int = 7, width: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, (n, width)).astype(dtype)


def fixed_size(array: np.ndarray) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])


# ---- embeddings


@pytest.mark.parametrize("dtype", [*DTYPES, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (0, 5)])
def test_safetensors_are_mapped(tmp_path: Path, dtype: Any, shape: tuple[int, int]) -> None:
    wanted = some_vectors(*shape, dtype=dtype)
    path = tmp_path / "a.safetensors"
    safetensors.save_file({"emb": wanted, "other": np.zeros(3, np.float32)}, path)
    found = io.read_embeddings(path, name="emb").rows
    assert found.dtype == wanted.dtype
    assert found.tobytes() == wanted.tobytes()
    assert found.shape == shape
    assert isinstance(found, np.memmap) or 0 in shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 5), (0, 5)])
def test_npy_is_mapped(tmp_path: Path, dtype: Any, shape: tuple[int, int]) -> None:
    wanted = some_vectors(*shape, dtype=dtype)
    np.save(tmp_path / "a.npy", wanted)
    found = io.read_embeddings(tmp_path / "a.npy").rows
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream.arrow", "feather", "compressed.feather"])
@pytest.mark.parametrize("batch", [3, 100])
@pytest.mark.parametrize("fixed", [True, False])
def test_tables_of_embeddings(tmp_path: Path, dtype: Any, kind: str, batch: int, *, fixed: bool) -> None:
    wanted = some_vectors(dtype=dtype)
    column = fixed_size(wanted) if fixed else fixed_size(wanted).cast(pa.list_(pa.from_numpy_dtype(dtype)))
    table = pa.table({"id": [f"d{row}" for row in range(7)], "emb": column, "n": range(7)})
    path = tmp_path / f"a.{kind}"
    write_table(table, path, batch)
    found = io.read_embeddings(path, id_name="id")
    np.testing.assert_array_equal(found.rows, wanted)
    assert found.rows.dtype == dtype
    assert found.ids is not None
    assert found.ids.tolist() == table["id"].to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_table_without_rows_has_no_embeddings(tmp_path: Path, kind: str, dtype: Any) -> None:
    schema = pa.schema([("emb", pa.list_(pa.from_numpy_dtype(dtype), 5))])
    write_table(schema.empty_table(), tmp_path / f"a.{kind}", 1)
    rows = io.read_embeddings(tmp_path / f"a.{kind}").rows
    assert rows.shape == (0, 5)
    assert rows.dtype == dtype


def write_table(table: Any, path: Path, batch: int) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=batch)
    elif path.suffix == ".feather":
        feather.write_feather(table, path, compression="zstd" if "compressed" in path.name else "uncompressed")
    else:
        new = pa.ipc.new_stream if "stream" in path.name else pa.ipc.new_file
        with new(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=batch)


def test_an_arrow_file_in_one_piece_is_mapped(tmp_path: Path) -> None:
    write_table(pa.table({"emb": fixed_size(some_vectors(1000, 64))}), tmp_path / "a.arrow", 1000)
    before = pa.total_allocated_bytes()
    rows = io.read_embeddings(tmp_path / "a.arrow").rows
    assert pa.total_allocated_bytes() - before < rows.nbytes / 10
    assert not rows.flags.owndata


def test_mining_takes_what_is_read(tmp_path: Path) -> None:
    corpus = some_vectors(30, 8)
    np.save(tmp_path / "a.npy", corpus)
    safetensors.save_file({"x": corpus.astype(ml_dtypes.bfloat16)}, tmp_path / "a.safetensors")
    pq.write_table(pa.table({"x": fixed_size(corpus)}), tmp_path / "a.parquet")
    wanted = mine(corpus[:4], corpus, [[0], [1], [2], [3]]).indices
    for name in ("a.npy", "a.safetensors", "a.parquet"):
        rows = io.read_embeddings(tmp_path / name).rows
        np.testing.assert_array_equal(mine(rows[:4], rows, [[0], [1], [2], [3]]).indices, wanted)


def save(name: str) -> Callable[[Path], Path]:
    """How to make the bad file of one case."""

    def write(folder: Path) -> Path:
        path = folder / name.split("|")[0]
        match name.split("|")[1]:
            case "nothing":
                pass
            case "folder":
                path.mkdir()
            case "garbage":
                path.write_bytes(b"garbage" * 20)
            case "empty":
                path.touch()
            case "cube":
                np.save(path, np.zeros((2, 2, 2), np.float32))
            case "complex":
                np.save(path, np.zeros((2, 2), np.complex64))
            case "objects":
                np.save(path, np.array([[None]]), allow_pickle=True)
            case "archive":
                with path.open("wb") as file:
                    np.savez(file, a=np.zeros((2, 2)))
            case "int64 tensor":
                safetensors.save_file({"a": np.zeros((2, 2), np.int64)}, path)
            case "two tensors":
                safetensors.save_file({"a": np.zeros((2, 2), np.int8), "b": np.zeros((2, 2), np.int8)}, path)
            case "flat tensor":
                safetensors.save_file({"a": np.zeros(4, np.float32)}, path)
            case "ragged":
                pq.write_table(pa.table({"emb": [[1.0, 2.0], [1.0, 2.0], [3.0]]}), path)
            case "null row":
                pq.write_table(pa.table({"emb": [[1.0, 2.0], None]}), path)
            case "null value":
                pq.write_table(pa.table({"emb": [[1.0, 2.0], [1.0, None]]}), path)
            case "no column":
                pq.write_table(pa.table({"n": [1, 2]}), path)
            case "two columns":
                pq.write_table(pa.table({"a": [[1.0]], "b": [[1.0]]}), path)
            case "ids":
                table = {
                    "emb": [[1.0], [2.0]],
                    "same": ["a", "a"],
                    "null": ["a", None],
                    "pad": [1, -1],
                    "real": [1.0, 2],
                }
                pq.write_table(pa.table(table), path)
            case what:
                raise AssertionError(what)
        return path

    return write


@pytest.mark.parametrize(
    ("file", "options", "error", "parts"),
    [
        ("a.npy|nothing", {}, errors.NegmineValueError, ["`path` must be a file", "nothing"]),
        ("a.npy|folder", {}, errors.NegmineValueError, ["`path` must be a file", "a folder"]),
        ("a.bin|empty", {}, errors.NegmineValueError, ["`path` must end in one of", "a.bin"]),
        ("a.npy|garbage", {}, errors.NegmineValueError, ["readable npy file", "a.npy"]),
        ("a.npy|empty", {}, errors.NegmineValueError, ["readable npy file", "a.npy"]),
        ("a.npy|archive", {}, errors.NegmineValueError, ["npz archive"]),
        ("a.npy|cube", {}, errors.NegmineValueError, ["(n, width)", "(2, 2, 2)"]),
        ("a.npy|complex", {}, errors.NegmineTypeError, ["one of float32", "complex64"]),
        ("a.npy|objects", {}, errors.NegmineValueError, ["readable npy file"]),
        ("a.npy|cube", {"name": "x"}, errors.NegmineValueError, ["`name` must be None", "'x'"]),
        ("a.npy|cube", {"id_name": "x"}, errors.NegmineValueError, ["`id_name` must be None", "'x'"]),
        ("a.safetensors|garbage", {}, errors.NegmineValueError, ["readable safetensors file"]),
        ("a.safetensors|empty", {}, errors.NegmineValueError, ["readable safetensors file"]),
        ("a.safetensors|int64 tensor", {}, errors.NegmineTypeError, ["one of float32", "I64"]),
        ("a.safetensors|two tensors", {}, errors.NegmineValueError, ["`name` must say which", "'a', 'b'"]),
        ("a.safetensors|two tensors", {"name": "c"}, errors.NegmineValueError, ["'c'", "'a', 'b'"]),
        ("a.safetensors|flat tensor", {}, errors.NegmineValueError, ["(n, width)", "(4,)"]),
        ("a.parquet|garbage", {}, errors.NegmineValueError, ["readable Parquet file"]),
        ("a.parquet|empty", {}, errors.NegmineValueError, ["readable Parquet file"]),
        ("a.arrow|garbage", {}, errors.NegmineValueError, ["readable Arrow file"]),
        ("a.feather|empty", {}, errors.NegmineValueError, ["readable Arrow file"]),
        ("a.parquet|ragged", {}, errors.NegmineValueError, ["one length", "2 numbers at row 0 and 1 at row 2"]),
        ("a.parquet|null row", {}, errors.NegmineValueError, ["every row", "row 1"]),
        ("a.parquet|null value", {}, errors.NegmineValueError, ["every value", "1 nulls"]),
        ("a.parquet|no column", {}, errors.NegmineValueError, ["`name` must say which", "none"]),
        ("a.parquet|no column", {"name": "n"}, errors.NegmineTypeError, ["fixed-size lists", "'n'", "is int64"]),
        ("a.parquet|two columns", {}, errors.NegmineValueError, ["`name` must say which", "'a', 'b'"]),
        ("a.parquet|two columns", {"name": "c"}, errors.NegmineValueError, ["'c'", "'a', 'b'"]),
        ("a.parquet|ids", {"id_name": "x"}, errors.NegmineValueError, ["a column 'x'", "'emb', 'same'"]),
        ("a.parquet|ids", {"id_name": "same"}, errors.NegmineValueError, ["unique", "'a'"]),
        ("a.parquet|ids", {"id_name": "null"}, errors.NegmineValueError, ["label every row", "row 1"]),
        ("a.parquet|ids", {"id_name": "pad"}, errors.NegmineValueError, ["-1"]),
        ("a.parquet|ids", {"id_name": "real"}, errors.NegmineTypeError, ["integers or strings", "double"]),
    ],
)
def test_bad_embeddings(tmp_path: Path, file: str, options: dict[str, str], error: type, parts: list[str]) -> None:
    with pytest.raises(error) as caught:
        io.read_embeddings(save(file)(tmp_path), **options)
    for part in parts:
        assert part in str(caught.value)


def test_a_path_of_another_type_is_refused() -> None:
    with pytest.raises(errors.NegmineTypeError, match="`path` must be a path; got int"):
        io.read_embeddings(3)


# ---- missing packages

MISSING = """
import sys
sys.modules[{module!r}] = None
from negmine import errors, io
try:
    {call}
except errors.MissingExtraError as error:
    assert isinstance(error, ImportError)
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("pyarrow", "io.read_embeddings({folder!r} + '/a.parquet')"),
        ("pyarrow", "io.read_texts({folder!r} + '/a.jsonl')"),
        ("pyarrow", "io.read_texts({folder!r} + '/a.tsv')"),
        ("safetensors", "io.read_embeddings({folder!r} + '/a.safetensors')"),
        ("ml_dtypes", "io.read_embeddings({folder!r} + '/a.safetensors')"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, module: str, call: str) -> None:
    pq.write_table(pa.table({"x": fixed_size(some_vectors())}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"_id": "1", "text": "a"}\n')
    (tmp_path / "a.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    safetensors.save_file({"x": some_vectors(dtype=ml_dtypes.bfloat16)}, tmp_path / "a.safetensors")
    code = MISSING.format(module=module, call=call.format(folder=str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert f"needs {module}" in done.stdout
    assert "pip install 'negmine[io]'" in done.stdout
