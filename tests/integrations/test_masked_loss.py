"""The loss with a mask of false negatives, against its definition in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine.batches import false_negative_mask
from negmine.errors import NegmineTypeError, NegmineValueError
from oracle_loss import slow_loss

adapter = pytest.importorskip("negmine.integrations.sentence_transformers")
pytest.importorskip("sentence_transformers")


def make(positives: Any, **options: Any) -> Any:
    return adapter.MaskedMultipleNegativesRankingLoss(torch.nn.Identity(), positives, **options)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[torch.Tensor], torch.Tensor, negmine.Positives]:
    """A batch of a few rows of few documents, so that documents and queries repeat, and some are missing."""
    n_rows, n_columns, n_queries, n_documents = (draw(st.integers(*of)) for of in ((1, 5), (2, 4), (1, 4), (1, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    positives = negmine.Positives.from_lists(
        [np.flatnonzero(rng.random(n_documents) < 0.4).tolist() for _ in range(n_queries)]
    )
    # A document above all that are positives has no pair.
    ids = rng.integers(-1, n_documents + 2, (n_rows, n_columns))
    ids[:, 0] = rng.integers(-1, n_queries, n_rows)
    columns = [torch.from_numpy(rng.standard_normal((n_rows, 3))) for _ in range(n_columns)]
    return columns, torch.from_numpy(ids), positives


@given(batches(), st.sampled_from([1.0, 5.0]))
def test_the_loss_is_its_definition(batch: Any, scale: float) -> None:
    columns, ids, positives = batch
    found = make(positives, scale=scale).compute_loss_from_embeddings(columns, ids)
    assert found.item() == pytest.approx(
        slow_loss([c.tolist() for c in columns], ids.tolist(), positives, scale), abs=1e-9
    )


@given(batches())
def test_masked_documents_get_no_gradient_and_all_others_do(batch: Any) -> None:
    columns, ids, positives = batch
    columns = [column.requires_grad_() for column in columns]
    make(positives, scale=1.0).compute_loss_from_embeddings(columns, ids).backward()
    n = len(ids)
    documents = ids[:, 1:].T.reshape(-1).numpy()
    counts = ~false_negative_mask(ids[:, 0].numpy(), documents, positives)
    counts &= documents != ids[:, 1, None].numpy()
    own = np.eye(n, len(documents), dtype=bool)
    # A positive gets a gradient only if its row has a negative.
    used = (counts | (own & counts.any(axis=1, keepdims=True))).any(axis=0)
    got = torch.cat([column.grad for column in columns[1:]]).abs().sum(dim=1).numpy() > 0
    assert got.tolist() == used.tolist()


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(3)
    columns = [torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    ids = torch.tensor([[0, 1, 2, 3], [1, 2, 4, 5], [0, 3, -1, 4], [2, 0, 1, 2]])
    loss = make([[1, 3], [2], [0, 5]], scale=3.0)
    assert torch.autograd.gradcheck(lambda *of: loss.compute_loss_from_embeddings(list(of), ids), columns)


@pytest.mark.parametrize("negatives", [0, 1, 3])
def test_without_false_negatives_it_is_the_loss_of_sentence_transformers(negatives: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    generator = torch.Generator().manual_seed(negatives)
    columns = [torch.randn(6, 8, generator=generator) for _ in range(2 + negatives)]
    ids = torch.arange(6 * (2 + negatives)).reshape(2 + negatives, 6).T.clone()
    theirs = MultipleNegativesRankingLoss(torch.nn.Identity())
    ours = make([[6 + row] for row in range(6)])
    assert ours.scale == theirs.scale
    torch.testing.assert_close(
        ours.compute_loss_from_embeddings(columns, ids), theirs.compute_loss_from_embeddings(columns, None)
    )


def test_a_row_in_which_only_its_positive_counts_has_no_loss() -> None:
    columns = [torch.randn(3, 4, requires_grad=True) for _ in range(3)]
    ids = torch.tensor([[0, 0, -1], [0, 1, 2], [-1, 7, 8]])
    loss = make([[0, 1, 2, 7, 8]]).compute_loss_from_embeddings(columns, ids)
    loss.backward()
    assert loss.item() == 0
    assert all(bool((column.grad == 0).all()) for column in columns)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_finite_and_close(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randn(8, 16, generator=generator) for _ in range(3)]
    ids = torch.stack([torch.arange(8), torch.arange(8), torch.arange(8) // 2], dim=1)
    loss = make([[row, 7] for row in range(7)] + [[7]])
    exact = loss.compute_loss_from_embeddings(columns, ids)
    low = [column.to(dtype).requires_grad_() for column in columns]
    found = loss.compute_loss_from_embeddings(low, ids)
    found.backward()
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=0.05)
    assert all(bool(column.grad.isfinite().all()) for column in low)
    with torch.autocast("cpu", dtype=dtype):
        found = loss.compute_loss_from_embeddings(columns, ids)
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=0.05)


def test_columns_are_embedded_in_their_order() -> None:
    class Double(torch.nn.Module):
        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": 2 * features["x"]}

    columns = [torch.randn(4, 3) for _ in range(3)]
    ids = torch.arange(12).reshape(3, 4).T
    positives = [[4], [5], [6], [7]]
    options: dict[str, Any] = {"scale": 1.0, "similarity_fct": lambda a, b: a @ b.T}
    loss = adapter.MaskedMultipleNegativesRankingLoss(Double(), positives, **options)
    found = loss([{"x": column} for column in columns], ids)
    torch.testing.assert_close(
        found, make(positives, **options).compute_loss_from_embeddings([2 * column for column in columns], ids)
    )


def test_checkpoints_do_not_hold_the_positives_and_the_card_has_the_options() -> None:
    loss = make([[0], [1]], scale=10)
    assert loss.state_dict() == {}
    assert [name for name, _ in loss.named_buffers()] == ["_pairs"]
    assert loss.get_config_dict() == {"scale": 10.0, "similarity_fct": "cos_sim", "gather_across_devices": False}


def test_positives_outside_the_corpus_mask_nothing() -> None:
    outside = negmine.Positives.from_lists([[-1, 1], [0]], positive_scores=[0.5, np.nan, np.nan])
    columns = [torch.eye(2), torch.eye(2)]
    ids = torch.tensor([[0, -1], [1, 0]])
    ones = make([[1], [0]], scale=1.0)
    torch.testing.assert_close(
        make(outside, scale=1.0).compute_loss_from_embeddings(columns, ids),
        ones.compute_loss_from_embeddings(columns, ids),
    )


def test_wrong_options_are_refused() -> None:
    with pytest.raises(NegmineValueError, match="`scale` must be greater than 0"):
        make([[0]], scale=0.0)
    with pytest.raises(NegmineTypeError, match="`similarity_fct` must be callable; got int"):
        make([[0]], similarity_fct=3)
    with pytest.raises(NegmineTypeError, match="`gather_across_devices` must be"):
        make([[0]], gather_across_devices="yes")
    with pytest.raises(NegmineTypeError, match="`positives` must be"):
        make(3)
    with pytest.raises(NegmineValueError, match=r"`positives` must have fewer than 2\*\*63 pairs"):
        make([[2**62], [1]])
    with pytest.raises(NegmineTypeError, match=r"has no option 'scales'.* Did you mean 'scale'"):
        make([[0]], scales=2)


def test_labels_that_are_not_the_ids_of_the_batch_are_refused() -> None:
    loss, columns = make([[0], [1]]), [torch.eye(2), torch.eye(2)]
    with pytest.raises(NegmineTypeError, match=r"`labels` must hold the ids of each row, .*.*NoneType"):
        loss.compute_loss_from_embeddings(columns, None)
    with pytest.raises(NegmineTypeError, match=r"`labels` must hold integers.*float32"):
        loss.compute_loss_from_embeddings(columns, torch.zeros(2, 2))
    with pytest.raises(NegmineValueError, match=r"one id for each of the 2 columns of 2 rows; got shape \(2, 3\)"):
        loss.compute_loss_from_embeddings(columns, torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(NegmineValueError, match=r"`labels` must hold queries from -1 to 1, .*; got 2"):
        loss.compute_loss_from_embeddings(columns, torch.tensor([[0, 0], [2, 1]]))
    with pytest.raises(NegmineValueError, match=r"`labels` must hold queries from -1 to 1, .*; got -2"):
        loss.compute_loss_from_embeddings(columns, torch.tensor([[0, 0], [1, -2]]))
    with pytest.raises(NegmineValueError, match="`embeddings` must be of two columns or more; got 1"):
        loss.compute_loss_from_embeddings(columns[:1], torch.zeros(2, 1, dtype=torch.int64))
