"""Input and output: read embeddings, texts, judgments and runs; write mined negatives and training rows.

Readers: [`read_embeddings`][] (npy, safetensors, Parquet, Arrow), [`read_texts`][] (JSONL, TSV, Parquet, Arrow),
[`read_qrels`][] and [`read_run`][] (BEIR, TREC), [`read_beir`][] (a whole folder).
[`same_text_groups`][] finds the documents that hold the same text, for ``groups=``, and [`read_groups`][] reads
groups from a file. [`bm25_run`][] ranks texts by BM25.

Writers: [`write_negatives`][] (Parquet, with the provenance of the negatives), whose files [`read_negatives`][]
reads, and [`write_training_rows`][] (triplets, tuples, labeled pairs and lists, FlagEmbedding, Tevatron). Every file
appears whole or not at all.

[`verify_negatives`][] verifies mined negatives against the embeddings, and [`evaluate_negatives`][] evaluates them
against judgments: the negatives that are relevant documents, and how hard the negatives are.
[`check_training_rows`][] checks files of training rows for duplicates, negatives that are positives, and wrong types,
and [`convert_training_rows`][] makes rows of another format, or of mined negatives and their texts.

Files that need pyarrow or safetensors need the extra ``negmine[io]``; these packages are imported when a file needs
them.
"""

from __future__ import annotations

from negmine.data.qrels import Qrels
from negmine.data.runs import Run
from negmine.data.texts import Texts
from negmine.io.beir import RetrievalSet, read_beir
from negmine.io.bm25 import bm25_run
from negmine.io.checking import TrainingRowsCheck, check_training_rows
from negmine.io.converting import convert_training_rows
from negmine.io.embeddings import Embeddings, read_embeddings
from negmine.io.evaluate import NegativesEvaluation, evaluate_negatives
from negmine.io.groups import read_groups
from negmine.io.negatives import MinedRows, Written, read_negatives, write_negatives
from negmine.io.qrels import read_qrels, read_run
from negmine.io.texts import read_texts, same_text_groups
from negmine.io.training import write_training_rows
from negmine.io.verification import NegativesVerification, verify_negatives
from negmine.mining.records import Records

__all__ = [
    "Embeddings",
    "MinedRows",
    "NegativesEvaluation",
    "NegativesVerification",
    "Qrels",
    "Records",
    "RetrievalSet",
    "Run",
    "Texts",
    "TrainingRowsCheck",
    "Written",
    "bm25_run",
    "check_training_rows",
    "convert_training_rows",
    "evaluate_negatives",
    "read_beir",
    "read_embeddings",
    "read_groups",
    "read_negatives",
    "read_qrels",
    "read_run",
    "read_texts",
    "same_text_groups",
    "verify_negatives",
    "write_negatives",
    "write_training_rows",
]
