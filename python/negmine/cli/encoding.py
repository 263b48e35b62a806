"""Embeddings of texts by a model, for ``negmine mine --model``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.options import check_integer
from negmine.cli.errors import ArgumentError
from negmine.cli.progress import shown
from negmine.errors import NegmineValueError
from negmine.io import Texts

__all__ = ["CACHE_NAME", "Model"]

#: Folder of embeddings, in the folder of the result.
CACHE_NAME = "negmine-embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of sentence-transformers and how it encodes, as the options of ``negmine mine``."""

    name: str | None = None
    device: str | None = None
    batch_size: int | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    cache: Path = Path(CACHE_NAME)

    def __post_init__(self) -> None:
        if self.name is None:
            for option in ("device", "batch_size", "query_prompt", "document_prompt"):
                if getattr(self, option) is not None:
                    raise ArgumentError(f"`--{option.replace('_', '-')}` must come with `--model`; got no model.")
        if self.batch_size is not None:
            check_integer(self.batch_size, "batch_size", least=1)

    def encode(self, queries: Texts, documents: Texts) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Encode the queries and the documents.

        Parameters
        ----------
        queries, documents : Texts
            The texts; titles are joined with the texts of documents.

        Returns
        -------
        tuple of (float32 (n_queries, width), float32 (n_documents, width))
            Memory maps of the cache.
        """
        # The adapter imports torch, which other commands must not wait for.
        from negmine.integrations.sentence_transformers import encode

        model = self._load()
        found = []
        for kind, texts, prompt in (
            ("document", documents, self.document_prompt),
            ("query", queries, self.query_prompt),
        ):
            with shown(f"encoding {'queries' if kind == 'query' else 'documents'}", len(texts), "texts") as progress:
                found.append(
                    encode(
                        model,
                        texts.joined(),
                        kind=kind,  # type: ignore[arg-type]
                        prompt=prompt,
                        batch_size=32 if self.batch_size is None else self.batch_size,
                        cache=self.cache,
                        progress=progress,
                    )
                )
        return found[1], found[0]

    def _load(self) -> Any:  # noqa: ANN401 (a SentenceTransformer)
        library = require("sentence_transformers", "sentence-transformers", "encoding texts")
        try:
            return library.SentenceTransformer(self.name, device=self.device)
        except Exception as error:
            reason = str(error).split("\n", 1)[0] or type(error).__name__
            raise NegmineValueError(f"`model` must be a model that can be loaded; got {self.name}: {reason}") from error
