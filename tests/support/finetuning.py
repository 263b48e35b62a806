"""Trainings of sentence-transformers on mined negatives, that record the ids of every batch.

`finetuning.py NAME FOLDER OPTIONS`, with options in JSON, runs one of the functions on each of several processes, and
writes its result to `FOLDER/NAME-RANK.json`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import negmine
from negmine.store import NegativesTable

N_QUERIES, N_DOCUMENTS, NEGATIVES = 32, 60, 2

QUERIES = [f"q{row}" for row in range(N_QUERIES)]
DOCUMENTS = [f"d{row}" for row in range(N_DOCUMENTS)]

#: Document of each query; some belong to several queries.
POSITIVES = [row % 23 for row in range(N_QUERIES)]

Batches = list[list[list[int]]]


def mined(seed: int = 0, epoch: int = 0, num_negatives: int = NEGATIVES) -> negmine.HardNegatives:
    """Mine random embeddings: another seed is another model."""
    rng = np.random.default_rng(seed)
    queries, documents = (rng.standard_normal((n, 8), dtype=np.float32) for n in (N_QUERIES, N_DOCUMENTS))
    miner = negmine.HardNegativeMiner(num_negatives, range_max=20, sampling="random")
    return miner.mine(negmine.ExactIndex(documents), queries, [[row] for row in POSITIVES], epoch=epoch)


def table_in(folder: Path | str, negatives: negmine.HardNegatives) -> NegativesTable:
    """Open the table of a folder, or make it if it is not there."""
    path = Path(folder) / "table"
    return NegativesTable(path) if path.exists() else NegativesTable.create(path, negatives)


def tiny_model() -> Any:
    """Make a model of one vector per text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {text: i for i, text in enumerate(QUERIES + DOCUMENTS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="q0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.random.default_rng(7).standard_normal((len(vocabulary), 4), dtype=np.float32)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")


def recording_loss(model: Any, seen: Batches, **options: Any) -> Any:
    """Make the masked loss, which also checks that the texts of a batch are those of its ids, and records the ids."""
    from negmine.integrations.sentence_transformers import MaskedMultipleNegativesRankingLoss

    class Loss(MaskedMultipleNegativesRankingLoss):
        def forward(self, sentence_features: Any, labels: Any = None) -> torch.Tensor:
            features = list(sentence_features)
            texts = torch.stack([column["input_ids"] for column in features], dim=1)
            assert torch.equal(texts, labels + torch.tensor([0, *[N_QUERIES] * (len(features) - 1)]))
            seen.append(labels.tolist())
            return super().forward(features, labels)

    return Loss(model, [[row] for row in POSITIVES], **options)


def finetune(
    folder: str,
    epochs: int = 3,
    workers: int = 0,
    persistent: bool = False,
    save_steps: int = 0,
    resume: str = "",
    remines: bool = False,
    every_steps: int | None = None,
    batches_per_step: int = 1,
    gather: bool = False,
    fails: bool = False,
) -> Batches:
    """Train on a table of negatives that change; return the ids of each batch."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    from negmine.integrations.sentence_transformers import (
        NegativesCallback,
        negatives_dataset,
        no_duplicate_batch_sampler,
    )
    from negmine.integrations.transformers import SetEpochCallback

    first = mined()
    if int(os.environ.get("RANK", 0)) == 0:
        table_in(folder, first)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        torch.distributed.init_process_group("gloo")
        torch.distributed.barrier()
    table = table_in(folder, first)
    model = tiny_model()

    def remine(current: Any, number: int) -> negmine.HardNegatives:
        if fails:
            raise RuntimeError("the disk is full")
        # A function of the model, so that another model gives other negatives.
        weights = current[0].embedding.weight
        return mined(seed=int(weights.abs().sum().item() * 1e4), epoch=number)

    seen: Batches = []
    args = SentenceTransformerTrainingArguments(
        output_dir=folder,
        num_train_epochs=epochs,
        per_device_train_batch_size=4,
        learning_rate=0.1,
        batch_sampler=no_duplicate_batch_sampler(batches_per_step=batches_per_step),
        save_strategy="steps" if save_steps else "no",
        save_steps=save_steps or 1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
        dataloader_num_workers=workers,
        dataloader_persistent_workers=persistent,
        seed=12,
    )
    trainer = SentenceTransformerTrainer(
        model,
        args,
        train_dataset=negatives_dataset(table, QUERIES, DOCUMENTS, positives=POSITIVES),
        loss=recording_loss(model, seen, gather_across_devices=gather),
        callbacks=[
            SetEpochCallback(),
            NegativesCallback(table, first, remine=remine if remines else None, every_steps=every_steps),
        ],
    )
    trainer.train(resume_from_checkpoint=resume or None)
    return seen


#: Ids of a batch of two processes: queries and positives repeat, and some negatives are positives of other rows.
GATHERED = torch.tensor(
    [[0, 0, 5, 6], [1, 1, 0, 7], [2, 2, 23, 3], [0, 0, 9, 2], [23, 0, 1, 8], [3, 3, 2, -1], [26, 3, 0, 4], [4, 4, 3, 1]]
)


def embedding() -> torch.nn.Module:
    """Make a model of one vector per number."""

    class Embedding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vectors = torch.nn.Embedding(N_QUERIES + N_DOCUMENTS + 1, 4, dtype=torch.float64)

        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": self.vectors(features["rows"])}

    torch.manual_seed(5)
    return Embedding()


def step_of(model: torch.nn.Module, ids: torch.Tensor, gather: bool) -> float:
    """Compute the loss of a batch and its gradients."""
    from negmine.integrations.sentence_transformers import MaskedMultipleNegativesRankingLoss

    loss = MaskedMultipleNegativesRankingLoss(
        model, [[row] for row in POSITIVES], scale=3, gather_across_devices=gather
    )
    rows = ids + torch.tensor([0, *[N_QUERIES + 1] * (ids.shape[1] - 1)])
    value = loss([{"rows": column} for column in rows.T], ids)
    value.backward()
    return float(value.item())


def gathered(folder: str) -> list[Any]:
    """Compute the loss and the gradients of one process of two, each with half of the batch."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    model = embedding()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    loss = step_of(parallel, GATHERED[4 * rank : 4 * rank + 4], gather=True)
    torch.distributed.destroy_process_group()
    return [loss, model.vectors.weight.grad.tolist()]


if __name__ == "__main__":
    name, folder, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[name](folder=str(folder), **options)
    (folder / f"{name}-{os.environ['RANK']}.json").write_text(json.dumps(result))
