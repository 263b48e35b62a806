"""Formats of everything that negmine writes: the one table of kinds, versions and magic numbers.

Writers and readers take what they write and expect from here, and nowhere else. Raise a version whenever files, states
or digests of it change their meaning; readers then refuse what is older or newer by its version, before they look at
anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from negmine.errors import NegmineValueError

__all__ = ["TABLE", "Format", "corrupt"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file, state or digest.

    Attributes
    ----------
    kind : str
        What it calls itself.
    version : int
        The version that this release writes, and the only one that it reads.
    magic : bytes, default b""
        First eight bytes of a binary file.
    """

    kind: str
    version: int
    magic: bytes = b""

    @property
    def tag(self) -> str:
        """Kind and version in one string, as digests and states of samplers hold them."""
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
            What was found.
        argument : str
            The argument that errors name.
        source : str or Path
            Where it was found.
        error : type, default NegmineValueError
            What is raised.
        """
        if kind != self.kind or type(version) is not int or version != self.version:
            raise error(
                f"`{argument}` must be a {self.kind} file of version {self.version}; got {kind!r} of version "
                f"{version!r} in {source}."
            )


def corrupt(
    source: str | Path, advice: str = "", error: type[NegmineValueError] = NegmineValueError
) -> NegmineValueError:
    """Make the error for a file, or an argument in backquotes, whose content is not what was written."""
    return error(f"corrupt: checksum mismatch in {source}.{advice and ' '}{advice}")


# ---- jobs

JOB = Format("negmine job", 2)
JOB_PART = Format("job part", 2, b"negmpart")
JOB_REPORT = Format("job report", 2)

# ---- tables

#: Parquet; the kind, the version and the provenance lie in the schema's metadata.
MINED_NEGATIVES = Format("mined negatives", 2)
#: Parquet; the kind is followed by the name of the training format.
TRAINING_ROWS = Format("training rows", 2)
#: The checksums in the metadata of both.
ROW_GROUPS = Format("row groups", 1)
NEGATIVES_TABLE = Format("negatives table", 2, b"negtable")
BEHAVIOR_TABLE = Format("behavior table", 2, b"negm-bse")

# ---- archives (.npz)

CANDIDATE_POOL = Format("candidate pool", 2)
HARD_NEGATIVES = Format("hard negatives", 2)
CLUSTERS = Format("clusters", 2)
SIGNATURES = Format("minhash signatures", 2)

# ---- digests: a version rises when the same arguments come to give other answers, batches or hashes

#: The canonical score and the rules of mining: since version 2 cosines are clamped to [-1, 1].
CANONICAL_SCORE = Format("canonical score", 2)
MINHASH = Format("minhash", 1)
CLUSTER_GUARANTEE = Format("cluster_guarantee", 1)
CLASS_BALANCED_PLAN = Format("class_balanced_plan", 1)
CLUSTER_PLAN = Format("cluster_plan", 1)
#: Since version 2 an epoch's remainders under numbers as weights are carried over to the next.
MIXTURE_PLAN = Format("mixture_plan", 2)
NO_DUPLICATE_PLAN = Format("no_duplicate_plan", 1)
TOPIC_PLAN = Format("topic_plan", 1)

# ---- states of samplers and modules

BATCH_SAMPLER = Format("batch sampler", 1)
HASH_STATE = Format("hash state", 1)

#: Every format, by the name of its constant.
TABLE: dict[str, Format] = {name: value for name, value in sorted(globals().items()) if isinstance(value, Format)}
