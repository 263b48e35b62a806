"""Ids of mined negatives, joined with texts by sentence-transformers' own transform and trained on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finetuning
from finetuning import DOCUMENTS, N_QUERIES, POSITIVES, QUERIES, mined

datasets = pytest.importorskip("datasets")
resolve_ids = getattr(pytest.importorskip("sentence_transformers.util"), "resolve_ids", None)
pytestmark = pytest.mark.skipif(resolve_ids is None, reason="this sentence-transformers has no resolve_ids")

IDS = {"text": lambda kind, row: f"{kind}-{row}", "number": lambda kind, row: 1000 + 7 * row}


def lookups(ids: Any) -> tuple[Any, Any]:
    """Make the data sets of queries and documents, by id."""
    queries = {"query_id": [ids("q", row) for row in range(N_QUERIES)], "query": QUERIES}
    documents = {"document_id": [ids("d", row) for row in range(len(DOCUMENTS))], "text": DOCUMENTS}
    return datasets.Dataset.from_dict(queries), datasets.Dataset.from_dict(documents)


def train_once(folder: Path, dataset: Any, make_loss: Any) -> None:
    """Train one step, which must change the model."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    model = finetuning.tiny_model()
    before = model[0].embedding.weight.detach().clone()
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=1,
        per_device_train_batch_size=8,
        learning_rate=0.1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    SentenceTransformerTrainer(model, args, train_dataset=dataset, loss=make_loss(model)).train()
    assert not torch.equal(model[0].embedding.weight.detach(), before)


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_tuples_of_ids_are_joined_and_trained_on(tmp_path: Path, ids: Any) -> None:
    negatives = mined().indices
    rows = np.column_stack([np.arange(N_QUERIES), POSITIVES, negatives])
    names = ["query_id", "positive_id", "negative_id_1", "negative_id_2"]
    columns: dict[str, Any] = {
        name: [ids("q" if name == "query_id" else "d", row) for row in column]
        for name, column in zip(names, rows.T.tolist(), strict=True)
    }
    dataset = datasets.Dataset.from_dict({**columns, "label": rows.tolist()})
    queries, documents = lookups(ids)
    transform = resolve_ids({name: queries if name == "query_id" else documents for name in names})
    dataset.set_transform(pickle.loads(pickle.dumps(transform)))
    texts = [[QUERIES[row[0]], *(DOCUMENTS[document] for document in row[1:])] for row in rows.tolist()]
    assert [list(row.values())[:4] for row in dataset] == texts
    assert [row["label"] for row in dataset] == rows.tolist()
    seen: finetuning.Batches = []
    # The loss checks that the texts of the batch are those of its ids.
    train_once(tmp_path, dataset, lambda model: finetuning.recording_loss(model, seen))
    assert len(seen) == 1


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_lists_of_ids_with_scores_are_joined_and_trained_on(tmp_path: Path, ids: Any) -> None:
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss

    negatives = mined()
    rows = np.column_stack([POSITIVES, negatives.indices]).tolist()
    scores = np.column_stack([np.ones(N_QUERIES, dtype=np.float32), negatives.scores]).tolist()
    dataset = datasets.Dataset.from_dict(
        {
            "query_id": [ids("q", row) for row in range(N_QUERIES)],
            "document_ids": [[ids("d", document) for document in row] for row in rows],
            "scores": scores,
        }
    )
    queries, documents = lookups(ids)
    dataset.set_transform(resolve_ids({"query_id": queries, "document_ids": documents}))
    assert list(dataset[0]) == ["query", "document_1", "document_2", "document_3", "scores"]
    assert [list(row.values())[1:4] for row in dataset] == [[DOCUMENTS[document] for document in row] for row in rows]
    assert dataset[3]["scores"] == scores[3]
    train_once(tmp_path, dataset, DistillKLDivLoss)
