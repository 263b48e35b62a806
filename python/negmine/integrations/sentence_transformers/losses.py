"""InfoNCE with in-batch documents and own negatives, in which known false negatives do not count.

A collator cannot make the mask of a batch whose documents are gathered over ranks, because it does not know the
documents of the other ranks. So the label of a row holds its ids, the loss gathers the ids together with the
embeddings, and computes the mask where the scores are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from negmine._core.options import check_flag, check_real, refuse_unknown_fields
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["MaskedMultipleNegativesRankingLoss"]


@refuse_unknown_fields
class MaskedMultipleNegativesRankingLoss(nn.Module):
    """InfoNCE over the documents of a batch, without those that are positives of the query.

    It is the MultipleNegativesRankingLoss of sentence-transformers with a mask: all documents of the batch, the
    positives and the negatives of all rows, are negatives of a query, except those that ``positives`` has for it. After
    van den Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018).

    The label of a row holds its ids: ``[query, positive, negative_1, ..., negative_n]``, rows of the queries and the
    documents as numbered by ``positives``. [`negatives_dataset`][] writes it; any other data set needs a column
    ``label`` with these lists. A document -1 is never a negative; query -1 has no negatives.

    Parameters
    ----------
    model : SentenceTransformer
        Model to train.
    positives : Positives or one list of document rows per query
        Documents of each query that must not count as negatives: its positives, and, if known, their copies.
    scale : float, default 20.0
        Factor of the scores, 1 / temperature.
    similarity_fct : callable, optional
        Function of embeddings (n, width) and (m, width) that returns scores (n, m). Default: cosine similarity.
    gather_across_devices : bool, default False
        Whether the documents of all ranks are negatives. The mask covers them.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid. In training: if the labels are not the ids of the batch.

    Notes
    -----
    The mask is that of [`negmine.batches.false_negative_mask`][], without each row's own positive, which always
    counts. Copies of the own positive in other rows are masked as well. Under autocast, the loss is computed in
    float32.

    Examples
    --------
    >>> import torch
    >>> from negmine.integrations.sentence_transformers import MaskedMultipleNegativesRankingLoss
    >>> loss = MaskedMultipleNegativesRankingLoss(torch.nn.Identity(), [[0, 1], [1]], scale=1.0)
    >>> embeddings = [torch.eye(2), torch.eye(2)]  # of queries and positives
    >>> labels = torch.tensor([[0, 0], [1, 1]])  # document 1 is a positive of query 0 as well
    >>> round(loss.compute_loss_from_embeddings(embeddings, labels).item(), 4)  # only query 1 has a negative
    0.1566
    """

    _pairs: torch.Tensor

    def __init__(
        self,
        model: Any,  # noqa: ANN401 (a SentenceTransformer)
        positives: Positives | Iterable[Iterable[int]],
        *,
        scale: float = 20.0,
        similarity_fct: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.scale = check_real(scale, "scale", above=0.0)
        if similarity_fct is None:
            from sentence_transformers.util import cos_sim

            similarity_fct = cos_sim
        if not callable(similarity_fct):
            raise NegmineTypeError(f"`similarity_fct` must be callable; got {type(similarity_fct).__name__}.")
        self.similarity_fct = similarity_fct
        self.gather_across_devices = check_flag(gather_across_devices, "gather_across_devices")
        lists = Positives.read(positives, "positives")
        self._n_queries = len(lists)
        self._n_documents = int(lists.items.max(initial=-1)) + 1
        if self._n_queries * self._n_documents >= 2**63:
            raise NegmineValueError(
                "`positives` must have fewer than 2**63 pairs of a query and a document; got "
                f"{self._n_queries} x {self._n_documents}."
            )
        # The sorted pairs, as one number each. They move to the model's device, and no checkpoint holds them.
        inside = lists.items >= 0
        pairs = lists.queries()[inside] * np.int64(self._n_documents) + lists.items[inside]
        self.register_buffer("_pairs", torch.from_numpy(pairs), persistent=False)

    def forward(
        self, sentence_features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embed the columns of a batch and compute the loss; trainers call it.

        Parameters
        ----------
        sentence_features : iterable of dict
            Inputs of the model per column: queries, positives, and each column of negatives.
        labels : int64 tensor (B, n_columns)
            Ids of each row, in the order of the columns.

        Returns
        -------
        tensor
            Mean of the losses of the rows.
        """
        embeddings = [self.model(features)["sentence_embedding"] for features in sentence_features]
        return self.compute_loss_from_embeddings(embeddings, labels)

    def compute_loss_from_embeddings(self, embeddings: list[torch.Tensor], labels: torch.Tensor | None) -> torch.Tensor:
        """Compute the loss of a batch that is embedded already.

        Parameters
        ----------
        embeddings : list of float tensor (B, width)
            Embeddings of the queries, the positives, and each column of negatives.
        labels : int64 tensor (B, n_columns)
            Ids of each row, in the order of the columns.

        Returns
        -------
        tensor
            Mean of the losses of the rows.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            There are fewer than two columns, or the labels are not the ids of the batch.
        """
        if len(embeddings) < 2:
            raise NegmineValueError(f"`embeddings` must be of two columns or more; got {len(embeddings)}.")
        queries, *columns = embeddings
        ids = self._ids(labels, len(queries), len(embeddings)).to(queries.device)
        everything, first = ids, 0
        if self.gather_across_devices:
            from sentence_transformers.util import all_gather, all_gather_with_grad

            columns = [all_gather_with_grad(column) for column in columns]
            everything = all_gather(ids)
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                first = torch.distributed.get_rank() * len(queries)
        scores = self.similarity_fct(queries, torch.cat(columns))
        if scores.dtype in (torch.float16, torch.bfloat16):
            scores = scores.float()
        mask = self._mask(ids, everything[:, 1:].T.reshape(-1))
        rows = torch.arange(len(queries), device=queries.device)
        mask[rows, rows + first] = False
        # A finite number: a row in which only the own positive counts has loss 0 and gradient 0.
        scores = (scores * self.scale).masked_fill(mask, torch.finfo(scores.dtype).min)
        return functional.cross_entropy(scores, rows + first)

    def get_config_dict(self) -> dict[str, Any]:
        """Return the options, for the model card.

        Returns
        -------
        dict
        """
        return {
            "scale": self.scale,
            "similarity_fct": getattr(self.similarity_fct, "__name__", type(self.similarity_fct).__name__),
            "gather_across_devices": self.gather_across_devices,
        }

    def _ids(self, labels: object, n_rows: int, n_columns: int) -> torch.Tensor:
        """Validate the ids of a batch."""
        if not isinstance(labels, torch.Tensor):
            raise NegmineTypeError(
                "`labels` must hold the ids of each row, in a column `label` of the data set: "
                f"[query, positive, negative_1, ...]; got {type(labels).__name__}."
            )
        if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype is torch.bool:
            raise NegmineTypeError(f"`labels` must hold integers, the ids of each row; got dtype {labels.dtype}.")
        if labels.shape != (n_rows, n_columns):
            raise NegmineValueError(
                f"`labels` must have one id for each of the {n_columns} columns of {n_rows} rows; got shape "
                f"{tuple(labels.shape)}."
            )
        ids = labels.long()
        lowest, highest = torch.stack([ids.min(), ids[:, 0].max()]).tolist() if n_rows else (-1, -1)
        if lowest < -1 or highest >= self._n_queries:
            raise NegmineValueError(
                f"`labels` must hold queries from -1 to {self._n_queries - 1}, as `positives` has them, and documents "
                f"from -1; got {lowest if lowest < -1 else highest}."
            )
        return ids

    def _mask(self, ids: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """Return the mask (B, n_documents): True for documents that must not count as negatives of the query."""
        queries, own = ids[:, 0, None], ids[:, 1, None]
        known = (documents >= 0) & (documents < self._n_documents)
        pairs = torch.where(known & (queries >= 0), queries * self._n_documents + documents, -1)
        mask = (documents < 0) | (queries < 0) | (documents == own)
        if len(self._pairs):
            place = torch.searchsorted(self._pairs, pairs).clamp_(max=len(self._pairs) - 1)
            mask |= self._pairs[place] == pairs
        return mask
