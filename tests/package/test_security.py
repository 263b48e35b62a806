"""The promises of SECURITY.md: what files of strangers, texts and shared folders cannot do."""

from __future__ import annotations

import ast
import hashlib
import io as streams
import json
import os
import pickle
import re
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, Clusters, ExactIndex, HardNegativeMiner, HardNegatives, MinHash, ShardedIndex, io
from negmine._core import archive, formats, headers, reprs
from negmine._core.journal import open_journal
from negmine.behavior import BehaviorTable, storage
from negmine.errors import JobError, NegmineError, NegmineValueError
from negmine.job import mine_to
from negmine.mining import Verdicts
from negmine.store import NegativesTable

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "negmine"
ROWS = np.random.default_rng(3).standard_normal((40, 5)).astype(np.float32)


def mined(ids: list[str] | None = None) -> HardNegatives:
    index = ExactIndex(ROWS, ids=ids)
    return HardNegativeMiner(3, range_max=9).mine(index, ROWS[:12], [[row] for row in range(12)])


# ---- the document


def test_every_promise_names_tests_that_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    promises = text.split("## What is promised")[1].split("\n## ")[0]
    bullets = re.split(r"\n- ", promises)[1:]
    assert len(bullets) > 8
    for bullet in bullets:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", bullet)
        assert named, f"a promise without a test: {bullet}"
        for path, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (path, name)


# ---- nothing is unpickled or run


#: Calls that read pickles, or run what they are given.
RUNNERS = {
    "compile",
    "eval",
    "exec",
    "load_from_disk",
    "os.popen",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "read_pickle",
    "torch.load",
    "yaml.load",
}
MODULES = {"_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "subprocess"}


def dotted(node: ast.expr) -> str:
    """Return the name of a function as far as it is one, such as "np.load"."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_no_module_unpickles_or_runs_what_it_reads() -> None:
    n_loads = 0
    words = {name.split(".")[-1] for name in RUNNERS} | MODULES | {"np.load", "read_array"}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if any(word in text for word in words) else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not MODULES & {name.split(".")[0] for name in names}, path
            if not isinstance(node, ast.Call):
                continue
            name = dotted(node.func)
            if name == "pickle.loads" and ast.unparse(node.args[0]).startswith("pickle.dumps("):
                continue  # a copy of an object of this process
            assert not {name, ".".join(name.split(".")[-2:])} & RUNNERS, f"{path}: {name}"
            if name in ("np.load", "np.lib.format.read_array"):
                n_loads += 1
                given = {one.arg: ast.unparse(one.value) for one in node.keywords}
                assert given.get("allow_pickle") == "False", f"{path}: {ast.unparse(node)}"
    assert n_loads >= 2


class Planted:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def npy_of(array: np.ndarray) -> bytes:
    content = streams.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def npz_of(path: Path, member: bytes) -> bytes:
    """Return a saved archive of which every array is replaced by a member, under a right checksum."""
    content = streams.BytesIO()
    with zipfile.ZipFile(path) as saved, zipfile.ZipFile(content, "w") as written:
        members = {info.filename: saved.read(info) for info in saved.infolist()}
        header = json.loads(str(np.load(streams.BytesIO(members["header.npy"]))))
        kind = next(form for form in formats.TABLE.values() if form.kind == header["kind"])
        del header["checksum"]
        for name in header["arrays"]:
            members[f"{name}.npy"] = member
            header["arrays"][name] = {"dtype": "|O", "shape": [1], "crc32": zlib.crc32(member)}
        members["header.npy"] = npy_of(np.array(json.dumps(headers.seal(kind, header))))
        for name, data in members.items():
            written.writestr(name, data)
    return content.getvalue()


def table_of(path: Path) -> NegativesTable:
    (path.parent / "folder").mkdir(exist_ok=True)
    (path.parent / "folder" / "negatives.table").write_bytes(path.read_bytes())
    return NegativesTable(path.parent / "folder")


def job_of(path: Path) -> Any:
    (path.parent / "job").mkdir(exist_ok=True)
    (path.parent / "job" / "manifest.json").write_bytes(path.read_bytes())
    return mine_to(path.parent / "job", queries=ROWS[:2], corpus=ROWS, positives=[[0], [1]], resume=True)


def scored(path: Path) -> None:
    pool = mined().pool
    assert pool is not None
    pool.rescore(lambda pairs: [0.0] * len(pairs), queries=["q"] * 12, documents=["d"] * 40, cache=path)


#: Every reader, by the name of a file that it accepts.
READERS: dict[str, Callable[[Path], Any]] = {
    "pool.npz": CandidatePool.load,
    "negatives.npz": HardNegatives.load,
    "clusters.npz": Clusters.load,
    "signatures.npz": MinHash.load,
    "hnsw.npz": lambda path: negmine.HnswIndex.load(path, ROWS),
    "rows.npy": io.read_embeddings,
    "rows.safetensors": io.read_embeddings,
    "rows.parquet": io.read_embeddings,
    "rows.arrow": io.read_embeddings,
    "groups.npy": lambda path: io.read_groups(path, document_ids=range(40)),
    "groups.jsonl": lambda path: io.read_groups(path, document_ids=range(40)),
    "texts.jsonl": io.read_texts,
    "texts.tsv": io.read_texts,
    "texts.parquet": io.read_texts,
    "qrels.tsv": io.read_qrels,
    "run.json": io.read_run,
    "run.trec": io.read_run,
    "mined.parquet": io.read_negatives,
    "training.jsonl": io.check_training_rows,
    "shard.npy": lambda path: ShardedIndex([path]),
    "shard.safetensors": lambda path: ShardedIndex([path]),
    "shard.parquet": lambda path: ShardedIndex([path]),
    "judged.jsonl": lambda path: Verdicts(path.with_name("new")).read(path),
    "journal": lambda path: Verdicts(path).share(),
    "scores": scored,
    "table": table_of,
    "manifest.json": job_of,
    "behavior": lambda path: BehaviorTable.from_bytes(path.read_bytes(), negmine.SimHash(6, 3, dim=5, seed=2)),
}

#: Packages that some readers need.
NEEDED = {"hnsw.npz": "hnswlib", "safetensors": "safetensors"}

#: Readers of JSON.
OF_JSON = ("groups.jsonl", "texts.jsonl", "run.json", "training.jsonl", "judged.jsonl", "manifest.json")


def need(name: str) -> None:
    pytest.importorskip("pyarrow")
    for part, package in NEEDED.items():
        if name.endswith(part):
            pytest.importorskip(package)


@pytest.mark.parametrize("name", READERS)
def test_a_planted_pickle_is_refused_and_not_run(name: str, tmp_path: Path) -> None:
    need(name)
    sign, path = tmp_path / "it ran", tmp_path / name
    array = npy_of(np.array([Planted(sign)], dtype=object))
    forms = [pickle.dumps(Planted(sign)), pickle.dumps(Planted(sign), protocol=0), array]
    if name in ("pool.npz", "negatives.npz", "clusters.npz", "signatures.npz"):
        save = {
            "pool.npz": lambda at: mined().pool.save(at),  # type: ignore[union-attr]
            "negatives.npz": lambda at: mined().save(at),
            "clusters.npz": lambda at: negmine.kmeans(ROWS, n_clusters=3).save(at),
            "signatures.npz": lambda at: MinHash(8).save(at, MinHash(8).signatures([["a"], ["b"]])),
        }
        save[name](path)
        forms.append(npz_of(path, array))
    for form in forms:
        path.write_bytes(form)
        with pytest.raises((NegmineError, JobError)):
            READERS[name](path)
    assert not sign.exists()
    pickle.loads(forms[0])
    assert sign.exists(), "the planted pickle does nothing"


# ---- what a file claims


#: Headers of npy files, each of which is refused before memory is taken for what it claims.
NPY_HEADERS = {
    "terabytes": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 8)}",
    "beyond 64 bits": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
    "wide elements": "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (100000, 1)}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}",
    "no integer": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "many signs": "-" * 9000 + "1",
    "many brackets": "(" * 300,
    "long": "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}" + " " * 60_000,
    "a type of types": "{'descr': [" + "['a', " * 150 + "]" * 150 + "], 'fortran_order': False, 'shape': (1,)}",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}",
}


def refused_in_little_memory(read: Callable[[], Any], most: int = 8 << 20) -> None:
    """Expect an error of negmine from a reader, and little memory at any time."""
    tracemalloc.start()
    try:
        with pytest.raises(NegmineError):
            read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("name", ["rows.npy", "groups.npy", "shard.npy"])
@pytest.mark.parametrize("claim", NPY_HEADERS)
def test_headers_of_npy_files_are_refused_before_memory_is_taken(claim: str, name: str, tmp_path: Path) -> None:
    text = NPY_HEADERS[claim].encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    path = tmp_path / name
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(8))
    refused_in_little_memory(lambda: READERS[name](path))


def test_other_headers_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    claim = {"a": {"dtype": "F32", "shape": [10**12, 8], "data_offsets": [0, 32 * 10**12]}}
    text = json.dumps(claim).encode()
    for length in (len(text), 2**63):
        (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + text + bytes(8))
        refused_in_little_memory(lambda: io.read_embeddings(tmp_path / "a.safetensors"))
        refused_in_little_memory(lambda: ShardedIndex([tmp_path / "a.safetensors"]))
    NegativesTable.create(tmp_path / "table", mined())
    path = tmp_path / "table" / "negatives.table"
    header, begin = headers.unpack(formats.NEGATIVES_TABLE, path.read_bytes(), "folder", path)
    for changes in ({"n_rows": 2**62}, {"width": 2**31 - 1}, {"n_rows": 2**62, "width": 2**31 - 1}):
        packed = headers.pack(formats.NEGATIVES_TABLE, {**header, **changes})
        (tmp_path / "claim").mkdir(exist_ok=True)
        (tmp_path / "claim" / path.name).write_bytes(packed + path.read_bytes()[begin:])
        refused_in_little_memory(lambda: NegativesTable(tmp_path / "claim"))
    hasher = negmine.SimHash(6, 3, dim=5, seed=2)
    raw = bytearray(BehaviorTable.build(hasher, ROWS, offsets=[0, 40]).to_bytes()[:-32])
    place = storage._HEADER.size - 32 - 16  # users and width stand before the digest
    for field in (place, place + 8):
        claimed = bytearray(raw)
        claimed[field : field + 8] = struct.pack("<Q", 2**60)
        sealed = bytes(claimed) + hashlib.sha256(claimed).digest()
        refused_in_little_memory(lambda sealed=sealed: BehaviorTable.from_bytes(sealed, hasher))  # type: ignore[misc]


@pytest.mark.parametrize("name", OF_JSON)
@pytest.mark.parametrize("depth", [100_000, 950])
def test_deeply_nested_json_is_an_error_of_negmine(depth: int, name: str, tmp_path: Path) -> None:
    need(name)
    path = tmp_path / name
    for text in ("[" * depth + "]" * depth, '{"id":' * depth + "1" + "}" * depth):
        path.write_text(text + "\n")
        with pytest.raises(NegmineError):
            READERS[name](path)


def test_a_journal_of_others_is_checked_beyond_its_checksum(tmp_path: Path) -> None:
    entries: list[Any] = [[], [["q"]], [[["q"], "d", "keep", "me", None]], [["q", "d", "keep", "me", 1.0]], 3]
    for number, entry in enumerate([json.dumps(entry) for entry in entries] + ["[" * 100_000]):
        path = tmp_path / str(number)
        with open_journal(path, formats.VERDICTS, entry_bytes=1, argument="path", advice="") as journal:
            journal.append(len(entry), entry.encode())
        with pytest.raises(NegmineValueError):
            Verdicts(path).share()


# ---- paths


def job(folder: Path, **options: Any) -> Any:
    return mine_to(folder, queries=ROWS[:4], corpus=ROWS, positives=[[row] for row in range(4)], **options)


def stopped(done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_a_lock_that_is_a_link_does_not_empty_what_it_names(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    precious = tmp_path / "precious"
    precious.write_text("of the user")
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "job", progress=stopped)
    (tmp_path / "job" / "lock").unlink(missing_ok=True)
    (tmp_path / "job" / "lock").symlink_to(precious)
    with pytest.raises(JobError, match="lock"):
        job(tmp_path / "job", resume=True)
    assert precious.read_text() == "of the user"


@pytest.mark.parametrize("finished", [True, False])
def test_parts_that_are_a_link_leave_the_folder_that_they_name(tmp_path: Path, *, finished: bool) -> None:
    pytest.importorskip("pyarrow")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("film.part", "00000000.part", ".negmine-0123456789abcdef.tmp"):
        (other / name).write_text("of the user")
    if finished:
        job(tmp_path / "job")
    else:
        with pytest.raises(KeyboardInterrupt):
            job(tmp_path / "job", progress=stopped)
    parts = tmp_path / "job" / "parts"
    if parts.exists():
        for path in parts.iterdir():
            path.unlink()
        parts.rmdir()
    parts.symlink_to(other)
    if finished:
        assert job(tmp_path / "job", resume=True).was_finished
    else:
        with pytest.raises(JobError, match="parts, a symbolic link"):
            job(tmp_path / "job", resume=True)
    assert [path.read_text() for path in other.iterdir()] == ["of the user"] * 3


def test_a_file_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of the user")
    (tmp_path / "a.npz").symlink_to(precious)
    mined().save(tmp_path / "a.npz")
    assert precious.read_text() == "of the user"
    assert not (tmp_path / "a.npz").is_symlink()


@pytest.mark.parametrize("graph", ["../" * 20 + "etc/passwd", "/etc/passwd", "..", "a" * 63, "A" * 64, "\0" * 64])
def test_the_graph_of_an_index_lies_next_to_it(graph: str, tmp_path: Path) -> None:
    pytest.importorskip("hnswlib")
    path = tmp_path / "a.npz"
    negmine.HnswIndex(ROWS).save(path)
    form = formats.HNSW_INDEX
    header, arrays = archive.read(path, form)
    archive.write(path, form, {**header, "graph": graph}, arrays)
    with pytest.raises(NegmineValueError, match="SHA-256"):
        negmine.HnswIndex.load(path, ROWS)


def test_no_file_of_a_job_or_a_table_holds_a_path(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    job(tmp_path / "a folder" / "job")
    NegativesTable.create(tmp_path / "a folder" / "table", mined())
    found = [path for path in (tmp_path / "a folder").rglob("*") if path.is_file()]
    assert len(found) >= 4
    for path in found:
        assert b"a folder" not in path.read_bytes(), path


def test_files_are_made_next_to_their_target_with_the_rights_that_the_user_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Path, int]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((self, stat.S_IMODE(self.stat().st_mode)))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            mined().save(tmp_path / "a.npz")
        finally:
            os.umask(before)
        path, mode = seen.pop()
        assert path.parent == tmp_path
        assert re.fullmatch(r"\.negmine-[0-9a-f]{16}\.tmp", path.name)
        assert mode == stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == 0o666 & ~mask
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_pack_of_other_documents_is_refused(tmp_path: Path) -> None:
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", ROWS[20 * number : 20 * number + 20])
    ShardedIndex(tmp_path)
    first, second = sorted(tmp_path.glob("*.negmine-pack"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(NegmineValueError, match=r"0\.npy"):
        ShardedIndex(tmp_path)


# ---- texts on terminals

#: Sequences that change the title, the colors or the clipboard of a terminal, ring, or overwrite a line.
SEQUENCES = "\x1b]0;owned\x07\x1b[31m\x1b]52;c;b3du\x07\x9b2J\x08\x08\x7f\x0boverwritten"


def has_controls(text: str) -> bool:
    return any((ord(letter) < 32 and letter not in "\t\n") or 127 <= ord(letter) < 160 for letter in text)


def test_control_sequences_of_texts_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    index = ExactIndex(ROWS, ids=[f"{SEQUENCES}{row}" for row in range(len(ROWS))])
    negatives = HardNegativeMiner(2).mine(index, ROWS[:2], [[0], [1]], query_ids=[SEQUENCES, "q"])
    negatives.show([f"{SEQUENCES} text"] * 2, ["d" + SEQUENCES] * len(ROWS), width=400)
    printed = capsys.readouterr().out
    assert not has_controls(printed)
    assert r"\x1b]0;owned\x07" in printed
    assert reprs.printable("plain\ttext\n\u00e9\u200f") == "plain\ttext\n\u00e9\u200f"


def test_control_sequences_of_files_do_not_reach_the_terminal_of_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("typer")
    pytest.importorskip("pyarrow")
    from negmine.cli.app import run
    from negmine.cli.output import put

    name = f"{SEQUENCES}.jsonl".replace("\x0b", "")
    (tmp_path / name).write_text(f'{{"anchor": "{SEQUENCES}"}}\n')
    assert run(["check", str(tmp_path / name)]) != 0
    put({}, f"label {SEQUENCES}", as_json=False)
    caught = capsys.readouterr()
    assert "owned" in caught.err
    assert "owned" in caught.out
    assert not has_controls(caught.err + caught.out)


# ---- the page

#: Texts that end the element, the attribute, the string or the comment in which they might stand.
MARKUP = (
    "</script><script>window.broken=1</script>",
    "<!--<script>",
    "--><img src=x onerror=window.broken=1>",
    "\"><svg onload='window.broken=1'>",
    "' onmouseover='window.broken=1' x='",
    "</title></style><iframe srcdoc='<script>parent.broken=1</script>'>",
    "\u2028window.broken=1\u2029",
    "{{script}}{{data}}",
    "javascript:window.broken=1",
    "]]>&lt;script&gt;&#60;script>`${window.broken=1}`",
    "<a href=//example.com>",
)


class Tags(HTMLParser):
    """The tags and attributes of a page, in order, without values that differ between pages."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [(name, "" if name == "data-key" else value) for name, value in attrs]))

    def handle_comment(self, data: str) -> None:
        self.found.append("a comment")


def page(path: Path, text: str) -> str:
    ids = [f"{text}{row}" for row in range(len(ROWS))]
    negatives = HardNegativeMiner(2).mine(
        ExactIndex(ROWS, ids=ids), ROWS[:2], [[0], [1]], query_ids=[text, f"{text}2"], keep_rejected=2
    )
    documents = dict.fromkeys(ids, text)
    negmine.inspect.to_html(negatives, path, queries=[text, text], documents=documents, title=text)
    return path.read_text()


@pytest.mark.parametrize("text", MARKUP)
def test_markup_of_texts_is_no_markup_of_the_page(text: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    made = page(tmp_path / "planted.html", text)
    assert Tags(made).found == Tags(page(tmp_path / "plain.html", "plain")).found
    assert "broken" not in re.sub(r"<(title|h1)>[^<]*</\1>", "", made)


def test_the_script_of_the_page_makes_no_markup_from_texts() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
    ways += r"|\beval\(|new Function|setTimeout\([\"'`]|\.on[a-z]+ *= *[\"'`]|javascript:"
    scripts = sorted((PACKAGE / "inspect" / "assets").glob("*.js"))
    assert len(scripts) > 8
    for path in scripts:
        assert re.findall(ways, path.read_text()) == [], path
