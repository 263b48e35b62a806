from typing import Any, final

import numpy as np
import numpy.typing as npt

from negmine._coerce import CsrLike, Progress, Rows
from negmine.batches import Columns
from negmine.miner import PoolRequest
from negmine.pool import CandidatePool, Rules
from negmine.positives import Eligibility

__all__ = [
    "ExactIndex",
    "NoDuplicatePlan",
    "balanced_clusters",
    "build_info",
    "epoch_permutation",
    "int8_gops",
    "kmeans",
    "limit_per_document",
    "peaks",
    "score_pairs",
    "select",
]

@final
class ExactIndex:
    def __new__(
        cls,
        corpus: Rows,
        metric_name: str,
        tile_rows: int,
        memory_limit: int | None,
        num_threads: int,
        pruned: int | None = None,
    ) -> ExactIndex: ...
    @property
    def nbytes(self) -> int: ...
    def plan(self, n_queries: int, k: int, num_threads: int) -> tuple[int, int, int, int, int, int]: ...
    @property
    def zero_rows(self) -> int: ...
    def search(
        self,
        corpus: Rows,
        queries: Rows,
        k: int,
        exclude: CsrLike | None,
        max_score: float | None,
        eligible: Eligibility | None,
        num_threads: int,
        progress: Progress | None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32]]: ...
    def candidates(
        self,
        corpus: Rows,
        queries: Rows,
        request: PoolRequest,
        num_threads: int,
        progress: Progress | None,
    ) -> dict[str, Any]: ...
    def random_negatives(
        self,
        corpus: Rows,
        queries: Rows,
        rules: Rules,
        query_rows: npt.NDArray[np.int64],
        positive_rows: npt.NDArray[np.int64] | None,
        cap_scores: npt.NDArray[np.float64],
        min_score: float | None,
        chosen: npt.NDArray[np.int64],
        query_offset: int,
        n: int,
        seed: int,
        epoch: int,
        num_threads: int,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32]]: ...

@final
class NoDuplicatePlan:
    def __new__(cls, columns: Columns, size: int, drop_remainder: bool, seed: int) -> NoDuplicatePlan: ...
    @property
    def steps(self) -> int: ...
    @property
    def emitted(self) -> int: ...
    @property
    def bound(self) -> tuple[int, tuple[str, int] | None, int, int]: ...
    def epoch(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]: ...

def balanced_clusters(
    embeddings: Rows,
    n_clusters: int,
    quality: str,
    seed: int,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], float, int]: ...
def build_info() -> dict[str, Any]: ...
def epoch_permutation(n: int, seed: int, epoch: int, start: int, stop: int) -> npt.NDArray[np.int64]: ...
def int8_gops() -> float: ...
def kmeans(
    embeddings: Rows,
    n_clusters: int,
    metric_name: str,
    iterations: int,
    seed: int,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], float, int]: ...
def peaks() -> dict[str, float]: ...
def score_pairs(
    queries: Rows, documents: Rows, pairs: CsrLike, metric_name: str, num_threads: int
) -> npt.NDArray[np.float64]: ...
def select(
    pool: CandidatePool, n: int, policy: tuple[str, list[float]], seed: int, epoch: int, num_threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]: ...
def limit_per_document(
    pool: CandidatePool,
    cap: int,
    n: int,
    policy: tuple[str, list[float]],
    seed: int,
    epoch: int,
    num_threads: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]: ...
