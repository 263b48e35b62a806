"""A small file of every format: how it is written, what reads it, and what a reader promises of a damaged one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import negmine
import scorers
from jobs import run
from negmine import CandidatePool, Clusters, ExactIndex, HardNegativeMiner, HardNegatives, HnswIndex, MinHash, io
from negmine._core.labels import Strings
from negmine.behavior import BehaviorTable
from negmine.job import merge
from negmine.mining import Verdicts
from negmine.search import ShardedIndex
from negmine.store import NegativesTable

ROWS = np.random.default_rng(3).standard_normal((40, 5)).astype(np.float32)

#: What a reader does with a damaged file, if it does not refuse it: "sealed" gives the same as before, "growing" the
#: first of its records, and "plain" anything that the format allows.
Promise = Literal["sealed", "growing", "plain"]


@dataclass(frozen=True)
class Written:
    """A file, and what reads it: a value that is equal for equal content."""

    path: Path
    read: Callable[[], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    write: Callable[[Path], Written]
    promise: Promise = "sealed"
    #: Readings that take as long as one of a small file.
    cost: int = 1


def said(value: object) -> str:
    """Everything that a result holds, as text."""
    if isinstance(value, np.ndarray):
        return repr((value.dtype.str, value.tolist()))
    if isinstance(value, tuple | list):
        return repr([said(one) for one in value])
    if isinstance(value, Strings):
        return repr(value.tolist())
    if hasattr(value, "to_pylist"):
        return repr(value.to_pylist())
    slots = getattr(type(value), "__slots__", ())
    return repr([(name, said(getattr(value, name))) for name in slots]) if slots else repr(value)


def mined() -> HardNegatives:
    index = ExactIndex(ROWS, ids=[f"d{row}" for row in range(len(ROWS))])
    miner = HardNegativeMiner(3, range_max=9, sampling="random", num_random=1)
    return miner.mine(index, ROWS[:12], [[row] for row in range(12)], groups=np.arange(40) // 2)


# ---- results


def pool(folder: Path) -> Written:
    path, found = folder / "pool.npz", mined().pool
    assert found is not None
    found.save(path)
    return Written(path, lambda: said(CandidatePool.load(path)))


def negatives(folder: Path) -> Written:
    path = folder / "negatives.npz"
    mined().save(path)
    return Written(path, lambda: said(HardNegatives.load(path)))


def clusters(folder: Path) -> Written:
    path = folder / "clusters.npz"
    negmine.kmeans(ROWS, n_clusters=3).save(path)
    return Written(path, lambda: said(Clusters.load(path)))


def signatures(folder: Path) -> Written:
    path, minhash = folder / "signatures.npz", MinHash(8)
    minhash.save(path, minhash.signatures([["a"], ["b", "c"], []]))
    return Written(path, lambda: said(MinHash.load(path)))


def hnsw(folder: Path, *, graph: bool = False) -> Written:
    HnswIndex(ROWS, M=4, ef_construction=20).save(folder / "index.npz")

    def read() -> str:
        return said(HnswIndex.load(folder / "index.npz", ROWS).search(ROWS[:4], 3))

    (found,) = folder.glob("*.hnsw") if graph else [folder / "index.npz"]
    return Written(found, read)


def mined_parquet(folder: Path) -> Written:
    path = folder / "mined.parquet"
    io.write_negatives(mined(), path)

    def read() -> str:
        found = io.read_negatives(path)
        return said([len(found), found.provenance, *found.batches()])

    return Written(path, read)


def negatives_table(folder: Path) -> Written:
    NegativesTable.create(folder / "table", mined())

    def read() -> str:
        table = NegativesTable(folder / "table")
        return said([table.current(), table.n_documents, table.digest])

    return Written(folder / "table" / "negatives.table", read)


def older_generation(folder: Path) -> Written:
    table = NegativesTable.create(folder / "table", mined(), keep_generations=1)
    table.publish(mined())
    (path,) = (folder / "table").glob("negatives-*.table")
    return Written(path, lambda: said(NegativesTable(folder / "table").at(0)))


def behavior_table(folder: Path) -> Written:
    path, hasher = folder / "data", negmine.SimHash(6, 3, dim=5, seed=2)
    path.write_bytes(BehaviorTable.build(hasher, ROWS, offsets=[0, 20, 40]).to_bytes())

    return Written(path, lambda: said(BehaviorTable.from_bytes(path.read_bytes(), hasher).to_bytes()))


# ---- files next to others


def shard_pack(folder: Path) -> Written:
    return sharded(folder, "npy", "negmine-pack")


def shard_rows(folder: Path) -> Written:
    return sharded(folder, "parquet", "negmine-rows")


def sharded(folder: Path, form: str, ending: str) -> Written:
    for part in range(2):
        rows = ROWS[part * 20 : part * 20 + 20]
        if form == "npy":
            np.save(folder / f"{part}.npy", rows)
        else:
            write_table(folder / f"{part}.parquet", {"emb": list(rows)})

    def read() -> str:
        return said(ShardedIndex(folder).search(ROWS[:3], 4))

    read()
    return Written(min(folder.glob(f"*.{ending}")), read)


def score_cache(folder: Path) -> Written:
    path, made = folder / "teacher.scores", scorers.make_pool()

    def read() -> str:
        return said(made.rescore(scorers.score, **scorers.options(path)).scores)

    read()
    return Written(path, read)


def verdicts(folder: Path) -> Written:
    path = folder / "verdicts"
    for part in range(3):
        lines = verdict_lines(folder, part)
        Verdicts(path).read(lines)
    queries, documents = ["q0", "q1", "q2"], [f"d{row}" for row in range(40)]

    def read() -> list[tuple[int, int]]:
        found = Verdicts(path).apply([[], [], []], query_ids=queries, document_ids=documents).exclude
        return [(query, document) for query in range(3) for document in found[query].tolist()]

    return Written(path, read)


def verdict_lines(folder: Path, part: int = 0) -> Path:
    path = folder / f"judged{part}.jsonl"
    lines = [
        {"query_id": f"q{part}", "document_id": f"d{row}", "verdict": "drop", "judge": "me", "log_prob": -0.5}
        for row in range(3)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# ---- what others write


def write_table(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as parquet

    write = parquet.write_table if path.suffix == ".parquet" else feather.write_feather
    write(pa.table(columns), path)


def text(name: str, content: str, read: Callable[[Path], Any]) -> Kind:
    """A file of lines, gzipped if its name says so."""

    def write(folder: Path) -> Written:
        path, encoded = folder / name, content.encode()
        path.write_bytes(gzip.compress(encoded, mtime=0) if name.endswith(".gz") else encoded)
        return Written(path, lambda: said(read(path)))

    return Kind(write, "plain")


def table(name: str, columns: dict[str, Any], read: Callable[[Path], Any]) -> Kind:
    """A file of columns."""

    def write(folder: Path) -> Written:
        write_table(folder / name, columns)
        return Written(folder / name, lambda: said(read(folder / name)))

    return Kind(write, "plain")


def npy(folder: Path) -> Written:
    path = folder / "rows.npy"
    np.save(path, ROWS[:6])
    return Written(path, lambda: said(io.read_embeddings(path)))


def safetensors(folder: Path) -> Written:
    from safetensors.numpy import save_file

    path = folder / "rows.safetensors"
    save_file({"emb": ROWS[:6]}, path)
    return Written(path, lambda: said(io.read_embeddings(path)))


def judged(folder: Path) -> Written:
    path, number = verdict_lines(folder), iter(range(1 << 30))
    return Written(path, lambda: Verdicts(folder / f"journal{next(number)}").read(path))


def training(name: str, form: Any) -> Kind:
    """Training rows, which are checked and converted."""

    def write(folder: Path) -> Written:
        queries, documents = ([f"{side} {row}" for row in range(40)] for side in ("query", "document"))
        texts = {"queries": io.Texts.from_lists(queries[:12]), "documents": io.Texts.from_lists(documents)}
        io.write_training_rows(mined(), folder / name, format=form, **texts)

        def read() -> str:
            checked = io.check_training_rows(folder / name)
            converted = io.convert_training_rows(folder / name, folder / "out.jsonl", format="triplet")
            return said([checked, converted.n_rows, (folder / "out.jsonl").read_text()])

        return Written(folder / name, read)

    return Kind(write, "plain")


# ---- jobs


def shard(name: str) -> Kind:
    """A file of one of two shards, which are merged."""

    def write(folder: Path) -> Written:
        for part in range(2):
            run(folder / str(part), shard=(part, 2))
        number = iter(range(1 << 30))

        def read() -> str:
            out = folder / f"all{next(number)}"
            merge([folder / "0", folder / "1"], out)
            return said(sorted(path.read_bytes() for path in out.rglob("*") if path.is_file()))

        return Written(folder / "1" / name, read)

    return Kind(write, cost=20)


def finished(name: str) -> Kind:
    """A file of a finished job, which is asked for again."""

    def write(folder: Path) -> Written:
        run(folder / "job")
        return Written(folder / "job" / name, lambda: run(folder / "job", resume=True).was_finished)

    return Kind(write, cost=20)


JUDGMENTS = ["q1\td1\t1", "q1\td2\t0", "q2\td2\t2"]
IDS = ["d0", "d1", "d2"]

KINDS: dict[str, Kind] = {
    "candidate pool": Kind(pool),
    "hard negatives": Kind(negatives),
    "clusters": Kind(clusters),
    "signatures": Kind(signatures),
    "hnsw archive": Kind(hnsw),
    "hnsw graph": Kind(lambda folder: hnsw(folder, graph=True)),
    "mined negatives": Kind(mined_parquet, cost=4),
    "negatives table": Kind(negatives_table),
    "older generation": Kind(older_generation),
    "behavior table": Kind(behavior_table),
    "shard pack": Kind(shard_pack, cost=2),
    "shard rows": Kind(shard_rows, cost=2),
    "score cache": Kind(score_cache, cost=2),
    "verdicts": Kind(verdicts, "growing"),
    "shard manifest": shard("manifest.json"),
    "shard report": shard("report.json"),
    "shard result": shard("result.parquet"),
    "job manifest": finished("manifest.json"),
    "job report": finished("report.json"),
    "job result": finished("result.parquet"),
    "npy": Kind(npy, "plain"),
    "safetensors": Kind(safetensors, "plain"),
    "judged lines": Kind(judged, "plain"),
    "embeddings in Parquet": table("rows.parquet", {"emb": list(ROWS[:6])}, io.read_embeddings),
    "embeddings in Arrow": table("rows.arrow", {"emb": list(ROWS[:6])}, io.read_embeddings),
    "qrels in TSV": text("a.tsv", "query-id\tcorpus-id\tscore\n" + "\n".join(JUDGMENTS), io.read_qrels),
    "qrels of TREC": text("a.qrels", "q1 0 d1 1\nq1 0 d2 0\nq2 0 d2 2\n", io.read_qrels),
    "qrels, gzipped": text("a.tsv.gz", "\n".join(JUDGMENTS), io.read_qrels),
    "qrels in Parquet": table(
        "a.parquet", {"query-id": ["q1", "q2"], "corpus-id": ["d1", "d2"], "score": [1, 0]}, io.read_qrels
    ),
    "run of TREC": text("a.run", "q1 Q0 d1 1 0.5 bm25\nq2 Q0 d2 1 0.25 bm25\n", io.read_run),
    "run in JSON": text("a.json", json.dumps({"q1": {"d1": 0.5, "d2": 2}, "q2": {"d2": 1e-3}}), io.read_run),
    "texts in JSONL": text(
        "a.jsonl", '{"_id": "d1", "title": "t", "text": "one"}\n{"_id": "d2", "text": "two"}\n', io.read_texts
    ),
    "texts in TSV": text("a.tsv", "d1\tone\nd2\ttwo\n", io.read_texts),
    "texts in Parquet": table("a.parquet", {"_id": ["d1", "d2"], "text": ["one", "two"]}, io.read_texts),
    "groups in JSONL": text(
        "a.jsonl",
        '{"_id": "d0", "group": 1}\n{"_id": "d2", "group": 1}\n',
        lambda path: io.read_groups(path, document_ids=IDS),
    ),
    "groups in TSV": text("a.tsv", "_id\tgroup\nd0\ta\nd2\tb\n", lambda path: io.read_groups(path, document_ids=IDS)),
    "training rows in JSONL": training("rows.jsonl", "n-tuple"),
    "training rows in Parquet": training("rows.parquet", "triplet"),
}


def of_promise(promise: Promise) -> Iterator[str]:
    """Names of the kinds with a promise."""
    return (name for name, kind in KINDS.items() if kind.promise == promise)
