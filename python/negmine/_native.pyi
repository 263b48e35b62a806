from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import CsrLike, Rows
from negmine._core.calls import Progress
from negmine._core.labels import Strings
from negmine.batches.false_negatives import Rules as MaskRules
from negmine.batches.no_duplicates import Columns
from negmine.data.eligibility import Eligibility
from negmine.mining.pool import CandidatePool
from negmine.sampling.corruption import Law as CorruptionLaw
from negmine.sampling.sampler import Law
from negmine.search.request import PoolRequest, Rules
from negmine.selection.selecting import Request as SelectionRequest
from negmine.sketches.minhash import MinHash, Sets

__all__ = [
    "AliasTable",
    "ExactIndex",
    "NoDuplicatePlan",
    "Offers",
    "RowFiles",
    "SdimPass",
    "SimHash",
    "SourceSteps",
    "SourceStepsOfEpoch",
    "StringTable",
    "__version__",
    "balanced_clusters",
    "build_info",
    "check_corruptor",
    "check_sampler",
    "class_batches",
    "cluster_batches",
    "coin",
    "context_draws",
    "corrupt_triples",
    "cosine_duplicates",
    "distinct_sets",
    "epoch_permutation",
    "exp",
    "false_negative_mask",
    "false_negative_pairs",
    "group_rows",
    "hash_strings",
    "interpolate",
    "interpolated_share",
    "kmeans",
    "list_candidates",
    "ln",
    "lsh_bands",
    "lsh_duplicates",
    "mean_distances",
    "memory_draws",
    "minhash_definition",
    "minhash_signatures",
    "mixture_rows",
    "move_rows",
    "nearest",
    "oversample_draws",
    "peaks",
    "quantize_rows",
    "random_negatives",
    "restore_no_duplicate_plan",
    "sample_balanced_margins",
    "sample_negatives",
    "score_pairs",
    "sdim_forward",
    "select",
    "select_items",
    "share_out",
    "shell",
    "shingle_sets",
    "table_query",
    "table_update",
    "topic_batches",
    "vnni_gops",
    "write_panels",
]

__version__: str

_Links: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]

@final
class ExactIndex:
    def __new__(
        cls,
        corpus: Rows,
        metric_name: str,
        tile_rows: int | None,
        memory_limit: int | None,
        num_threads: int,
        progress: Progress | None,
        pruned: int | None = None,
    ) -> ExactIndex: ...
    @staticmethod
    def of_packs(
        corpus: RowFiles,
        packs: Sequence[tuple[str, int]],
        zero_rows: int,
        metric_name: str,
        tile_rows: int | None,
        memory_limit: int | None,
        num_threads: int,
        progress: Progress | None,
    ) -> ExactIndex: ...
    @property
    def work(self) -> tuple[int, int, float, int, float]: ...
    @property
    def nbytes(self) -> int: ...
    def plan(self, n_queries: int, k: int, num_threads: int) -> tuple[int, int, int, int, int, int]: ...
    @property
    def zero_rows(self) -> int: ...
    def search(
        self,
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
        queries: Rows,
        request: PoolRequest,
        num_threads: int,
        progress: Progress | None,
    ) -> dict[str, Any]: ...
    def score_pairs(self, queries: Rows, pairs: CsrLike, num_threads: int) -> npt.NDArray[np.float64]: ...

@final
class NoDuplicatePlan:
    def __new__(
        cls,
        columns: Columns,
        size: int,
        conflicts: str,
        remainder: str,
        seed: int,
        progress: Progress | None,
    ) -> NoDuplicatePlan: ...
    @property
    def steps(self) -> int: ...
    @property
    def needed(self) -> int: ...
    @property
    def emitted(self) -> int: ...
    @property
    def bound(self) -> tuple[int, tuple[str, int] | None, int, int]: ...
    def epoch(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]: ...
    def together(self, rows: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> tuple[int, int]: ...
    @property
    def together_in_base(self) -> tuple[int, int]: ...
    def __reduce__(self) -> tuple[Callable[..., NoDuplicatePlan], tuple[Any, ...]]: ...

@final
class Offers:
    def __new__(cls, index: ExactIndex, queries: Rows, request: PoolRequest, num_threads: int) -> Offers: ...
    def thresholds(self) -> npt.NDArray[np.float64]: ...
    def offer(
        self,
        query_indices: npt.NDArray[np.int64],
        document_indices: npt.NDArray[np.int64],
        low: npt.NDArray[np.float64],
        high: npt.NDArray[np.float64],
        num_threads: int,
    ) -> None: ...
    def finish(self, num_threads: int) -> dict[str, Any]: ...

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
    remainder: str,
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
def sample_balanced_margins(
    margins: npt.NDArray[np.float64],
    pairs: CsrLike,
    n_queries: int,
    bins: int,
    binning: str,
    seed: int,
    epoch: int,
) -> npt.NDArray[np.int64]: ...
def false_negative_mask(rules: MaskRules) -> npt.NDArray[np.bool_]: ...
def false_negative_pairs(rules: MaskRules) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...

@final
class RowFiles:
    def __new__(
        cls, files: Sequence[tuple[str, int, int, str, bool, tuple[str, int, int] | None]], width: int
    ) -> RowFiles: ...
    @property
    def bytes_read(self) -> int: ...

@final
class SdimPass:
    def backward(self, gradient: npt.NDArray[np.float32], num_threads: int) -> npt.NDArray[np.float32]: ...

@final
class StringTable:
    def __new__(cls, strings: Strings) -> StringTable: ...
    def find(self, known: Strings, wanted: Strings) -> npt.NDArray[np.int64]: ...

@final
class SimHash:
    def __new__(cls, m: int, tau: int, dim: int, seed: int, center: npt.NDArray[np.float32] | None) -> SimHash: ...
    @property
    def projections(self) -> npt.NDArray[np.float32]: ...
    def signatures(
        self, rows: Rows, argument: str, mask: npt.NDArray[np.bool_] | None, num_threads: int
    ) -> npt.NDArray[np.uint32]: ...

@final
class SourceSteps:
    def __new__(cls, shares: list[float], steps: int) -> SourceSteps: ...
    @property
    def mean(self) -> list[float]: ...
    def epoch(self, epoch: int, last: SourceStepsOfEpoch | None) -> SourceStepsOfEpoch: ...
    def __reduce__(self) -> tuple[type[SourceSteps], tuple[list[float], int]]: ...

@final
class SourceStepsOfEpoch:
    @property
    def now(self) -> npt.NDArray[np.int64]: ...
    @property
    def before(self) -> list[int]: ...

def build_info() -> dict[str, Any]: ...

@final
class AliasTable:
    def __new__(cls, weights: npt.NDArray[np.float64]) -> AliasTable: ...
    def __reduce__(self) -> tuple[type[AliasTable], tuple[npt.NDArray[np.float64]]]: ...

def check_sampler(sampler: Law) -> None: ...
def check_corruptor(corruptor: CorruptionLaw) -> None: ...
def corrupt_triples(
    corruptor: CorruptionLaw, rows: npt.NDArray[np.int64], n: int, epoch: int, offset: int, num_threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64]]: ...
def coin(rows: npt.NDArray[np.int64], p: npt.NDArray[np.float64], seed: int, epoch: int) -> npt.NDArray[np.bool_]: ...
def sample_negatives(
    sampler: Law,
    queries: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64] | None,
    n: int,
    epoch: int,
    offset: int,
    num_threads: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int8], npt.NDArray[np.int32]]: ...
def mixture_rows(shares: list[float], steps: int, width: int) -> npt.NDArray[np.int64]: ...
def epoch_permutation(n: int, seed: int, epoch: int, start: int, stop: int) -> npt.NDArray[np.int64]: ...
def kmeans(
    embeddings: Rows,
    n_clusters: int,
    metric_name: str,
    max_iterations: int,
    seed: int,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], float, int]: ...
def peaks() -> dict[str, float]: ...
def list_candidates(
    documents: CsrLike,
    scores: npt.NDArray[np.float64],
    n_documents: int,
    request: PoolRequest,
    num_threads: int,
    progress: Progress | None,
) -> dict[str, Any]: ...
def quantize_rows(
    rows: Rows, indices: npt.NDArray[np.int64], metric_name: str, num_threads: int
) -> tuple[
    npt.NDArray[np.int8],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
]: ...
def random_negatives(
    n_documents: int,
    rules: Rules,
    query_indices: npt.NDArray[np.int64],
    positive_indices: npt.NDArray[np.int64] | None,
    cap_scores: npt.NDArray[np.float64],
    floor_scores: npt.NDArray[np.float64],
    chosen: npt.NDArray[np.int64],
    query_offset: int,
    n: int,
    weights: AliasTable | None,
    seed: int,
    epoch: int,
    score: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    num_threads: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64] | None, npt.NDArray[np.int32]]: ...
def score_pairs(
    queries: Rows,
    documents: Rows,
    pairs: CsrLike,
    metric_name: str,
    num_threads: int,
    progress: Progress | None,
) -> npt.NDArray[np.float64]: ...
def select(
    pool: CandidatePool,
    num_negatives: int,
    limit_per_document: int | None,
    policy: tuple[str, list[float]],
    labels: npt.NDArray[np.int64] | None,
    seed: int,
    epoch: int,
    num_threads: int,
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.int32],
    npt.NDArray[np.uint8],
]: ...
def nearest(
    candidates: npt.NDArray[np.uint32], behaviors: npt.NDArray[np.uint32], n_lists: int, k: int, num_threads: int
) -> npt.NDArray[np.int64]: ...
def sdim_forward(
    hash: SimHash,
    behaviors: Rows | npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_] | None,
    values: npt.NDArray[np.float32],
    candidates: Rows | npt.NDArray[np.float32],
    n_lists: int,
    shape: tuple[int, ...],
    normalize_name: str,
    skip_empty: bool,
    keep: bool,
    num_threads: int,
) -> tuple[npt.NDArray[np.float32], SdimPass | None]: ...
def table_query(
    sums: npt.NDArray[np.float32],
    counts: npt.NDArray[np.uint32] | npt.NDArray[np.float32],
    signatures: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    users: npt.NDArray[np.int64],
    normalize_name: str,
    skip_empty: bool,
    num_threads: int,
) -> npt.NDArray[np.float32]: ...
def table_update(
    sums: npt.NDArray[np.float32],
    counts: npt.NDArray[np.uint32] | npt.NDArray[np.float32],
    signatures: npt.NDArray[np.uint32],
    values: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.int64],
    users: npt.NDArray[np.int64],
    remove: bool,
    num_threads: int,
) -> None: ...
def minhash_signatures(
    minhash: MinHash, sets: Sets, prehashed: bool, num_threads: int, progress: Progress | None
) -> npt.NDArray[Any]: ...
def minhash_definition(minhash: MinHash, tokens: npt.NDArray[np.uint64], prehashed: bool) -> npt.NDArray[np.uint32]: ...
def hash_strings(strings: Strings) -> npt.NDArray[np.uint64]: ...
def shingle_sets(
    texts: Strings,
    words: bool,
    width: int,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]: ...
def distinct_sets(
    sets: Sets, num_threads: int, progress: Progress | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]: ...
def lsh_bands(threshold: float, words: int, num_threads: int, progress: Progress | None) -> tuple[int, int]: ...
def lsh_duplicates(
    signatures: npt.NDArray[np.uint32],
    bands: int,
    rows: int,
    threshold: float,
    sets: Sets | None,
    num_threads: int,
    progress: Progress | None,
) -> tuple[_Links, int]: ...
def cosine_duplicates(
    embeddings: Rows, threshold: float, memory_limit: int | None, num_threads: int, progress: Progress | None
) -> _Links: ...
def vnni_gops() -> float: ...
def exp(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
def ln(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
def select_items(
    num: int,
    request: SelectionRequest,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]: ...
def context_draws(seed: int, epoch: int, query: int, n: int) -> npt.NDArray[np.uint64]: ...
def memory_draws(seed: int, epoch: int, step: int, n: int) -> npt.NDArray[np.uint64]: ...
def share_out(n: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]: ...
def oversample_draws(
    seed: int,
    number: int,
    first: int,
    n: int,
    width: int,
    choices: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]: ...
def interpolated_share(seed: int, number: int) -> float: ...
def interpolate(
    x: Rows,
    parents: npt.NDArray[np.int64],
    step: npt.NDArray[np.float32],
    unit_norm: bool,
    num_threads: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.float32], int]: ...
def mean_distances(
    x: Rows,
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int64],
    num_threads: int,
    progress: Progress | None,
) -> npt.NDArray[np.float64]: ...
def shell(
    anchors: Rows,
    low: float,
    high: float,
    num_points: int,
    max_distance: float | None,
    seed: int,
    num_threads: int,
) -> npt.NDArray[np.float32]: ...
def move_rows(
    x: Rows,
    toward: Rows,
    partners: npt.NDArray[np.int64],
    by: str,
    amount: float,
    unit_norm: bool,
    num_threads: int,
) -> tuple[npt.NDArray[np.float32], int]: ...
def write_panels(
    rows: RowFiles,
    file: int,
    metric_name: str,
    tile_rows: int | None,
    memory_limit: int | None,
    path: str,
    name: str,
    offset: int,
    num_threads: int,
    progress: Progress | None,
) -> int: ...
