"""Encoding with a cache: real models with random weights, kills, damaged files, and everything that the key holds."""

from __future__ import annotations

import copy
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

import datasets
import torch
from tokenizers import pre_tokenizers

import damage
import encoders
from encoders import CHUNK, TEXTS, Slow, calls, encode_slowly, tiny_model, vector
from negmine._core import files
from negmine.errors import NegmineError, NegmineOSError, NegmineTypeError, NegmineValueError
from negmine.integrations.sentence_transformers import embedding_cache, encode, mine_hard_negatives
from negmine.integrations.sentence_transformers.encoding import model_digest

EXPECTED = np.stack([vector(text) for text in TEXTS])
N_CHUNKS = -(-len(TEXTS) // CHUNK)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "CHUNK_TEXTS", CHUNK)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model()


def the_file(cache: Path) -> Path:
    (path,) = cache.rglob("*.negemb")
    return path


# ---- what a real model gives


@pytest.mark.parametrize("kind", ["query", "document"])
@pytest.mark.parametrize("options", [{}, {"normalize": True}, {"prompt": "query : "}, {"prompt_name": "ask"}], ids=str)
def test_embeddings_are_those_of_the_model(model: Any, kind: Any, options: dict[str, Any], tmp_path: Path) -> None:
    named = copy.deepcopy(model)
    named.prompts = {**named.prompts, "ask": "passage : "}
    own = {"normalize_embeddings": options.get("normalize", False)}
    own |= {name: value for name, value in options.items() if name != "normalize"}
    expected = getattr(named, f"encode_{kind}")(TEXTS, show_progress_bar=False, **own)
    np.testing.assert_allclose(encode(named, TEXTS, kind=kind, **options), expected, rtol=1e-6)
    for _ in range(2):
        kept = encode(named, TEXTS, kind=kind, cache=tmp_path, **options)
        np.testing.assert_allclose(kept, expected, rtol=1e-6)
        assert isinstance(kept, np.memmap)
        assert not kept.flags.writeable


def test_a_cached_corpus_is_mined(model: Any, tmp_path: Path) -> None:
    pairs = datasets.Dataset.from_dict({"q": TEXTS[:9], "p": TEXTS[10:19]})
    options: dict[str, Any] = {"corpus": TEXTS, "output_scores": True, "verbose": False}
    plain = mine_hard_negatives(pairs, model, **options)
    for _ in range(2):
        kept = mine_hard_negatives(pairs, model, cache_folder=tmp_path, **options)
        assert kept["negative"] == plain["negative"]
        np.testing.assert_allclose(kept["scores"], plain["scores"], atol=1e-6)


def test_progress_counts_texts(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    encode(
        Slow(tmp_path / "log"),
        TEXTS,
        kind="document",
        cache=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(min(CHUNK * (i + 1), len(TEXTS)), len(TEXTS)) for i in range(N_CHUNKS)]
    encode(Slow(tmp_path / "log"), TEXTS, kind="document", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(TEXTS), len(TEXTS))


# ---- the key


def changes(model: Any) -> Iterator[tuple[str, Any, list[str], dict[str, Any]]]:
    """Yield calls that differ in one thing from ``encode(model, TEXTS)``."""
    yield "another order", model, TEXTS[::-1], {}
    yield "one text more", model, [*TEXTS, "text 7"], {}
    yield "another cut of the same characters", model, ["text 1text", " 2", *TEXTS[2:]], {}
    yield "another kind", model, TEXTS, {"kind": "document"}
    yield "a prompt", model, TEXTS, {"prompt": "query : "}
    yield "normalized", model, TEXTS, {"normalize": True}
    other = tiny_model(seed=1)
    yield "other weights", other, TEXTS, {}
    tuned = copy.deepcopy(model)
    with torch.no_grad():
        tuned[0].embedding.weight[5, 0] += 1e-3
    yield "one weight changed in place", tuned, TEXTS, {}
    yield "half precision", copy.deepcopy(model).half(), TEXTS, {}
    cut = copy.deepcopy(model)
    cut.truncate_dim = 3
    yield "truncated", cut, TEXTS, {}
    prompted = copy.deepcopy(model)
    prompted.prompts = {**prompted.prompts, "query": "passage : "}
    yield "another prompt of the model", prompted, TEXTS, {}
    words = copy.deepcopy(model)
    words[0].tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    yield "another tokenizer", words, TEXTS, {}


def test_whatever_changes_embeddings_encodes_again(model: Any, tmp_path: Path) -> None:
    encode(model, TEXTS, cache=tmp_path)
    for n, (what, changed, texts, options) in enumerate(changes(model), start=2):
        kept = encode(changed, texts, cache=tmp_path, **options)
        np.testing.assert_allclose(kept, encode(changed, texts, **options), rtol=1e-3, atol=1e-3, err_msg=what)
        assert len(list(tmp_path.iterdir())) == n, what


def test_the_device_of_a_copy_and_earlier_calls_do_not_matter(model: Any, tmp_path: Path) -> None:
    model.save(str(tmp_path / "model"))
    from sentence_transformers import SentenceTransformer

    before = model_digest(model)
    model.encode(["text 1", "text 2 3 4"], batch_size=2, show_progress_bar=False)
    assert model_digest(model) == model_digest(copy.deepcopy(model)) == before
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert model_digest(loaded) == model_digest(SentenceTransformer(str(tmp_path / "model"), device="cpu"))


# ---- kills


def killed_at_random(root: Path, n_kills: int) -> None:
    """Kill a process at random moments until one finishes; no finished chunk may be encoded again."""
    moments, kills, number = random.Random(5), 0, 0
    while kills < n_kills:
        number += 1
        cache, log = root / f"cache {number}", root / f"{number}.log"
        while True:
            before = len(calls(log))
            command = [sys.executable, encoders.__file__, str(cache), str(log), "0.02"]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
                try:
                    assert child.wait(timeout=moments.uniform(0.0, 0.4) if kills < n_kills else 60) == 0
                except subprocess.TimeoutExpired:
                    child.kill()
                    kills += child.wait() == -signal.SIGKILL
            logged = calls(log)
            # A killed process loses at most its last chunk.
            assert (
                not before or not logged[before:] or logged[before] in (logged[before - 1], next_of(logged[before - 1]))
            )
            if child.returncode == 0:
                break
        assert list(dict.fromkeys(logged)) == TEXTS[::CHUNK]
        np.testing.assert_array_equal(encode_slowly(cache, log, 0.0), EXPECTED)
        assert calls(log) == logged
        assert sorted(path.name for path in the_file(cache).parent.iterdir()) == ["embeddings.negemb", "lock"]


def next_of(text: str) -> str:
    return f"text {int(text.split()[1]) + CHUNK}"


def test_killed_three_times_no_finished_chunk_is_encoded_again(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_thirty_times_no_finished_chunk_is_encoded_again(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 30)


def test_an_interrupt_keeps_finished_chunks(tmp_path: Path) -> None:
    class Interrupted(Slow):
        def encode_document(self, texts: list[str], **_: Any) -> Any:
            if len(calls(self.log)) == 3:
                raise KeyboardInterrupt
            return super().encode_document(texts)

    with pytest.raises(KeyboardInterrupt):
        encode(renamed(Interrupted(tmp_path / "log")), TEXTS, kind="document", cache=tmp_path / "cache")
    encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    assert calls(tmp_path / "log") == TEXTS[::CHUNK]


def renamed(model: Slow) -> Slow:
    """Check that a model of another class has the key of the slow one."""
    assert model_digest(model) == model_digest(Slow(model.log))
    return model


def test_leftovers_of_a_kill_at_the_end_are_removed(tmp_path: Path) -> None:
    encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    folder = the_file(tmp_path / "cache").parent
    (folder / "0-4.negemb").write_bytes(b"chunk")
    (folder / ".negmine-0123.tmp").write_bytes(b"half")
    encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    assert sorted(path.name for path in folder.iterdir()) == ["embeddings.negemb", "lock"]


# ---- damage and other processes


def test_damaged_embeddings_are_refused(tmp_path: Path) -> None:
    encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    found = damage.outcomes(
        the_file(tmp_path / "cache"), 200, lambda: encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0).tobytes()
    )
    assert found["other"] == found["raw"] == []
    # Padding of the header has no meaning.
    assert all("byte" in what for what in found["same"])
    assert len(calls(tmp_path / "log")) == N_CHUNKS


def test_a_damaged_chunk_is_refused_and_encoded_again_once_it_is_removed(tmp_path: Path) -> None:
    class Failing(Slow):
        def encode_document(self, texts: list[str], **_: Any) -> Any:
            if len(calls(self.log)) == 3:
                raise RuntimeError("out of memory")
            return super().encode_document(texts)

    with pytest.raises(RuntimeError, match="out of memory"):
        encode(Failing(tmp_path / "log"), TEXTS, kind="document", cache=tmp_path / "cache")
    (chunk,) = (tmp_path / "cache").rglob("4-8.negemb")
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(
        NegmineValueError, match=r"corrupt: checksum mismatch in .*4-8.negemb. Remove the file to encode"
    ):
        encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    chunk.unlink()
    np.testing.assert_array_equal(encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0), EXPECTED)


def test_a_file_of_other_texts_is_refused(tmp_path: Path) -> None:
    for name, texts in (("a", TEXTS), ("b", TEXTS[::-1])):
        encode(Slow(tmp_path / "log"), texts, kind="document", cache=tmp_path / name)
    the_file(tmp_path / "a").write_bytes(the_file(tmp_path / "b").read_bytes())
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*embeddings\.negemb"):
        encode(Slow(tmp_path / "log"), TEXTS, kind="document", cache=tmp_path / "a")


def test_one_process_encodes_at_a_time(tmp_path: Path) -> None:
    class Waiting(Slow):
        def encode_document(self, texts: list[str], **_: Any) -> Any:
            with pytest.raises(NegmineValueError, match="`cache` must have one process that encodes the same texts"):
                encode_slowly(tmp_path / "cache", self.log, 0.0)
            return super().encode_document(texts)

    found = encode(Waiting(tmp_path / "log"), TEXTS, kind="document", cache=tmp_path / "cache")
    np.testing.assert_array_equal(found, EXPECTED)


def test_a_full_disk_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    with damage.full_disk(300), pytest.raises(NegmineOSError):
        encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0)
    np.testing.assert_array_equal(encode_slowly(tmp_path / "cache", tmp_path / "log", 0.0), EXPECTED)
    assert not [path for path in (tmp_path / "cache").rglob("*") if files.is_leftover(path)]


# ---- bad input


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"model": "name"},
            NegmineTypeError,
            "`model` must have `encode_query`, as a SentenceTransformer has; got str",
        ),
        ({"texts": "text 1"}, NegmineTypeError, "`texts` must be a list of strings; got the string 'text 1'"),
        ({"texts": 3}, NegmineTypeError, "`texts` must be a list of strings; got int"),
        ({"texts": ["text 1", None]}, NegmineTypeError, "`texts` must hold strings; got None at row 1"),
        ({"texts": []}, NegmineValueError, "`texts` must hold at least one text; got none"),
        ({"kind": "passage"}, NegmineValueError, "`kind` must be one of 'query', 'document'; got 'passage'"),
        ({"prompt": 3}, NegmineTypeError, "`prompt` must be a string; got 3"),
        ({"prompt_name": 3}, NegmineTypeError, "`prompt_name` must be a string; got 3"),
        ({"batch_size": 0}, NegmineValueError, "`batch_size` must be at least 1; got 0"),
        ({"normalize": 1}, NegmineTypeError, "`normalize` must be True or False; got 1"),
        ({"cache": 3}, NegmineTypeError, "`cache` must be a path; got int"),
        ({"cache": "/dev/null/cache"}, NegmineValueError, "`cache` must be a folder where files can be made; got /dev"),
        ({"progress": "bar"}, NegmineTypeError, "`progress` must be callable"),
        ({"normalise": True}, NegmineTypeError, "`encode` has no option 'normalise'. Did you mean 'normalize'"),
    ],
)
def test_bad_input_is_refused(model: Any, options: dict[str, Any], kind: type[NegmineError], message: str) -> None:
    given = {"model": model, "texts": TEXTS, **options}
    with pytest.raises(kind, match=message):
        encode(given.pop("model"), given.pop("texts"), **given)


def test_a_model_without_weights_cannot_be_cached(tmp_path: Path) -> None:
    class NoWeights(Slow):
        state_dict = None  # type: ignore[assignment]

    np.testing.assert_array_equal(encode(NoWeights(tmp_path / "log"), TEXTS, kind="document"), EXPECTED)
    with pytest.raises(NegmineTypeError, match="`model` must have `state_dict` for a cache"):
        encode(NoWeights(tmp_path / "log"), TEXTS, kind="document", cache=tmp_path)
