"""The sharded index: the answers of one array from any files, and what it does when files change or break."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import damage
import negmine
from negmine import ExactIndex, HardNegativeMiner, ShardedIndex, _native
from negmine.errors import CorpusChangedError, MemoryLimitError, NegmineOSError, NegmineTypeError, NegmineValueError
from negmine.search import Offers, Searcher, exact
from negmine.search.shard_cache import fingerprint
from negmine.testing import check_candidate_source

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
safetensors = pytest.importorskip("safetensors.numpy")

#: Rows at which seven shards begin and end; one is empty, and panels of 64 rows end in between.
N = 6000
CUTS = (0, 1, 70, 70, 2000, 2064, 4444, N)

#: Bytes with which the corpus is streamed, for a few queries at a time.
LIMIT = 350_000


def rows(n: int = N, width: int = 40) -> NDArray[np.float32]:
    corpus = np.random.default_rng(1).standard_normal((n, width)).astype(np.float32)
    corpus[n // 2] = 0.0  # a row of norm zero
    corpus[-30:] = corpus[:30]  # ties
    return corpus


def queries(width: int = 40) -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((130, width)).astype(np.float32)


def write(folder: Path, corpus: NDArray[Any], cuts: tuple[int, ...] = CUTS) -> Path:
    folder.mkdir(exist_ok=True)
    for i, (begin, end) in enumerate(itertools.pairwise(cuts)):
        np.save(folder / f"shard-{i}.npy", corpus[begin:end])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "corpus", rows())


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.counts, expected.counts)


# ---- the same answers


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_one_array_a_memory_map_and_uneven_shards_give_the_same_bits(
    folder: Path, metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, asked = rows(), queries()
    np.save(folder.parent / "whole.npy", corpus)
    expected = ExactIndex(corpus, metric=metric).search(asked, 9, dtype="float64")
    mapped = np.load(folder.parent / "whole.npy", mmap_mode="r")
    same(ExactIndex(mapped, metric=metric).search(asked, 9, dtype="float64"), expected)
    exclude = [[row, row + 700] for row in range(len(asked))]
    filtered = ExactIndex(corpus, metric=metric).search(asked, 9, exclude=exclude, max_score=0.4)
    streamed = 0
    for tile_rows, threads in ((None, 1), (64, 2), (200, 5), (None, 2)):
        monkeypatch.setattr(exact, "TILE_ROWS", tile_rows)
        index = ShardedIndex(folder, metric=metric, num_threads=threads)
        assert isinstance(index, Searcher)
        same(index.search(asked, 9, dtype="float64"), expected)
        same(index.search(asked, 9, exclude=exclude, max_score=0.4), filtered)
        for limit in (2 * LIMIT, LIMIT):
            index = ShardedIndex(folder, metric=metric, memory_limit=limit, num_threads=threads)
            found = [index.search(asked[i : i + 5], 9, dtype="float64") for i in range(0, 30, 5)]
            np.testing.assert_array_equal(np.concatenate([part.indices for part in found]), expected.indices[:30])
            np.testing.assert_array_equal(np.concatenate([part.scores for part in found]), expected.scores[:30])
            streamed += index.plan(5, 9).passes
    assert streamed > 0


def test_pools_offers_and_scores_of_pairs_are_those_of_one_array(folder: Path) -> None:
    corpus, asked = rows(), queries()[:5]
    positives = [[row, 5900 - row] for row in range(5)]
    miner = HardNegativeMiner(4, absolute_margin=0.1, reference="each", num_random=1)
    whole = ExactIndex(corpus)
    groups = np.arange(N) % 300
    expected = miner.candidates(whole, asked, positives, groups=groups)
    for limit in (None, 2 * LIMIT, LIMIT + 150_000):
        index = ShardedIndex(folder, memory_limit=limit)
        pool = miner.candidates(index, asked, positives, groups=groups)
        for name in ("indices", "scores", "counts", "reasons", "positive_scores", "reference_scores"):
            np.testing.assert_array_equal(getattr(pool, name), getattr(expected, name))
        offers = Offers(index, asked, miner.request(pool.rules))
        pairs = np.divmod(np.arange(5 * N), N)
        unknown = np.full(5 * N, np.nan)
        offers.offer(*pairs, unknown, unknown)
        np.testing.assert_array_equal(offers.finish().scores, whole.candidates(asked, miner.request(pool.rules)).scores)
        np.testing.assert_array_equal(
            index.score_pairs(asked, *pairs), negmine.score_pairs(asked, corpus, np.stack(pairs, axis=1))
        )
    mined = negmine.mine(asked, index, positives, num_negatives=3)
    np.testing.assert_array_equal(mined.indices, negmine.mine(asked, corpus, positives, num_negatives=3).indices)
    assert negmine.verify(asked, index, whole.search(asked, 3).indices, k=3).recall == 1.0
    with pytest.raises(NegmineValueError, match=r"`metric` must be that of the index, 'cosine'; got 'ip'"):
        negmine.verify(asked, index, whole.search(asked, 3).indices, k=3, metric="ip")


def test_the_contract_of_candidate_sources(tmp_path: Path) -> None:
    made = 0

    def make(documents: NDArray[np.float32], ids: Any) -> ShardedIndex:
        nonlocal made
        made += 1
        cuts = (0, len(documents) // 3, len(documents))
        return ShardedIndex(write(tmp_path / str(made), documents, cuts), ids=ids)

    check_candidate_source(make)


KINDS = ("float32", "float16", "float64", "int8", "uint8", ">f4", ">f2")


def test_shards_of_every_type_and_kind_of_file(tmp_path: Path) -> None:
    corpus = np.abs(rows(300, 7)) * 20
    parts = np.split(corpus, [40, 90, 130, 170, 220, 260])
    paths = []
    for kind, part in zip(KINDS, parts, strict=True):
        paths.append(tmp_path / f"{len(paths)}.npy")
        np.save(paths[-1], part.astype(kind))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(parts[0]))
    safetensors.save_file({"emb": parts[1], "other": parts[0].astype(np.float64)}, tmp_path / "a.safetensors")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(parts[2].ravel()), 7)
    ragged = pa.array(list(parts[3]), type=pa.list_(pa.float32()))
    pq.write_table(pa.table({"emb": lists, "n": range(40)}), tmp_path / "b.parquet", row_group_size=11)
    pq.write_table(pa.table({"emb": ragged}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"emb": lists[:0]}), tmp_path / "d.parquet")
    stored = [np.load(path).astype(np.float32) for path in paths]
    npy = [*paths, tmp_path / "fortran.npy"]
    expected = ExactIndex(np.concatenate([*stored, parts[0]])).search(queries(7), 5)
    index = ShardedIndex(npy)
    same(index.search(queries(7), 5), expected)
    assert [(shard.path, shard.offset, shard.n_rows) for shard in index.shards][-2:] == [
        (paths[-1], 260, 40),
        (npy[-1], 300, 40),
    ]
    tables = [tmp_path / name for name in ("a.safetensors", "b.parquet", "c.parquet", "d.parquet")]
    expected = ExactIndex(np.concatenate(parts[1:4])).search(queries(7), 5)
    for _ in range(2):  # the second time from the files of the first
        same(ShardedIndex(tables, column="emb").search(queries(7), 5), expected)
    assert (tmp_path / "b.parquet.emb.negmine-rows").stat().st_size == 4096 + 4 * 40 * 7


def test_lance_shards(tmp_path: Path) -> None:
    lance = pytest.importorskip("lance")
    corpus = rows(300, 7)
    for i, part in enumerate(np.split(corpus, [120])):
        lists = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), 7)
        lance.write_dataset(pa.table({"emb": lists}), str(tmp_path / f"{i}.lance"), max_rows_per_file=50)
    expected = ExactIndex(corpus).search(queries(7), 5)
    for _ in range(2):
        same(ShardedIndex(tmp_path).search(queries(7), 5), expected)
    lance.write_dataset(pa.table({"emb": lists}), str(tmp_path / "1.lance"), mode="append")
    with pytest.raises(CorpusChangedError, match=r"1.lance changed after it was converted"):
        ShardedIndex(tmp_path)


def test_pickles_by_paths_and_packs_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"d{row}" for row in range(N)]
    index = ShardedIndex(folder, ids=ids, memory_limit=20_000_000, num_threads=2)
    expected = index.search(queries(), 3)
    packs = {shard.pack: shard.pack.read_bytes() for shard in index.shards}
    monkeypatch.chdir(folder.parent)
    again = pickle.loads(pickle.dumps(ShardedIndex("corpus", ids=ids)))
    same(again.search(queries(), 3), expected)
    assert again.search(queries()[:1], 1).ids[0][0] == ids[expected.indices[0, 0]]
    assert {pack: pack.read_bytes() for pack in packs} == packs
    assert repr(index).startswith("ShardedIndex(7 shards, 6000 x 40, metric='cosine'")


def test_what_is_read_is_counted_and_predicted(folder: Path) -> None:
    index = ShardedIndex(folder, memory_limit=LIMIT)
    plan = index.plan(5, 2)
    assert plan.passes > 0
    packed = sum(shard.pack.stat().st_size - 4096 for shard in index.shards)
    assert plan.read_bytes == plan.passes * packed
    before = index.reads
    index.search(queries()[:5], 2)
    after = index.reads
    assert after.pack_bytes - before.pack_bytes == plan.read_bytes
    assert after.row_bytes > before.row_bytes
    assert after.seconds > before.seconds
    assert after.bytes_per_second > 0
    assert index.plan(5, 2).seconds > 0
    resident = ShardedIndex(folder)
    assert resident.plan(5, 2).read_bytes == 0
    assert resident.reads.pack_bytes == packed
    assert resident.nbytes > 0
    assert index.nbytes == 0
    with pytest.raises(MemoryLimitError, match="`memory_limit` must be at least"):
        ShardedIndex(folder, memory_limit=10)


def test_progress_of_packing_and_reading(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    ShardedIndex(folder, progress=lambda done, total: seen.append((done, total)))
    assert (N, N) in seen
    assert all(0 <= done <= total for done, total in seen)


# ---- where files are, and which


def test_a_cache_keeps_files_of_several_folders(tmp_path: Path) -> None:
    corpus = rows(200)
    a, b = write(tmp_path / "a", corpus, (0, 100)), write(tmp_path / "b", corpus[100:], (0, 100))
    paths = [a / "shard-0.npy", b / "shard-0.npy"]
    index = ShardedIndex(paths, cache=tmp_path / "cache")
    same(index.search(queries(), 3), ExactIndex(corpus).search(queries(), 3))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert len(list(a.iterdir())) == 1
    with (
        damage.read_only(b),
        pytest.raises(NegmineValueError, match=r"`cache` must be a folder where files can be made"),
    ):
        ShardedIndex(b)
    with damage.read_only(b):
        assert len(ShardedIndex(b, cache=tmp_path / "cache")) == 100
    with pytest.raises(NegmineValueError, match=r"`cache` must be a folder; got .*, where there is a file"):
        ShardedIndex(b, cache=paths[0])


def test_folders_whose_order_or_content_is_ambiguous_are_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("not a shard")
    assert len(ShardedIndex(folder).shards) == 7
    np.save(folder / "shard-10.npy", rows(3))
    with pytest.raises(
        NegmineValueError, match=r"sort in two ways: shard-10.npy comes first .* shard-2.npy by numbers"
    ):
        ShardedIndex(folder)
    (folder / "shard-10.npy").unlink()
    pq.write_table(pa.table({"text": ["a"]}), folder / "texts.parquet")
    with pytest.raises(NegmineValueError, match=r"of one kind; got files of .npy and .parquet"):
        ShardedIndex(folder)


def test_bad_arguments(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "narrow.npy", rows(3, 4))
    np.save(tmp_path / "flat.npy", rows(3, 4).ravel())
    np.save(tmp_path / "whole.npy", np.zeros((3, 4), dtype=np.int64))
    (tmp_path / "none.npy").write_bytes(b"no array")
    (tmp_path / "none.safetensors").write_bytes(b"no tensor")
    (tmp_path / "none.parquet").write_bytes(b"no table")
    (tmp_path / "folder.npy").mkdir()
    safetensors.save_file({"a": rows(3, 4), "b": rows(3, 4)}, tmp_path / "two.safetensors")
    pq.write_table(pa.table({"emb": [[1.0, 2.0], [3.0]]}), tmp_path / "ragged.parquet")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text.parquet")
    first = folder / "shard-0.npy"
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (3, {}, "`shards` must be a folder or a list of paths; got int"),
        ([], {}, "`shards` must name at least one file; got none"),
        ({first}, {}, "`shards` must be a list or an array; got set"),
        (first, {}, "`shards` must be a folder or a list of paths; got .*a file"),
        (tmp_path / "empty", {}, "files of one kind; got none"),
        ([tmp_path / "absent.npy"], {}, "must be files that exist; got .*absent.npy"),
        ([tmp_path / "folder.npy"], {}, "must be files that exist; got .*folder.npy, where there is a folder"),
        (["shard-\udcff.npy"], {}, r"`shards` must have paths in UTF-8; got 'shard-.udcff.npy'"),
        ([first], {"cache": tmp_path / "\udcff"}, "`cache` must have a path in UTF-8; got"),
        ([tmp_path / "corpus.txt"], {}, "`shards` must end in one of"),
        ([first, tmp_path / "narrow.npy"], {}, "must have one width; .*shard-0.npy has 40 and .*narrow.npy has 4"),
        ([tmp_path / "flat.npy"], {}, r"shape \(n, width\); .*flat.npy has shape \(12,\)"),
        ([tmp_path / "whole.npy"], {}, "must hold one of float32.*whole.npy holds int64"),
        ([tmp_path / "none.npy"], {}, "must be readable npy files; got .*none.npy"),
        ([tmp_path / "none.safetensors"], {}, "must be readable safetensors files; got .*none.safetensors"),
        ([tmp_path / "none.parquet"], {}, "must be files that can be read; got .*none.parquet"),
        ([tmp_path / "two.safetensors"], {}, "`column` must say which tensor to read; .* has 'a', 'b'"),
        ([tmp_path / "two.safetensors"], {"column": "c"}, "got 'c', and .*two.safetensors has 'a', 'b'"),
        ([tmp_path / "ragged.parquet"], {}, "must have one width; got lists of 2 and 1 numbers. The shard is .*ragged"),
        ([tmp_path / "text.parquet"], {}, "`column` must say which column holds embeddings; .* has 'text'"),
        ([tmp_path / "text.parquet"], {"column": "emb"}, "got 'emb', and .*text.parquet has 'text'"),
        ([first], {"column": "emb"}, "`column` must be None for npy files"),
        ([first], {"column": 3}, "`column` must be a string; got int"),
        ([first], {"ids": [1, 2]}, r"`ids` must have shape \(1,\)"),
        ([first], {"metric": "dot"}, "`metric` must be"),
    ]
    for shards, options, message in cases:
        with pytest.raises((NegmineValueError, NegmineTypeError), match=message):
            ShardedIndex(shards, **options)


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [
        ([-1, 4], [0, 16]),
        ([-1, -4], [0, 16]),
        ([2, 4.0], [0, 32]),
        ([2, True], [0, 8]),
        ([2, None], [0, 32]),
        ("24", [0, 32]),
        (2, [0, 32]),
        ([2, 4], [-8, 24]),
        ([2, 4], ["0", 32]),
        ([2, 4], [0.0, 32.0]),
        ([2, 4], [32, 0]),
        ([2, 4], [0, 16]),
        ([2, 4], [0]),
        ([2, 4], None),
        ([2**70, 2**70], [0, 2**145]),
    ],
)
def test_malformed_headers_of_safetensors_are_refused(tmp_path: Path, shape: Any, offsets: Any) -> None:
    path = tmp_path / "a.safetensors"
    header = json.dumps({"emb": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + rows(2, 4).tobytes())
    with pytest.raises(
        NegmineValueError, match=r"`shards` must be (readable safetensors|whole) files; .*a.safetensors"
    ):
        ShardedIndex([path])


def test_a_negative_shape_of_npy_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (-1, 4)})
    with pytest.raises(NegmineValueError, match=r"`shards` must be readable npy files; got .*a.npy"):
        ShardedIndex([tmp_path / "a.npy"])


def test_values_that_are_not_finite_are_named_by_row(folder: Path) -> None:
    part = np.load(folder / "shard-4.npy")
    for value, kind, message in (
        (np.nan, "f4", "must be finite; row 2003"),
        (1e300, "f8", "must fit float32.* row 2003"),
    ):
        part = part.astype(kind)
        part[3, 2] = value
        np.save(folder / "shard-4.npy", part)
        with pytest.raises(NegmineValueError, match=f"`shards` {message}.* at column 2"):
            ShardedIndex(folder)
        assert not list(folder.glob("shard-4.npy.*")) + list(folder.glob(".negmine*"))
    # Packs of the shards before it are kept.
    assert len(list(folder.glob("*.negmine-pack"))) == 4


# ---- files that change or break


def test_a_shard_that_was_cut_before_it_is_opened(folder: Path) -> None:
    path = folder / "shard-5.npy"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(
        NegmineValueError, match=r"`shards` must be whole files; .*shard-5.npy was cut: its header needs"
    ):
        ShardedIndex(folder)


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_a_shard_that_changes_between_two_calls(folder: Path, limit: int | None) -> None:
    corpus, asked = rows(), queries()[:5]
    path = folder / "shard-5.npy"
    index = ShardedIndex(folder, memory_limit=limit)
    expected = index.search(asked, 3)
    about, content = path.stat(), path.read_bytes()
    calls = (
        lambda: index.search(asked, 3),
        lambda: index.score_pairs(asked, np.zeros(1, np.int64), np.zeros(1, np.int64)),
        lambda: negmine.mine(asked, index, [[0]] * 5),
    )
    for change, message in (
        (lambda: os.truncate(path, 1000), "it had .* bytes and has 1000"),
        (lambda: path.write_bytes(content), "it was written again"),
    ):
        change()
        for call in calls:
            with pytest.raises(CorpusChangedError, match=f"shard .*shard-5.npy has changed: {message}"):
                call()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    same(index.search(asked, 3), expected)
    # A change that neither size nor time shows is found where a row is scored again.
    np.save(path, -corpus[2064:4444])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(CorpusChangedError, match=r"shard-5.npy has changed: document row \d+ is another one"):
        index.search(asked, 50)
    path.unlink()
    with pytest.raises(NegmineOSError, match="No such file") as caught:
        index.search(asked, 3)
    assert caught.value.filename == str(path)


def test_a_shard_that_changed_after_it_was_packed(folder: Path) -> None:
    path = folder / "shard-5.npy"
    expected = ShardedIndex(folder).search(queries(), 3)
    pack, content, about = folder / "shard-5.npy.cosine.negmine-pack", path.read_bytes(), path.stat()
    os.utime(path)
    message = r"shard .*shard-5.npy changed after it was packed: it has another {}. Delete .*shard-5.npy.cosine"
    with pytest.raises(CorpusChangedError, match=message.format("time of modification")):
        ShardedIndex(folder)
    np.save(path, np.zeros((4444 - 2064, 40), dtype=np.float32))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(CorpusChangedError, match=message.format("content")):
        ShardedIndex(folder)
    path.write_bytes(content)
    pack.unlink()
    same(ShardedIndex(folder).search(queries(), 3), expected)


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_every_damage_of_a_pack_is_refused_by_name(folder: Path, limit: int | None) -> None:
    asked = queries()[:5]
    for metric in ("cosine", "ip", "l2"):
        pack = folder / f"shard-3.npy.{metric}.negmine-pack"

        def read(metric: Any = metric) -> Any:
            found = ShardedIndex(folder, metric=metric, memory_limit=limit).search(asked, 2)
            return found.indices.tolist(), found.scores.tolist()

        read()
        found = damage.outcomes(pack, 24, read)
        assert found["raw"] == []
        assert found["other"] == []
        # The header's padding means nothing.
        assert len(found["refused"]) > 15


def test_a_pack_that_is_damaged_while_it_is_used(folder: Path) -> None:
    index = ShardedIndex(folder, memory_limit=LIMIT)
    asked = queries()[:5]
    index.search(asked, 2)
    pack = index.shards[3].pack
    with pack.open("rb+") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"damage")
    with pytest.raises(
        NegmineValueError, match=r"corrupt: checksum mismatch in .*shard-3.npy.cosine.negmine-pack. Delete"
    ):
        index.search(asked, 2)
    os.truncate(pack, 5000)
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*shard-3.npy.cosine.negmine-pack"):
        index.search(asked, 2)
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*shard-3.npy.cosine.negmine-pack"):
        ShardedIndex(folder)


def test_a_full_disk_loses_nothing_and_packing_resumes_with_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    undisturbed = ShardedIndex(folder, cache=tmp_path / "cache")
    expected = [shard.pack.read_bytes() for shard in undisturbed.shards]
    with damage.full_disk(20_000), pytest.raises(NegmineOSError, match="File too large") as caught:
        ShardedIndex(folder)
    assert caught.value.filename == str(folder / "shard-3.npy.cosine.negmine-pack")
    names = sorted(path.name for path in folder.iterdir() if path.suffix != ".npy")
    assert names == [f"shard-{i}.npy.cosine.negmine-pack" for i in range(3)]
    kept = {name: (folder / name).stat().st_mtime_ns for name in names}

    def stop(done: int, total: int) -> None:
        if done > 2500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ShardedIndex(folder, progress=stop)
    assert not list(folder.glob(".negmine*"))
    index = ShardedIndex(folder)
    assert [shard.pack.read_bytes() for shard in index.shards] == expected
    assert {name: (folder / name).stat().st_mtime_ns for name in names} == kept


def test_a_converted_shard_that_changed_or_broke(tmp_path: Path) -> None:
    path, converted = tmp_path / "a.parquet", tmp_path / "a.parquet.negmine-rows"
    table = pa.table({"emb": pa.FixedSizeListArray.from_arrays(pa.array(rows(50).ravel()), 40)})
    pq.write_table(table, path)
    with damage.full_disk(5000), pytest.raises(NegmineOSError) as caught:
        ShardedIndex([path])
    assert caught.value.filename == str(converted)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]
    ShardedIndex([path])
    content = converted.read_bytes()
    converted.write_bytes(content[:-1])
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*negmine-rows. Delete the file"):
        ShardedIndex([path])
    # The pack belongs to the shard, so that it stays good when the shard is converted again.
    converted.unlink()
    same(ShardedIndex([path]).search(queries(), 3), ExactIndex(rows(50)).search(queries(), 3))
    assert converted.read_bytes() == content
    pq.write_table(table.slice(1), path)
    with pytest.raises(CorpusChangedError, match=r"a.parquet changed after it was converted: .*size.* Delete .*rows"):
        ShardedIndex([path])


def write_fortran(path: Path, corpus: NDArray[np.float32]) -> None:
    np.save(path, np.asfortranarray(corpus))


def write_parquet(path: Path, corpus: NDArray[np.float32]) -> None:
    pq.write_table(pa.table({"emb": list(corpus)}), path)


def write_lance(path: Path, corpus: NDArray[np.float32]) -> None:
    lance = pytest.importorskip("lance")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(corpus.ravel()), corpus.shape[1])
    lance.write_dataset(pa.table({"emb": lists}), str(path), mode="overwrite")


@pytest.mark.parametrize(
    ("name", "write_shard"), [("a.npy", write_fortran), ("a.parquet", write_parquet), ("a.lance", write_lance)]
)
def test_a_converted_shard_that_changes_between_two_calls(tmp_path: Path, name: str, write_shard: Any) -> None:
    path, corpus, asked = tmp_path / name, rows(300), queries()
    write_shard(path, corpus)
    os.utime(path, ns=(1_000_000_000_123_456_789, 1_000_000_000_123_456_789))
    index = ShardedIndex([path])
    same(index.search(asked, 3), ExactIndex(corpus).search(asked, 3))
    write_shard(path, -corpus)
    calls = (
        lambda: index.search(asked, 3),
        lambda: index.score_pairs(asked, np.zeros(1, np.int64), np.zeros(1, np.int64)),
        lambda: negmine.mine(asked, index, [[0]] * len(asked)),
    )
    for call in calls:
        with pytest.raises(CorpusChangedError, match=f"shard .*{name} has changed"):
            call()
    with pytest.raises(CorpusChangedError, match=f"{name} changed after it was converted"):
        ShardedIndex([path])


def test_the_core_and_fingerprints_agree_on_folders(tmp_path: Path) -> None:
    corpus, source = rows(10), tmp_path / "a.lance"
    place = tmp_path / "rows"
    place.write_bytes(corpus.tobytes())
    (source / "data" / "empty").mkdir(parents=True)
    for name in ("b", "data/a", "data/c"):
        (source / name).write_bytes(b"content")
    (source / "link").symlink_to(source / "data")
    (source / "nothing").symlink_to(source / "absent")

    def opened() -> _native.RowFiles:
        now = fingerprint(source)
        known = (str(source), now["bytes"], now["modified_ns"])
        return _native.RowFiles([(str(place), 0, len(corpus), "float32", False, known)], corpus.shape[1])

    def build(files: Any) -> _native.ExactIndex:
        return _native.ExactIndex(files, "cosine", None, None, 1, None)

    files = opened()
    build(files)
    os.utime(source / "data" / "a", ns=(0, 2**62))
    with pytest.raises(CorpusChangedError, match=r"a.lance has changed: it was written again"):
        build(files)
    os.utime(source / "data" / "a", ns=(0, -1_500_000_001))
    build(opened())
    files = opened()
    (source / "data" / "c").unlink()
    with pytest.raises(CorpusChangedError, match=r"a.lance has changed: it had 21 bytes and has 14"):
        build(files)


CTRL_C = """
import sys, time
import numpy as np, negmine
index = negmine.ShardedIndex(sys.argv[1], memory_limit=16_000_000, num_threads=2)
queries = np.broadcast_to(np.load(sys.argv[1] + "/shard-0.npy")[:1], (50_000, 16))
assert index.plan(len(queries), 1).passes > 1
try:
    index.search(queries, 1, progress=lambda done, total: print("under way", flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    print(index.search(queries[:2], 1).indices.tolist())
"""


def test_ctrl_c_ends_a_streamed_search(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", rows(400_000, 16), (0, 130_000, 400_000))
    child = subprocess.Popen([sys.executable, "-c", CTRL_C, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "under way\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out.endswith("interrupted\n[[0], [0]]\n")
