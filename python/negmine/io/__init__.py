"""Files in and out: embeddings, texts, judgements and runs in; mined negatives and training rows out.

Readers: :func:`read_vectors` (npy, safetensors, Parquet, Arrow), :func:`read_texts` (JSONL, Parquet, Arrow),
:func:`read_qrels` and :func:`read_run` (BEIR, TREC), :func:`read_beir` (a whole folder). :func:`same_text_groups` finds
the documents that hold the same text, for ``groups=``.

What the packages behind the extra ``negmine[io]`` can read, they read: pyarrow and safetensors are imported when a file
needs them.
"""

from __future__ import annotations

from negmine.io.beir import RetrievalSet, read_beir
from negmine.io.judgements import Qrels, Run, read_qrels, read_run
from negmine.io.texts import Texts, read_texts, same_text_groups
from negmine.io.vectors import Vectors, read_vectors

__all__ = [
    "Qrels",
    "RetrievalSet",
    "Run",
    "Texts",
    "Vectors",
    "read_beir",
    "read_qrels",
    "read_run",
    "read_texts",
    "read_vectors",
    "same_text_groups",
]
