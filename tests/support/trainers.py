"""Tiny trainings that record which rows every step saw; run as a script, on each of several processes.

`trainers.py NAME FOLDER OPTIONS`, with options in JSON, trains and writes a batch's rows to `FOLDER/NAME-RANK.json`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from negmine.batches import BatchPlan
from shuffled import PLAN, make

Batches = list[list[int]]

#: The document of each row of a set of pairs: some belong to several rows.
DOCUMENTS = [i % 23 for i in range(64)]


class Rows(Dataset[dict[str, torch.Tensor]]):
    """A number and a row number for every row."""

    def __len__(self) -> int:
        return PLAN.n_rows

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([float(row)]), "row": torch.tensor(row)}


class Recorder(nn.Module):
    """One weight, and the rows of every batch that it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(1, 1)
        self.seen: Batches = []

    def forward(self, x: torch.Tensor, row: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
        self.seen.append(row.tolist())
        return {"loss": self.weight(x / PLAN.n_rows).square().mean()}


def expected(epoch: int, num_replicas: int = 1, rank: int = 0) -> Batches:
    """Batches that a rank should see in an epoch."""
    return [PLAN.batch(epoch, index).tolist() for index in range(rank, len(PLAN), num_replicas)]


def accelerate(epochs: int = 2, workers: int = 0, skip: int = 0, first_epoch: int = 0) -> Batches:
    """Train with accelerate, which deals out the batches and sets the epochs."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = Recorder()
    prepared, optimizer, loader = accelerator.prepare(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        DataLoader(Rows(), batch_sampler=make(), num_workers=workers),
    )
    loader.set_epoch(first_epoch)
    for epoch in range(first_epoch, epochs):
        # Within the epoch that is resumed, accelerate leaves out what was seen.
        batches = accelerator.skip_first_batches(loader, skip) if epoch == first_epoch and skip else loader
        for batch in batches:
            accelerator.backward(prepared(**batch)["loss"])
            optimizer.step()
            optimizer.zero_grad()
        loader.set_epoch(epoch + 1)
    accelerator.end_training()
    return model.seen


def transformers(folder: str, epochs: int = 2, workers: int = 0, save_steps: int = 0, resume: str = "") -> Batches:
    """Train with the Trainer of transformers."""
    from transformers import Trainer, TrainingArguments

    from negmine.integrations.transformers import SetEpochCallback

    class BatchTrainer(Trainer):
        def get_train_dataloader(self) -> Any:
            loader = DataLoader(self.train_dataset, batch_sampler=make(), num_workers=workers)
            return self.accelerator.prepare(loader)

    model = Recorder()
    args = TrainingArguments(
        output_dir=folder,
        num_train_epochs=epochs,
        save_strategy="steps" if save_steps else "no",
        save_steps=save_steps or 1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = BatchTrainer(model, args, train_dataset=Rows(), callbacks=[SetEpochCallback()])
    trainer.train(resume_from_checkpoint=resume or None)
    return model.seen


def word_model(words: Sequence[str]) -> Any:
    """Return a SentenceTransformer with one embedding per word, whose token ids are the places of the words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")


def sentence_transformers(
    folder: str,
    epochs: int = 2,
    batches_per_step: int = 1,
    save_steps: int = 0,
    resume: str = "",
    parts: int = 1,
    workers: int = 0,
    plans: Sequence[BatchPlan] = (),
    held: int = 0,
    remainder: Literal["pad", "short"] = "pad",
    weights: Sequence[float] | str = "",
    seen: Batches | None = None,
) -> Batches:
    """Train a static embedding of whole texts, so that a batch's token ids are its rows; with ``parts`` data sets.

    With ``held``, so many of the first rows are for the evaluation at the end of every epoch; of two plans the second
    one is theirs. With ``weights``, the data sets are mixed by them. Batches go to ``seen`` as they come.
    """
    import datasets
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    from negmine.integrations.sentence_transformers import (
        mixture_batch_sampler,
        no_duplicate_batch_sampler,
        plan_batch_sampler,
    )
    from negmine.integrations.transformers import SetEpochCallback

    texts = [f"q{i}" for i in range(len(DOCUMENTS))] + [f"d{i}" for i in range(max(DOCUMENTS) + 1)]
    model = word_model(texts)
    seen = [] if seen is None else seen

    class Loss(MultipleNegativesRankingLoss):
        def forward(self, sentence_features: Any, labels: Any = None) -> torch.Tensor:
            features = list(sentence_features)
            seen.append(features[0]["input_ids"].tolist())
            return super().forward(features, labels)

    rows = range(len(DOCUMENTS))
    data = [
        datasets.Dataset.from_dict(
            {
                "anchor": [f"q{i}" for i in rows[part::parts]],
                "positive": [f"d{DOCUMENTS[i]}" for i in rows[part::parts]],
            }
        )
        for part in range(parts)
    ]
    evaluation = data[0].select(range(held)) if held else None
    if plans:
        batches = plan_batch_sampler(
            dict(zip(("train", "held"), plans, strict=True)), {"train": data[0], "held": evaluation}
        )
    else:
        batches = no_duplicate_batch_sampler(batches_per_step=batches_per_step, remainder=remainder)
    args = SentenceTransformerTrainingArguments(
        output_dir=folder,
        num_train_epochs=epochs,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        batch_sampler=batches,
        multi_dataset_batch_sampler=(
            mixture_batch_sampler(weights, batches_per_step=batches_per_step) if weights else "proportional"
        ),
        eval_strategy="epoch" if held else "no",
        save_strategy="steps" if save_steps else "no",
        save_steps=save_steps or 1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
        dataloader_num_workers=workers,
        seed=12,
    )
    train = data[0] if parts == 1 else datasets.DatasetDict({f"part{i}": each for i, each in enumerate(data)})
    trainer = SentenceTransformerTrainer(
        model,
        args,
        train_dataset=train,
        eval_dataset=evaluation,
        loss=Loss(model),
        callbacks=[SetEpochCallback()],
    )
    trainer.train(resume_from_checkpoint=resume or None)
    return seen


def lightning(
    folder: str,
    epochs: int = 2,
    workers: int = 0,
    stop_after: int = 0,
    resume: str = "",
    devices: int = 1,
    state: bool = False,
) -> Batches:
    """Train with Lightning; with ``stop_after``, save after so many steps and stop there."""
    from lightning.pytorch import LightningModule, Trainer

    from negmine.integrations.lightning import SetEpochCallback

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.recorder = Recorder()

        def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
            return self.recorder(**batch)["loss"]

        def on_train_batch_end(self, outputs: object, batch: object, index: int) -> None:
            if stop_after and self.trainer.global_step == stop_after:
                self.trainer.save_checkpoint(Path(folder) / "stopped.ckpt")
                self.trainer.should_stop = True

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    rank = int(os.environ.get("LOCAL_RANK", 0))
    sampler = make(devices, rank)
    loader_class: Any = DataLoader
    if state:
        from torchdata.stateful_dataloader import StatefulDataLoader

        loader_class = StatefulDataLoader
    loader = loader_class(Rows(), batch_sampler=sampler, num_workers=workers)
    module = Module()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,
        callbacks=[SetEpochCallback(sampler)],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        min_epochs=0,
    )
    trainer.fit(module, loader, ckpt_path=resume or None, weights_only=False)
    return module.recorder.seen


if __name__ == "__main__":
    name, folder, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    if name != "accelerate":
        options["folder"] = str(folder)
    if name == "lightning":
        options["devices"] = int(os.environ["WORLD_SIZE"])
    seen = globals()[name](**options)
    (folder / f"{name}-{os.environ['RANK']}.json").write_text(json.dumps(seen))
