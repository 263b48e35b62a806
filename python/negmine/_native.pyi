from collections.abc import Callable
from typing import Any, final

import numpy as np
import numpy.typing as npt

from negmine._coerce import CsrLike, Progress, Rows
from negmine.batches.masks import Rules as MaskRules
from negmine.batches.no_duplicates import Columns
from negmine.miner import PoolRequest
from negmine.pool import CandidatePool, Rules
from negmine.positives import Eligibility

__all__ = [
    "ExactIndex",
    "NoDuplicatePlan",
    "balanced_clusters",
    "balanced_pairs",
    "build_info",
    "class_batches",
    "cluster_batches",
    "epoch_permutation",
    "group_rows",
    "in_batch_lists",
    "in_batch_mask",
    "int8_gops",
    "kmeans",
    "limit_per_document",
    "peaks",
    "restore_no_duplicate_plan",
    "score_pairs",
    "select",
    "topic_batches",
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
    def __new__(
        cls, columns: Columns, size: int, conflicts: str, drop_remainder: bool, seed: int
    ) -> NoDuplicatePlan: ...
    @property
    def steps(self) -> int: ...
    @property
    def emitted(self) -> int: ...
    @property
    def bound(self) -> tuple[int, tuple[str, int] | None, int, int]: ...
    def epoch(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]: ...
    def together(self, rows: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> tuple[int, int]: ...
    @property
    def together_in_base(self) -> tuple[int, int]: ...
    def __reduce__(self) -> tuple[Callable[..., NoDuplicatePlan], tuple[Any, ...]]: ...

def balanced_clusters(
    embeddings: Rows,
    n_clusters: int,
    quality: str,
    seed: int,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], float, int]: ...
def restore_no_duplicate_plan(
    arrays: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint32]],
    caps: npt.NDArray[np.uint32] | None,
    sizes: tuple[int, int],
    conflicts: str,
    drop_remainder: bool,
    seed: int,
) -> NoDuplicatePlan: ...
def group_rows(labels: npt.NDArray[np.int64], groups: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
def cluster_batches(
    labels: npt.NDArray[np.int64],
    clusters: int,
    batch: int,
    batches_per_step: int,
    random: int,
    tree: bool,
    emitted: int,
    seed: int,
    epoch: int,
) -> npt.NDArray[np.int64]: ...
def topic_batches(
    clusters: CsrLike,
    n_clusters: int,
    batch: int,
    share: int,
    random: int,
    by_size: bool,
    seed: int,
    epoch: int,
    start: int,
    stop: int,
) -> npt.NDArray[np.int64]: ...
def class_batches(
    classes: CsrLike,
    n_classes: int,
    per_batch: int,
    per_class: int,
    batches: int,
    seed: int,
    epoch: int,
    start: int,
    stop: int,
) -> npt.NDArray[np.int64]: ...
def balanced_pairs(
    margins: npt.NDArray[np.float64],
    pairs: CsrLike,
    n_queries: int,
    bins: int,
    binning: str,
    seed: int,
    epoch: int,
) -> npt.NDArray[np.int64]: ...
def in_batch_mask(rules: MaskRules) -> npt.NDArray[np.bool_]: ...
def in_batch_lists(rules: MaskRules) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
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
