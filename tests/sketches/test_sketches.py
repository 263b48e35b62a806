"""MinHash and near-duplicates: pinned signatures, files, edge cases, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_sketches
from negmine import MinHash, near_duplicates
from negmine._core import archive, formats
from negmine.errors import MemoryLimitError, NegmineTypeError, NegmineValueError
from negmine.sketches import duplicates, minhash
from negmine.sketches.minhash import hash_tokens

# ---- signatures


def test_golden_signatures() -> None:
    # A change here is a new version of formats.MINHASH.
    sets = [[], [1], range(70), range(600), ["a", "b"], ["a b", "é"]]
    found = [MinHash(128).signatures([one]) for one in sets]
    assert formats.MINHASH.version == 1
    assert found[1][0, :4].tolist() == GOLDEN_WORDS
    assert hashlib.sha256(np.concatenate(found).tobytes()).hexdigest() == GOLDEN_DIGEST


GOLDEN_WORDS = [602933448, 808329545, 3855959284, 97172745]
GOLDEN_DIGEST = "8adc4d238f1fb6e9c358190776b315c3d2d70575024f28efc0106b5457222719"


def test_strings_are_hashed_by_xxh64() -> None:
    known = {"": 0xEF46DB3751D8E999, "a": 0xD24EC4F1A98C6E5B, "abc": 0x44BC2CF5AD770999}
    assert hash_tokens(list(known), "sets").tolist() == list(known.values())
    longer = MinHash(16).signatures([["Nobody inspects the spammish repetition"]])
    same = MinHash(16).signatures([[0xFBCEA83C8A378BF1]], prehashed=True)
    assert longer.tolist() == same.tolist()


def test_the_empty_set_is_like_nothing() -> None:
    for options in (
        {},
        {"hashes_per_word": 2},
        {"bits_per_hash": 8},
        {"bits_per_hash": 1},
        {"bits_per_hash": 8, "hashes_per_word": 2},
    ):
        minhash = MinHash(16, **options)
        empty, one = minhash.signatures([[], [3]])
        assert (empty == np.iinfo(minhash.dtype).max).all()
        assert minhash.jaccard(empty, empty) == minhash.jaccard(empty, one) == 0.0
        assert minhash.jaccard(one, one) == 1.0


def test_shapes_and_types() -> None:
    assert MinHash().signatures([]).shape == (0, 128)
    assert [
        MinHash(16, **o).dtype.name
        for o in ({}, {"hashes_per_word": 2}, {"bits_per_hash": 8}, {"bits_per_hash": 5, "hashes_per_word": 2})
    ] == [
        "uint32",
        "uint64",
        "uint8",
        "uint16",
    ]
    many = MinHash(16).signatures([range(i) for i in range(5)])
    assert MinHash(16).jaccard(many[:, None], many).shape == (5, 5)
    assert MinHash(16, hashes_per_word=4).signatures([[1]]).shape == (1, 4)


def test_inputs_that_mean_the_same() -> None:
    lists = [[1, 2, 2**64 - 1], [], [-5]]
    expected = MinHash(16).signatures(lists).tolist()
    offsets = np.array([0, 3, 3, 4])
    assert MinHash(16).signatures((offsets, np.array([1, 2, -1, -5]))).tolist() == expected
    assert MinHash(16).signatures((offsets, np.array([1, 2, 2**64 - 1, 2**64 - 5], np.uint64))).tolist() == expected
    arrays = [np.array([1, 2, -1]), np.array([], np.int64), np.array([-5], np.int32)]
    assert MinHash(16).signatures(arrays).tolist() == expected
    assert MinHash(16).signatures(iter(lists)).tolist() == expected


def test_files(tmp_path: Path) -> None:
    minhash = MinHash(16, hashes_per_word=2, bits_per_hash=4, seed=5)
    words = minhash.signatures([[1], [2]])
    minhash.save(tmp_path / "a.npz", words)
    loaded, again = MinHash.load(tmp_path / "a.npz")
    assert loaded == minhash == pickle.loads(pickle.dumps(minhash))
    assert again.tolist() == words.tolist()
    header = {
        "minhash": formats.MINHASH.version + 1,
        "num_hashes": 16,
        "hashes_per_word": 2,
        "bits_per_hash": 4,
        "seed": 5,
    }
    archive.write(tmp_path / "b.npz", formats.SIGNATURES, header, {"signatures": words})
    with pytest.raises(NegmineValueError, match="version 1 of minhash; got version 2"):
        MinHash.load(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*c\.npz"):
        MinHash.load(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_hashes": 0}, "`num_hashes` must be at least 1; got 0"),
        ({"num_hashes": 4097}, "`num_hashes` must be at most 4096; got 4097"),
        ({"hashes_per_word": 3}, "`hashes_per_word` must divide `num_hashes`; got 3 and 128"),
        ({"hashes_per_word": 0}, "`hashes_per_word` must be at least 1; got 0"),
        ({"bits_per_hash": 0}, "`bits_per_hash` must be at least 1; got 0"),
        (
            {"bits_per_hash": 9, "hashes_per_word": 2},
            "`bits_per_hash` times `hashes_per_word` must be at most 16; got 9 and 2",
        ),
        ({"seed": -1}, "`seed` must be at least 0; got -1"),
        ({"num_hashes": 1.5}, "`num_hashes` must be an integer; got 1.5"),
        ({"bits": 2}, "`MinHash` has no option 'bits'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((NegmineValueError, NegmineTypeError), match=message):
        MinHash(**options)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("abc", "`sets` must be a tuple of two arrays or a sequence of iterables; got str"),
        (5, "`sets` must be a tuple of two arrays or a sequence of iterables; got int"),
        (["abc"], "`sets` must hold iterables of tokens; got 'abc' at row 0"),
        ([[1], ["a"]], "`sets` must hold integers, or strings alone"),
        ([[1.5]], "`sets` must hold integers, or strings alone; got float"),
        ([[True]], "`sets` must hold integers, or strings alone; got bool"),
        ([[2**64]], "`sets` must hold integers that fit 64 bits; got 18446744073709551616"),
        ([["\ud800"]], "`sets` must hold Unicode text"),
        ((np.array([0, 1]), np.array([1.0])), "`sets` must hold integers; got dtype float64"),
        ((np.array([0, 3]), np.array([1, 2])), "`sets` must start at 0"),
        ((np.array([1, 2]), np.array([1, 2])), "`sets` must start at 0"),
        ((np.array([0, 2, 1, 2]), np.array([1, 2])), "`sets` must start at 0"),
        (
            (np.array([], np.int64), np.array([1])),
            "`sets` must start at 0, never fall, and end at the number of tokens, 1",
        ),
    ],
)
def test_bad_sets(sets: object, message: str) -> None:
    with pytest.raises((NegmineValueError, NegmineTypeError), match=message):
        MinHash(16).signatures(sets)


def test_bad_signatures(tmp_path: Path) -> None:
    minhash = MinHash(16)
    with pytest.raises(NegmineValueError, match="`b` must hold signatures of 16 words of uint32; got shape"):
        minhash.jaccard(minhash.signatures([[1]]), np.zeros(16, np.uint64))
    with pytest.raises(NegmineValueError, match="`signatures` must hold signatures of 16 words"):
        minhash.save(tmp_path / "a.npz", np.zeros((2, 8), np.uint32))


# ---- near-duplicates

WORDS = st.lists(st.sampled_from(["cat", "sat", "mat", "dog", "ran", "far", "Ä", "ß"]), max_size=12).map(" ".join)


@given(
    texts=st.lists(WORDS, max_size=12),
    threshold=st.sampled_from([0.3, 0.5, 0.8, 1.0]),
    unit=st.sampled_from(["characters", "words"]),
    n=st.integers(1, 4),
)
def test_groups_of_texts_are_the_oracles(texts: list[str], threshold: float, unit: Any, n: int) -> None:
    found = near_duplicates(texts, threshold=threshold, shingle=unit, shingle_size=n, num_hashes=256, num_threads=1)
    sets = [oracle_sketches.shingles(" ".join(text.casefold().split()), n, unit) for text in texts]
    pairs = [(int(a), int(b)) for a, b in found.pairs]
    for (a, b), similarity in zip(pairs, found.similarities, strict=True):
        assert similarity == oracle_sketches.jaccard(sets[a], sets[b]) >= threshold
    assert found.groups.tolist() == oracle_sketches.groups(len(texts), pairs)
    assert found.n_redundant == len(texts) - found.keep.sum()
    # What a band cannot miss is found.
    for a, b in oracle_sketches.near(sets, threshold):
        if found.probability(oracle_sketches.jaccard(sets[a], sets[b])) > 1 - 1e-9:
            assert found.groups[a] == found.groups[b] >= 0


@given(
    text=st.text(alphabet="ab \n\u2003\u0301\u00e9E\u1100\u1161ß", max_size=60),
    piece=st.integers(1, 8),
)
def test_long_texts_are_normalized_in_pieces(text: str, piece: int) -> None:
    expected = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "PIECE", piece)
        assert list(duplicates.normal_texts([text], "texts")) == [expected]


@given(
    sets=st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=9), strings=st.booleans(), part=st.integers(1, 5)
)
def test_long_lists_are_read_in_parts(*, sets: list[list[int]], strings: bool, part: int) -> None:
    given_sets: list[Any] = [list(map(str, one)) for one in sets] if strings else sets
    expected = MinHash(16).signatures(given_sets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "_PART", part)
        assert MinHash(16).signatures(given_sets).tolist() == expected.tolist()


@given(seed=st.integers(0, 999), threshold=st.sampled_from([0.5, 0.9, 0.99, 1.0]), copies=st.integers(0, 40))
def test_groups_of_vectors_are_exact(seed: int, threshold: float, copies: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((6, 4)).astype(np.float32)
    noisy = base[rng.integers(0, 6, copies)] + rng.choice([0, 0.05, 0.3]) * rng.standard_normal((copies, 4))
    vectors = np.concatenate([base, noisy.astype(np.float32), np.zeros((2, 4), np.float32)])
    found = near_duplicates(embeddings=vectors, threshold=threshold, num_threads=1)
    n = len(vectors)
    left, right = np.triu_indices(n, 1)
    pairs = np.stack([left, right], axis=1)
    scores = negmine.score_pairs(vectors, vectors, pairs)
    equal = (vectors[left] == vectors[right]).all(axis=1) & vectors[left].any(axis=1)
    near = [(int(a), int(b)) for a, b in pairs[(scores >= np.float32(threshold)) | equal]]
    assert found.groups.tolist() == oracle_sketches.groups(n, near)
    assert {tuple(map(int, one)) for one in found.pairs} <= set(near)


def test_the_same_groups_for_any_number_of_threads_and_every_input() -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(list("abcdefghijkl"), 30)) for _ in range(60)]
    texts += [text[:-1] + "z" for text in texts[:30]] + texts[:10]
    runs = [near_duplicates(texts, threshold=0.7, num_threads=threads) for threads in (1, 3)]
    sets = [
        sorted(hash("".join(map(str, one))) for one in oracle_sketches.shingles(text, 5, "characters"))
        for text in texts
    ]
    runs.append(near_duplicates(sets=sets, threshold=0.7))
    for found in runs[1:]:
        assert found.groups.tolist() == runs[0].groups.tolist()
    assert runs[0].verified == runs[1].verified
    assert runs[0].pairs.tolist() == runs[1].pairs.tolist()
    assert runs[0].n_redundant == 40
    words = MinHash(128).signatures(sets)
    assert near_duplicates(signatures=words, threshold=0.6).n_redundant == 40


def test_many_copies_cost_little() -> None:
    found = near_duplicates(["the same text, again and again"] * 3000, threshold=0.9)
    assert found.verified == found.n_redundant == 2999
    assert near_duplicates(embeddings=np.ones((3000, 2), np.float32), threshold=1.0).n_redundant == 2999


def test_one_bucket_of_copies_is_linear_in_rows() -> None:
    # Compared with every other row, or copied for every row, so many would take minutes.
    signatures = np.tile(np.arange(1, 17, dtype=np.uint32), (1_000_000, 1))
    found = near_duplicates(signatures=signatures, threshold=0.9)
    assert found.verified == found.n_redundant == 999_999
    embeddings = np.ones((300_000, 2), np.float32)
    embeddings[:, 1] += np.linspace(0, 0.1, len(embeddings), dtype=np.float32)
    assert near_duplicates(embeddings=embeddings, threshold=0.9).n_redundant == 299_999


def test_texts_are_compared_without_case_form_and_space() -> None:
    found = near_duplicates(["Ein  Straßenname\n", "EIN STRASSENNAME", "Cafe\u0301 am Ufer", "café am ufer", "", " "])
    assert found.groups.tolist() == [0, 0, 2, 2, -1, -1]


def test_bands_follow_the_threshold() -> None:
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        found = near_duplicates(["a"], threshold=threshold)
        at = threshold + (1 - threshold) * (np.arange(1000) + 0.5) / 1000
        assert np.mean([1 - found.probability(s) for s in at]) <= 0.01
        assert found.bands * found.band_rows <= 128
    assert near_duplicates(["a"], threshold=0.9).band_rows > near_duplicates(["a"], threshold=0.5).band_rows


def test_nothing_at_all() -> None:
    for found in (
        near_duplicates([]),
        near_duplicates(embeddings=np.zeros((0, 3), np.float32)),
        near_duplicates(sets=[]),
    ):
        assert found.groups.shape == (0,)
        assert found.pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`texts`, `sets`, `signatures` or `embeddings` must be given, and only one of them; got none"),
        ({"texts": ["a"], "sets": [[1]]}, "only one of them; got texts, sets"),
        ({"texts": "abc"}, "`texts` must be an iterable of strings; got str"),
        ({"texts": ["a", 5]}, "`texts` must hold strings; got 5 at row 1"),
        ({"texts": np.eye(2)}, "`texts` must hold strings; got an array at row 0. Pass embeddings as `embeddings=`."),
        ({"texts": ["a"], "threshold": 0.0}, "`threshold` must be greater than 0"),
        ({"texts": ["a"], "threshold": 1.5}, "`threshold` must be at most 1; got 1.5"),
        ({"texts": ["a"], "shingle_size": 0}, "`shingle_size` must be at least 1; got 0"),
        ({"texts": ["a"], "shingle": "lines"}, "`shingle` must be one of 'characters', 'words'; got 'lines'"),
        ({"signatures": np.zeros((2, 4))}, "`signatures` must be a uint32 array"),
        ({"embeddings": np.full((3, 2), np.nan)}, "`embeddings` must be finite; row 0 holds"),
        ({"embeddings": np.zeros((3, 0))}, "`embeddings` must be at least 1 wide"),
        ({"sets": (np.array([0, 3]), np.array([1, 2]))}, "`sets` must start at 0"),
        ({"txt": ["a"]}, "`near_duplicates` has no option 'txt'"),
        (
            {"texts": ["a"], "memory_limit": 1 << 30},
            "`memory_limit` must be given with `embeddings`; got it with `texts`",
        ),
        (
            {"sets": [[1]], "memory_limit": 1 << 30},
            "`memory_limit` must be given with `embeddings`; got it with `sets`",
        ),
        ({"embeddings": np.eye(3), "memory_limit": -1}, "`memory_limit` must be at least 0; got -1"),
        ({"embeddings": np.eye(3), "memory_limit": 1.5}, "`memory_limit` must be an integer; got 1.5"),
        (
            {"embeddings": np.eye(3), "memory_limit": 99},
            r"`memory_limit` must be at least \d+ bytes for this work; got 99",
        ),
        ({"embeddings": np.full((3, 2), 1e300)}, "`embeddings` must fit float32, to which float64 is rounded; row 0"),
    ],
)
def test_bad_near_duplicates(options: dict[str, Any], message: str) -> None:
    with pytest.raises((NegmineValueError, NegmineTypeError, MemoryLimitError), match=message):
        near_duplicates(**options)
