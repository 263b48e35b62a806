"""Sketches: MinHash signatures of sets, SimHash signatures of vectors, and near-duplicates."""

from __future__ import annotations

from negmine.sketches.duplicates import NearDuplicates, near_duplicates
from negmine.sketches.minhash import MinHash
from negmine.sketches.simhash import SimHash

__all__ = ["MinHash", "NearDuplicates", "SimHash", "near_duplicates"]
