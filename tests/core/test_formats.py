"""The table of formats, and files whose headers say other things than their content."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, Clusters, Eligibility, ExactIndex, HardNegativeMiner, HardNegatives, MinHash
from negmine._core import archive, formats, headers
from negmine._core.formats import Format
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineError, NegmineValueError
from negmine.store import NegativesTable

PACKAGE = Path(negmine.__file__).parent
ROWS = np.random.default_rng(3).standard_normal((40, 5)).astype(np.float32)
HASHER = negmine.SimHash(6, 3, dim=5, seed=2)
MINHASH = MinHash(8)


def make_pool(**rules: Any) -> CandidatePool:
    index = ExactIndex(ROWS, ids=[f"d{row}" for row in range(len(ROWS))])
    return HardNegativeMiner(3, range_max=9).candidates(index, ROWS[:6], [[row] for row in range(6)], **rules)


POOL = make_pool(
    exclude=[[row + 1] for row in range(6)],
    groups=np.arange(40),
    eligible=Eligibility.equal(np.zeros(40, dtype=np.int64), np.zeros(6, dtype=np.int64)),
)
MINED = POOL.select(2)


def read_negatives(path: Path) -> None:
    found = HardNegatives.load(path)
    repr(found), str(found.report), found.label_issues()
    found.save(path.with_name("again.npz"))


def read_pool(path: Path) -> None:
    found = CandidatePool.load(path)
    found.select(2, sampling="random")
    found.save(path.with_name("again.npz"))


def read_clusters(path: Path) -> None:
    found = Clusters.load(path)
    repr(found), found.rows(0)
    found.save(path.with_name("again.npz"))


def read_signatures(path: Path) -> None:
    minhash, signatures = MinHash.load(path)
    minhash.jaccard(signatures[0], signatures[1])
    minhash.save(path.with_name("again.npz"), signatures)


#: What writes and reads each kind of archive.
ARCHIVES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "CANDIDATE_POOL": (POOL.save, read_pool),
    "HARD_NEGATIVES": (MINED.save, read_negatives),
    "CLUSTERS": (lambda path: negmine.kmeans(ROWS, n_clusters=3).save(path), read_clusters),
    "SIGNATURES": (lambda path: MINHASH.save(path, MINHASH.signatures([["a"], ["b"]])), read_signatures),
}


# ---- the table


def test_formats_are_told_apart() -> None:
    table = formats.TABLE
    assert {name for name, value in vars(formats).items() if isinstance(value, Format)} == table.keys()
    assert len({form.kind for form in table.values()}) == len(table)
    magics = [form.magic for form in table.values() if form.magic]
    assert len(set(magics)) == len(magics)
    assert all(len(magic) == 8 for magic in magics)
    assert all(form.version >= 1 for form in table.values())


def test_no_other_file_has_formats_of_its_own() -> None:
    own = {"FORMAT", "VERSION", "MAGIC", "KIND", "CANONICAL_VERSION"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else ()
            names = {target.id.lstrip("_") for target in targets if isinstance(target, ast.Name)}
            assert path.name == "formats.py" or not names & own, path
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and path.name != "formats.py":
                assert node.value not in {form.magic for form in formats.TABLE.values() if form.magic}, path
                assert node.value not in {form.tag for form in formats.TABLE.values()}, path


@pytest.mark.parametrize("name", [*ARCHIVES, "NEGATIVES_TABLE", "BEHAVIOR_TABLE"])
@pytest.mark.parametrize("step", [-1, 1])
def test_another_version_is_refused_by_its_version(
    name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = formats.TABLE[name]
    with monkeypatch.context() as patch:
        other = dataclasses.replace(form, version=form.version + step)
        for module in ("negmine._core.formats", "negmine.store.table_file", "negmine.behavior.storage"):
            patch.setattr(f"{module}.{name}", other, raising=False)
        if name == "NEGATIVES_TABLE":
            NegativesTable.create(tmp_path / "table", MINED)
        elif name == "BEHAVIOR_TABLE":
            data = BehaviorTable.build(HASHER, ROWS, offsets=[0, 40]).to_bytes()
        else:
            ARCHIVES[name][0](tmp_path / "a.npz")
    read: Callable[[], Any] = {
        "NEGATIVES_TABLE": lambda: NegativesTable(tmp_path / "table"),
        "BEHAVIOR_TABLE": lambda: BehaviorTable.from_bytes(data, HASHER),
    }.get(name, lambda: ARCHIVES[name][1](tmp_path / "a.npz"))
    with pytest.raises(NegmineValueError, match=rf"version {form.version}; got .*version {form.version + step}"):
        read()


def test_an_archive_of_the_first_version_is_refused_by_its_version(tmp_path: Path) -> None:
    # As `numpy.savez` wrote it, without a list of its arrays and without checksums.
    header = {"kind": "clusters", "version": 1, "inertia": 0.5, "metric": "cosine", "iterations": 3}
    arrays = {"labels": np.zeros(3, np.int64), "centroids": ROWS[:1]}
    np.savez(tmp_path / "a.npz", header=np.array(json.dumps(header)), **arrays)
    with pytest.raises(NegmineValueError, match="must be a clusters file of version 2; got 'clusters' of version 1"):
        Clusters.load(tmp_path / "a.npz")


# ---- archives whose header and members disagree


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def put(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, value in content.items():
            file.writestr(name, value)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("missing", ["groups", "document_ids_items", "self_rows", "exclude_items", "scores"])
def test_a_pool_without_an_array_that_its_header_lists_is_refused(missing: str, tmp_path: Path) -> None:
    pool = dataclasses.replace(POOL, rules=dataclasses.replace(POOL.rules, self_rows=np.arange(6)))
    pool.save(tmp_path / "a.npz")
    content = members(tmp_path / "a.npz")
    del content[f"{missing}.npy"]
    put(tmp_path / "a.npz", content)
    with pytest.raises(NegmineValueError, match=f"must be a whole candidate pool file; .* has no '{missing}'"):
        CandidatePool.load(tmp_path / "a.npz")


def test_an_array_that_the_header_does_not_list_is_refused(tmp_path: Path) -> None:
    make_pool().save(tmp_path / "a.npz")
    put(tmp_path / "a.npz", {**members(tmp_path / "a.npz"), "groups.npy": npy(np.arange(40))})
    with pytest.raises(NegmineValueError, match=r"must be a whole candidate pool file; .* holds 'groups'"):
        CandidatePool.load(tmp_path / "a.npz")


def test_an_array_of_another_file_is_refused(tmp_path: Path) -> None:
    POOL.save(tmp_path / "a.npz")
    content = members(tmp_path / "a.npz")
    put(tmp_path / "a.npz", {**content, "groups.npy": npy(np.arange(40)[::-1].copy())})
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*a\.npz"):
        CandidatePool.load(tmp_path / "a.npz")


def large_shape(path: Path) -> None:
    """An array that says it is larger than its member, in its own header and in that of the archive."""
    small = npy(np.zeros(100))
    text = small.replace(b"(100,)", b"(10**9,)".replace(b"10**9", b"999999999"))
    lie(path, {"scores.npy": text}, {"scores": {"shape": [999_999_999]}})


def compressed(path: Path) -> None:
    """An array of a gibibyte that takes a mebibyte."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 27,)})
    lie(path, {"scores.npy": file.getvalue() + bytes(1 << 30)}, {"scores": {"shape": [1 << 27]}}, zipfile.ZIP_DEFLATED)


def large_header(path: Path) -> None:
    """A header that is large when it is decompressed."""
    content = members(path)
    content["header.npy"] = npy(np.array("{" + " " * (1 << 26) + "}"))
    put(path, content, zipfile.ZIP_DEFLATED)


def stored_header(path: Path) -> None:
    """A header that is larger than any."""
    content = members(path)
    content["header.npy"] = npy(np.array("{" + " " * (1 << 23) + "}"))
    put(path, content)


def overlapping(path: Path) -> None:
    """Many members that are one and the same range of bytes."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        infos = file.infolist()
        begin, largest = file.start_dir, max(infos, key=lambda info: info.file_size)
    entries = bytearray(content[begin:])
    for info in infos:
        place = entries.index(info.filename.encode()) - 46
        entries[place + 20 : place + 28] = largest.file_size.to_bytes(4, "little") * 2
        entries[place + 42 : place + 46] = largest.header_offset.to_bytes(4, "little")
    path.write_bytes(content[:begin] + entries)


def lie(
    path: Path,
    changed: dict[str, bytes],
    listed: dict[str, dict[str, Any]],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """Change members and what the header lists of them, under a right checksum."""
    content = {**members(path), **changed}
    header = json.loads(str(np.load(io.BytesIO(content["header.npy"]))))
    for name, description in listed.items():
        header["arrays"][name] |= description
    del header["checksum"]
    content["header.npy"] = npy(np.array(json.dumps(headers.seal(formats.CANDIDATE_POOL, header))))
    put(path, content, compression)


@pytest.mark.parametrize("make", [large_shape, compressed, large_header, stored_header, overlapping])
def test_small_files_do_not_take_much_memory(make: Callable[[Path], None], tmp_path: Path) -> None:
    POOL.save(tmp_path / "a.npz")
    make(tmp_path / "a.npz")
    tracemalloc.start()
    try:
        with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*a\.npz|a\.npz' is compressed"):
            CandidatePool.load(tmp_path / "a.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


# ---- headers that are edited by hand, under a right checksum

VALUES: list[Any] = [None, True, -1, 2**70, 0.5, float("nan"), "x", [1], {}, {"name": "x"}]


def edits(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each entry of a header at any depth with each other value, and without it."""
    for key, inner in value.items():
        for other in (*VALUES, "gone"):
            yield (*place, key), other
        if isinstance(inner, dict):
            yield from edits(inner, (*place, key))


def edited(header: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(header))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if value == "gone":
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("name", ARCHIVES)
def test_edited_headers_of_archives_end_in_errors_of_negmine(name: str, tmp_path: Path) -> None:
    save, read = ARCHIVES[name]
    save(tmp_path / "a.npz")
    header, arrays = archive.read(tmp_path / "a.npz", formats.TABLE[name])
    n_refused = n = 0
    for place, value in edits(header):
        archive.write(tmp_path / "b.npz", formats.TABLE[name], edited(header, place, value), arrays)
        n += 1
        try:
            read(tmp_path / "b.npz")
        except NegmineError:
            n_refused += 1
        except Exception as error:
            pytest.fail(f"{place} = {value!r}: {error!r}")
    assert n_refused > n // 2


def test_edited_headers_of_tables_end_in_errors_of_negmine(tmp_path: Path) -> None:
    NegativesTable.create(tmp_path / "table", MINED)
    path = tmp_path / "table" / "negatives.table"
    content = path.read_bytes()
    header, begin = headers.unpack(formats.NEGATIVES_TABLE, content, "folder", path)
    for place, value in edits(header):
        path.write_bytes(headers.pack(formats.NEGATIVES_TABLE, edited(header, place, value)) + content[begin:])
        try:
            assert len(NegativesTable(path.parent).current()) == len(MINED)
        except NegmineError:
            continue
        assert place[0] in ("generation", "epoch", "n_documents", "digest", "keep_generations"), (
            f"{place} = {value!r} was taken"
        )


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b'"x"', b"[" * 60_000, b"\xff", b"null"])
def test_headers_of_tables_that_are_no_objects_are_refused(text: bytes, tmp_path: Path) -> None:
    NegativesTable.create(tmp_path / "table", MINED)
    path = tmp_path / "table" / "negatives.table"
    form = formats.NEGATIVES_TABLE
    head = form.magic + form.version.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    path.write_bytes(head + hashlib.sha256(head).digest())
    with pytest.raises(NegmineValueError, match="`folder` must") as caught:
        NegativesTable(path.parent)
    assert path.name in str(caught.value)
