"""Random negatives by any law, and corrupted triples, never a known positive, with their probabilities."""

from __future__ import annotations

from negmine.sampling.coins import coin
from negmine.sampling.corruption import Corrupted, TripleCorruptor, corrupt
from negmine.sampling.entity_lists import RelationLists, SharedLists
from negmine.sampling.neighbors import cluster_neighbors, embedding_neighbors, pseudo_typed, siblings, string_neighbors
from negmine.sampling.sampler import NegativeSampler, Sampled, sample_negatives
from negmine.sampling.sources import Popularity

__all__ = [
    "Corrupted",
    "NegativeSampler",
    "Popularity",
    "RelationLists",
    "Sampled",
    "SharedLists",
    "TripleCorruptor",
    "cluster_neighbors",
    "coin",
    "corrupt",
    "embedding_neighbors",
    "pseudo_typed",
    "sample_negatives",
    "siblings",
    "string_neighbors",
]
