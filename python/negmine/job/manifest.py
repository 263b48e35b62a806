"""Manifest of a job: what the job is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from negmine.data import fingerprint

__all__ = ["Manifest"]

#: Sides of a mining call, and the inputs that label them.
_LABELS = {"queries": "query_ids", "documents": "document_ids"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a job.

    Attributes
    ----------
    version : str
        Version of negmine that started the job.
    inputs : dict
        Digests and options.
    n_queries : int
        Number of queries in the whole set.
    tile_queries : int
        Queries per tile.
    shard : tuple of int or None
        ``(i, n)`` if the job is one of several shards.
    """

    version: str
    inputs: Mapping[str, Any]
    n_queries: int
    tile_queries: int
    shard: tuple[int, int] | None

    @property
    def fingerprint(self) -> str:
        """Digest of the inputs."""
        return fingerprint.of_inputs(self.inputs)

    @property
    def tiles(self) -> range:
        """Numbers of the job's tiles, counted over the whole set; a shard takes an even share of them."""
        n_tiles = -(-self.n_queries // self.tile_queries)
        i, n = self.shard or (0, 1)
        return range(i * n_tiles // n, (i + 1) * n_tiles // n)

    def queries(self, tile: int) -> tuple[int, int]:
        """Return the range of queries of a tile.

        Parameters
        ----------
        tile : int
            Number of the tile.

        Returns
        -------
        tuple of (int, int)
            First query of the tile, and the one after its last.
        """
        begin = tile * self.tile_queries
        return begin, min(begin + self.tile_queries, self.n_queries)

    @property
    def all_queries(self) -> tuple[int, int]:
        """First query of the job's tiles, and the one after their last; equal if the job has no tiles."""
        if not self.tiles:
            return 0, 0
        return self.queries(self.tiles[0])[0], self.queries(self.tiles[-1])[1]

    def provenance(self) -> dict[str, Any]:
        """Describe where the result comes from, for the schema of its file and for the report.

        Returns
        -------
        dict
            Values that JSON can represent.
        """
        options = dict(self.inputs["options"])
        rules = [name for name in ("exclude", "groups", "eligible") if self.inputs[name] is not None]
        return {
            "negmine": self.version,
            "fingerprint": self.fingerprint,
            "metric": options.pop("metric"),
            "epoch": options.pop("epoch"),
            "n_documents": self.inputs["corpus"]["shape"][0],
            "n_queries": self.n_queries,
            "tile_queries": self.tile_queries,
            "width": int(options["num_negatives"]) + int(options["num_random"]),
            "options": options,
            "rules": rules + ["exclude_self"] * bool(options.get("exclude_self")),
            "unlabeled": [side for side, name in _LABELS.items() if self.inputs[name] is None],
        } | ({} if self.shard is None else {"shard": list(self.shard)})

    def to_content(self) -> dict[str, Any]:
        """Return the manifest as its file stores it.

        Returns
        -------
        dict
            Values that JSON can represent.
        """
        return {
            "negmine": self.version,
            "fingerprint": self.fingerprint,
            "inputs": self.inputs,
            "n_queries": self.n_queries,
            "tile_queries": self.tile_queries,
            "shard": self.shard,
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Manifest:
        """Restore a manifest from its file.

        Parameters
        ----------
        content : mapping of str to Any
            Result of [`to_content`][].

        Returns
        -------
        Manifest

        Raises
        ------
        LookupError, TypeError, ValueError
            An entry is missing, or is not of the type that a job writes.
        """
        version, inputs, shard = content["negmine"], content["inputs"], content["shard"]
        n_queries, tile_queries = content["n_queries"], content["tile_queries"]
        i, n = (0, 1) if shard is None else shard
        if not isinstance(version, str) or not isinstance(inputs, dict):
            raise TypeError("entries of other types than a job writes")
        if any(type(number) is not int for number in (n_queries, tile_queries, i, n)):
            raise TypeError("entries of other types than a job writes")
        if n_queries < 0 or tile_queries < 1 or not 0 <= i < n:
            raise ValueError("numbers that no job has")
        manifest = cls(version, inputs, n_queries, tile_queries, None if shard is None else (i, n))
        manifest.provenance()
        if content["fingerprint"] != manifest.fingerprint:
            raise ValueError("a fingerprint that is not that of its inputs")
        return manifest
