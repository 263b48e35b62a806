"""Negative sampler for PyKEEN's pipeline and training loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pykeen.sampling import NegativeSampler

from negmine.errors import NegmineValueError
from negmine.sampling.corruption import EntitySource, TripleCorruptor
from negmine.sampling.triples import HEAD, RELATION, TAIL

__all__ = ["ExactNegativeSampler"]


class ExactNegativeSampler(NegativeSampler):
    """Negative sampler of PyKEEN that never returns a known triple, without a filterer.

    Pass the class as ``negative_sampler`` and the options as ``negative_sampler_kwargs``. The negatives of a triple are
    distinct. If fewer exist than requested, the batch has a mask, as that of PyKEEN's filterers, and repeats the triple
    itself at the places that the mask leaves out.

    Parameters
    ----------
    mapped_triples : int64 tensor (n_triples, 3)
        Training triples. PyKEEN passes them, as the next two.
    num_entities, num_relations : int, optional
        Numbers of entities and relations. Default: those in the triples.
    num_negs_per_pos : int, default 1
        Negatives per triple.
    side : {"both", "head", "tail", "bernoulli"}, default "both"
        What each draw replaces, as for [`negmine.sampling.TripleCorruptor`][], which has the other options as well.
    sources : EntitySource or list of EntitySource, default "uniform"
        Where entities come from.
    shares : sequence of float, optional
        Probability of each source. Default: ``sources`` is one source.
    anchor : {"kept", "replaced"}, default "kept"
        The entity of a triple whose list is drawn from.
    known : int64 tensor (n_known, 3), optional
        Further known triples, such as those of the validation set.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    Notes
    -----
    Every batch draws from an epoch whose number comes from PyTorch's generator, which PyKEEN seeds by ``random_seed``
    and PyTorch in every worker, so a run with the same random seed has the same negatives.

    Examples
    --------
    >>> import torch
    >>> from negmine.integrations.pykeen import ExactNegativeSampler
    >>> triples = torch.tensor([[0, 0, 1], [0, 0, 2]])
    >>> sampler = ExactNegativeSampler(mapped_triples=triples, num_entities=4, num_negs_per_pos=2, side="tail")
    >>> negatives, mask = sampler.sample(triples[:1])
    >>> negatives.tolist(), mask
    ([[[0, 0, 0], [0, 0, 3]]], None)
    """

    def __init__(
        self,
        *,
        mapped_triples: torch.Tensor,
        num_entities: int | None = None,
        num_relations: int | None = None,
        num_negs_per_pos: int | None = None,
        side: Literal["both", "head", "tail", "bernoulli"] = "both",
        sources: EntitySource | Sequence[EntitySource] = "uniform",
        shares: Sequence[float] | None = None,
        anchor: Literal["kept", "replaced"] = "kept",
        known: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            mapped_triples=mapped_triples,
            num_entities=num_entities,
            num_relations=num_relations,
            num_negs_per_pos=num_negs_per_pos,
        )
        triples = mapped_triples.cpu().numpy()
        self._triples = triples
        self._corruptor = TripleCorruptor(
            triples,
            n_entities=self.num_entities,
            side=side,
            sources=sources,
            shares=shares,
            anchor=anchor,
            known=known,
            seed=seed,
        )
        self._n_relations = int(triples[:, RELATION].max(initial=-1)) + 1
        if self._n_relations * self.num_entities**2 >= 2**63:
            raise NegmineValueError(
                f"`num_entities` must be small enough that triples have 63-bit numbers; got {self.num_entities} and "
                f"{self._n_relations} relations."
            )
        keys = self._keys(triples)
        self._order = np.argsort(keys, kind="stable")
        self._sorted_keys = keys[self._order]

    def sample(self, positive_batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Draw the negatives of a batch.

        Parameters
        ----------
        positive_batch : int64 tensor (..., 3)
            Training triples.

        Returns
        -------
        negatives : int64 tensor (..., num_negs_per_pos, 3)
            The negatives.
        mask : bool tensor (..., num_negs_per_pos) or None
            True where a negative is valid; None if all are.

        Raises
        ------
        NegmineValueError
            A triple is not among the training triples.
        """
        shape = (*positive_batch.shape[:-1], self.num_negs_per_pos)
        triples = positive_batch.reshape(-1, 3).cpu().numpy()
        epoch = int(torch.randint(2**63 - 1, ()))
        corrupted = self._corruptor.corrupt(self._rows(triples), self.num_negs_per_pos, epoch=epoch)
        missing = corrupted.triples[:, :, 0] < 0
        negatives = np.where(missing[:, :, None], triples[:, None], corrupted.triples)
        batch = torch.from_numpy(negatives).to(positive_batch.device).reshape(*shape, 3)
        if not missing.any():
            return batch, None
        return batch, torch.from_numpy(~missing).to(positive_batch.device).reshape(shape)

    def corrupt_batch(self, positive_batch: torch.Tensor) -> torch.Tensor:
        """Draw the negatives of a batch, without the mask.

        Parameters
        ----------
        positive_batch : int64 tensor (..., 3)
            Training triples.

        Returns
        -------
        int64 tensor (..., num_negs_per_pos, 3)
            The negatives, and the triple itself where no more exist.
        """
        return self.sample(positive_batch)[0]

    def _keys(self, triples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        heads = triples[:, HEAD] * self._n_relations + triples[:, RELATION]
        keys: npt.NDArray[np.int64] = heads * self.num_entities + triples[:, TAIL]
        return keys

    def _rows(self, triples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of triples among the training triples."""
        places = np.searchsorted(self._sorted_keys, self._keys(triples))
        rows: npt.NDArray[np.int64] = self._order[np.minimum(places, len(self._order) - 1)]
        unknown = (self._triples[rows] != triples).any(axis=1)
        if unknown.any():
            raise NegmineValueError(
                f"`positive_batch` must hold training triples; got {triples[np.argmax(unknown)].tolist()}."
            )
        return rows
