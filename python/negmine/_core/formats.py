"""Formats of everything that negmine writes: the only table of kinds, versions and magic numbers.

Writers and readers take formats from here and nowhere else. Increase a version if files, states or digests of it change
their meaning; readers then refuse older and newer ones by their version, before they read anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from negmine.errors import NegmineValueError

__all__ = ["TABLE", "Format", "corrupt"]


@dataclass(frozen=True, slots=True)
class Format:
    """Kind of file, state or digest.

    Attributes
    ----------
    kind : str
        Name of the kind, which files and states carry.
    version : int
        Version that this release writes, and the only one that it reads.
    magic : bytes, default b""
        First eight bytes of a binary file.
    """

    kind: str
    version: int
    magic: bytes = b""

    @property
    def tag(self) -> str:
        """Kind and version in one string, for digests and states of samplers."""
        return f"negmine {self.kind} {self.version}"

    def check(
        self,
        kind: object,
        version: object,
        argument: str,
        source: str | Path,
        error: type[NegmineValueError] = NegmineValueError,
    ) -> None:
        """Refuse another kind, and another version.

        Parameters
        ----------
        kind, version : object
            Kind and version that were read.
        argument : str
            Name of the argument, for error messages.
        source : str or Path
            File or object that was read, for error messages.
        error : type, default NegmineValueError
            Class of the error.

        Raises
        ------
        NegmineValueError
            The kind or the version differs.
        """
        if kind != self.kind or type(version) is not int or version != self.version:
            raise error(
                f"`{argument}` must be a {self.kind} file of version {self.version}; got {kind!r} of version "
                f"{version!r} in {source}."
            )


def corrupt(
    source: str | Path, advice: str = "", error: type[NegmineValueError] = NegmineValueError
) -> NegmineValueError:
    """Make the error for a file, or an argument in backquotes, whose content differs from what was written."""
    return error(f"corrupt: checksum mismatch in {source}.{advice and ' '}{advice}")


# ---- jobs

JOB = Format("negmine job", 3)
JOB_PART = Format("job part", 2, b"negmpart")
JOB_REPORT = Format("job report", 2)

# ---- tables

#: Parquet; the schema's metadata hold the kind, the version and the provenance.
MINED_NEGATIVES = Format("mined negatives", 3)
#: Parquet; the kind is followed by the name of the training format.
TRAINING_ROWS = Format("training rows", 2)
#: Checksums in the metadata of both.
ROW_GROUPS = Format("row groups", 1)
#: Since version 3 a table says when its rows were mined, and how many older generations it keeps.
NEGATIVES_TABLE = Format("negatives table", 3, b"negtable")
BEHAVIOR_TABLE = Format("behavior table", 2, b"negm-bse")

#: Packed documents of one shard, and the rows of a shard that has no rows to read at random.
SHARD_PACK = Format("shard pack", 1, b"negmpack")
SHARD_ROWS = Format("shard rows", 1, b"negmrows")

#: Scores of (query, document) pairs, appended batch by batch.
SCORE_CACHE = Format("score cache", 1, b"negscore")

#: Embeddings of texts, whole or in chunks; digests of the same kind are their keys.
EMBEDDING_CACHE = Format("embedding cache", 1, b"negembed")

#: Judgments of (query, document) pairs, appended file by file.
VERDICTS = Format("verdicts", 1, b"negmverd")

# ---- archives (.npz)

CANDIDATE_POOL = Format("candidate pool", 7)
HARD_NEGATIVES = Format("hard negatives", 6)
CLUSTERS = Format("clusters", 2)
SIGNATURES = Format("minhash signatures", 2)
#: The graph lies next to the archive, in hnswlib's own format.
HNSW_INDEX = Format("hnsw index", 1)

# ---- digests: increase a version if the same arguments give other results, batches or hashes

#: The canonical score and the rules of mining: since version 2 cosines are clamped to [-1, 1].
CANONICAL_SCORE = Format("canonical score", 2)
MINHASH = Format("minhash", 1)
CLUSTER_GUARANTEE = Format("cluster_guarantee", 1)
CLASS_BALANCED_PLAN = Format("class_balanced_plan", 1)
CLUSTER_PLAN = Format("cluster_plan", 1)
#: Since version 2 an epoch's remainders under numbers as weights are carried over to the next.
MIXTURE_PLAN = Format("mixture_plan", 2)
ROW_MIXTURE_PLAN = Format("row_mixture_plan", 1)
NO_DUPLICATE_PLAN = Format("no_duplicate_plan", 1)
TOPIC_PLAN = Format("topic_plan", 1)

# ---- states of samplers and modules

BATCH_SAMPLER = Format("batch sampler", 1)
HASH_STATE = Format("hash state", 1)

#: Every format, by the name of its constant.
TABLE: dict[str, Format] = {name: value for name, value in sorted(globals().items()) if isinstance(value, Format)}
