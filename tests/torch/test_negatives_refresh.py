"""Fresh negatives reach workers that live on, started in any way; what had been read ahead stays old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data import DataLoader

import negmine
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch import NegativesDataset, NegativesTable, collate, redraw
from negmine.torch.data import refresh
from refreshed import N_DOCUMENTS, N_QUERIES, mined

FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@FORKING
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_persistent_workers_see_the_negatives_of_every_epoch(method: str, tmp_path: Path) -> None:
    negatives = mined()
    table = NegativesTable.create(tmp_path / "table", negatives)
    loader = DataLoader(
        NegativesDataset(None, None, table),
        batch_size=15,
        num_workers=2,
        persistent_workers=True,
        collate_fn=collate,
        multiprocessing_context=method,
        timeout=60,
    )
    seen = []
    for epoch in range(3):
        fresh = redraw(table, negatives, epoch=epoch) if epoch else negatives
        batches = list(loader)
        assert {value for batch in batches for value in batch["generation"].tolist()} == {epoch}
        np.testing.assert_array_equal(torch.cat([batch["negative_indices"] for batch in batches]), fresh.indices)
        np.testing.assert_array_equal(torch.cat([batch["scores"] for batch in batches]), fresh.scores)
        seen.append(fresh.indices)
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()


@FORKING
def test_what_is_published_within_an_epoch_comes_after_what_was_read_ahead(tmp_path: Path) -> None:
    negatives = mined()
    table = NegativesTable.create(tmp_path / "table", negatives)
    workers, ahead, taken = 2, 3, 5
    loader = DataLoader(
        NegativesDataset(None, None, table),
        batch_size=1,
        num_workers=workers,
        prefetch_factor=ahead,
        collate_fn=collate,
        multiprocessing_context="fork",
        timeout=60,
    )
    generations = []
    for i, batch in enumerate(loader, start=1):
        generations += batch["generation"].tolist()
        if i == taken:
            redraw(table, negatives, epoch=1)
    assert generations[:taken] == [0] * taken
    assert generations[taken + workers * ahead :] == [1] * (N_QUERIES - taken - workers * ahead)


def test_a_redraw_is_that_of_the_negatives(tmp_path: Path) -> None:
    negatives = mined()
    table = NegativesTable.create(tmp_path / "table", negatives)
    fresh = redraw(table, negatives, epoch=7, num_threads=1)
    assert (table.generation, table.current().epoch, fresh.epoch) == (1, 7, 7)
    np.testing.assert_array_equal(table.current().indices, negatives.redraw(7).indices)


class Model:
    """Embeds rows by a matrix; says how it was called."""

    def __init__(self, seed: int, form: Any = np.asarray) -> None:
        self.weight = np.random.default_rng(seed).standard_normal((8, 5), dtype=np.float32)
        self.form, self.sizes, self.gradients = form, [], []  # type: tuple[Any, list[int], list[bool]]

    def __call__(self, rows: list[list[float]]) -> Any:
        self.sizes.append(len(rows))
        self.gradients.append(torch.is_grad_enabled())
        return self.form(np.asarray(rows, dtype=np.float32) @ self.weight)


FEATURES = np.random.default_rng(1).standard_normal((N_DOCUMENTS, 8), dtype=np.float32)
ENTRIES = FEATURES.tolist()
LABELS = [[query] for query in range(N_QUERIES)]
MINER = negmine.HardNegativeMiner(3, relative_margin=0.01, num_random=1, seed=4)


def mined_with(model: Model, **options: Any) -> negmine.HardNegatives:
    index = negmine.ExactIndex(model(ENTRIES), metric="ip")
    return MINER.mine(index, model(ENTRIES[:N_QUERIES]), LABELS, **options)


@pytest.mark.parametrize(
    "form",
    [np.asarray, torch.from_numpy, lambda rows: torch.from_numpy(rows).requires_grad_()],
    ids=["array", "tensor", "grad"],
)
def test_a_refresh_mines_with_the_model_as_it_is(form: Any, tmp_path: Path) -> None:
    first = mined_with(Model(0))
    table = NegativesTable.create(tmp_path / "table", first)
    model = Model(1, form)
    fresh = refresh(
        table, MINER, model, ENTRIES[:N_QUERIES], ENTRIES, LABELS, batch_size=40, metric="ip", epoch=2, warm_start=first
    ).negatives
    expected = mined_with(Model(1), epoch=2)
    np.testing.assert_array_equal(fresh.indices, expected.indices)
    np.testing.assert_array_equal(table.current().indices, expected.indices)
    np.testing.assert_array_equal(table.current().scores, expected.scores)
    assert (table.generation, table.current().epoch) == (1, 2)
    assert (fresh.indices != first.indices).any()
    assert model.sizes == [40, 20, 40, 40, 17]
    assert not any(model.gradients)
    assert torch.is_grad_enabled()
    assert fresh.redraw(epoch=3).epoch == 3


def test_documents_may_have_an_encoder_of_their_own(tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", mined_with(Model(0)))
    queries, documents = Model(1), Model(2)
    fresh = refresh(table, MINER, queries, ENTRIES[:N_QUERIES], ENTRIES, LABELS, encode_documents=documents).negatives
    index = negmine.ExactIndex(documents(ENTRIES))
    np.testing.assert_array_equal(fresh.indices, MINER.mine(index, queries(ENTRIES[:N_QUERIES]), LABELS).indices)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encode": 3}, ["`encode` must be callable", "int"]),
        ({"encode": lambda rows: np.zeros((len(rows) + 1, 2), np.float32)}, ["`encode` must give one row", "(41, 2)"]),
        (
            {"encode": lambda rows: np.zeros((len(rows), len(rows)), np.float32)},
            ["`encode` must", "(20, 20)", "from 40"],
        ),
        ({"encode": lambda rows: np.zeros(len(rows), np.float32)}, ["`encode` must have shape"]),
        ({"encode_documents": lambda rows: list(rows)}, ["`encode_documents` must be a NumPy array", "list"]),
        (
            {"encode": lambda rows: np.zeros((len(rows), 2), np.float32 if len(rows) == 40 else np.float64)},
            ["`encode` must give one dtype", "float64 for the entries from 40 on, after float32"],
        ),
        (
            {"encode": lambda rows: np.where(np.arange(len(rows)) == 19, np.nan, 1.0)[:, None].astype(np.float32)},
            ["`encode` must give finite numbers; got NaN or infinity for entry 19"],
        ),
        ({"step": 0.5}, ["`step` must be an integer", "0.5"]),
        ({"step": -2}, ["`step` must be at least -1", "-2"]),
        ({"chunk": 3}, ["`chunk` must be None or (round, n_chunks)", "3"]),
        ({"chunk": (1, 2, 3)}, ["`chunk` must be None or (round, n_chunks)"]),
        ({"chunk": (0, 61)}, ["`chunk[1]` must be at most 60", "61"]),
        ({"chunk": (0, 0)}, ["`chunk[1]` must be at least 1"]),
        ({"chunk": (-1, 5)}, ["`chunk[0]` must be at least 0"]),
        ({"chunk": (0.5, 5)}, ["`chunk[0]` must be an integer"]),
        (
            {"chunk": (0, 5), "miner": negmine.HardNegativeMiner(5), "encode": None},
            ["`negatives` of a part of the rows must have the 4 negatives per row of the table; got 5"],
        ),
        ({"previous_embeddings": FEATURES[1:61, :3]}, ["`previous_embeddings` must be as wide", "5; got 3"]),
        ({"previous_embeddings": FEATURES[:3], "encode": None}, ["`previous_embeddings` must have the 60 rows", "3"]),
        ({"previous_embeddings": FEATURES[0]}, ["`previous_embeddings` must have shape"]),
        ({"num_threads": 0, "encode": None}, ["`num_threads` must be at least 1"]),
        ({"progress": 3, "encode": None}, ["`progress` must be callable"]),
        ({"queries": ENTRIES[: N_QUERIES - 1], "encode": None}, [f"`queries` must be the {N_QUERIES} of the table or"]),
        ({"queries": dict.fromkeys(range(N_QUERIES))}, ["`queries` must be a sequence", "dict"]),
        ({"queries": []}, ["`queries` must have entries to embed"]),
        ({"documents": ENTRIES[1:]}, ["`documents` must be the 97 of the table; got 96"]),
        ({"documents": iter(ENTRIES)}, ["`documents` must be a sequence", "list_iterator"]),
        ({"batch_size": 0}, ["`batch_size` must be at least 1", "0"]),
        ({"miner": negmine.ExactIndex(FEATURES)}, ["`miner` must be a HardNegativeMiner", "ExactIndex"]),
        ({"table": "table"}, ["`table` must be a NegativesTable", "str"]),
        ({"exclud": []}, ["`refresh` has no option 'exclud'"]),
    ],
)
def test_a_refresh_that_cannot_be_publishes_nothing(changes: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", mined_with(Model(0)))
    arguments: dict[str, Any] = {
        "table": table,
        "miner": MINER,
        "encode": Model(1),
        "queries": ENTRIES[:N_QUERIES],
        "documents": ENTRIES,
        "positives": LABELS,
        "batch_size": 40,
        **changes,
    }
    with pytest.raises(negmine.NegmineError) as caught:
        refresh(**arguments)
    assert all(word in str(caught.value) for word in words)
    assert table.generation == 0


def test_a_redraw_needs_the_pool_and_a_table(tmp_path: Path) -> None:
    negatives = mined()
    table = NegativesTable.create(tmp_path / "table", negatives)
    negatives.save(tmp_path / "negatives.npz")
    with pytest.raises(NegmineValueError, match="must have the pool"):
        redraw(table, negmine.HardNegatives.load(tmp_path / "negatives.npz"), epoch=1)
    with pytest.raises(NegmineTypeError, match="`table` must be a NegativesTable; got HardNegatives"):
        redraw(negatives, negatives, epoch=1)  # type: ignore[arg-type]
    with pytest.raises(NegmineTypeError, match="`negatives` must be a HardNegatives; got NegativesTable"):
        redraw(table, table, epoch=1)  # type: ignore[arg-type]
    assert table.generation == 0
