"""A tiny model with random weights, a slow one whose calls are logged, and a child that encodes.

`encoders.py CACHE LOG SECONDS` encodes texts into a cache and is killed by its test.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

#: Texts, and texts of a chunk.
TEXTS, CHUNK = [f"text {i}" for i in range(50)], 4

#: Words of the tiny model.
WORDS = ["[PAD]", "[UNK]", "query", "passage", ":", "text", *map(str, range(100))]


def tiny_model(seed: int = 0, **options: Any) -> SentenceTransformer:
    """Make a model that adds random vectors of words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(seed).standard_normal((len(WORDS), 8), dtype=np.float32)
    with torch.no_grad():
        return SentenceTransformer(
            modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu", **options
        )


def vector(text: str) -> NDArray[np.float32]:
    """Compute the vector that the slow model gives to a text."""
    return np.sin(np.arange(1, 6) * (1 + int(text.split()[1]))).astype(np.float32)


class Slow:
    """A model without weights that logs every call, slowly."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self.log, self.seconds = log, seconds

    def __repr__(self) -> str:
        return "Slow()"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def encode_document(self, texts: list[str], **_: Any) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        with self.log.open("a") as file:
            file.write(f"{texts[0]}\n")
        return np.stack([vector(text) for text in texts])


def calls(log: Path) -> list[str]:
    """Read the first text of every logged call."""
    return log.read_text().split("\n")[:-1] if log.exists() else []


def encode_slowly(cache: Path, log: Path, seconds: float) -> NDArray[np.float32]:
    """Encode all texts into a cache, in small chunks."""
    from negmine.integrations.sentence_transformers import embedding_cache, encode

    embedding_cache.CHUNK_TEXTS = CHUNK
    return encode(Slow(log, seconds), TEXTS, kind="document", cache=cache)


if __name__ == "__main__":
    import negmine.integrations.sentence_transformers  # noqa: F401 (before the clock of the test starts)

    print("ready", flush=True)
    encode_slowly(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
