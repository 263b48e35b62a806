"""The libraries that are compared: how each is set up and asked for the best documents by inner product.

Every class runs in a process of its own, started with the environment that it names, before any import. ``variant``
tells "as installed" from "best configured"; bars are against the second.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from blas import BEST_KERNELS

#: Score matrices are made in blocks of about this many bytes.
BLOCK_BYTES = 256 << 20


class Peer:
    """A library that answers "the best k documents of every query, by inner product"."""

    name: ClassVar[str]
    variant: ClassVar[str] = "best"
    environment: ClassVar[dict[str, str]] = {}
    #: Which of the environments it is installed in.
    home: ClassVar[str] = "peers"
    exact: ClassVar[bool] = True

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        """Build what the library builds once per corpus."""
        self.corpus, self.queries = corpus, queries

    def search(self, k: int) -> np.ndarray:
        """Document rows of every query, best first."""
        raise NotImplementedError

    def answer(self, k: int) -> np.ndarray:
        """What is held against float64 scores; not timed."""
        return self.search(k)

    def blocks(self) -> list[slice]:
        """Blocks of queries whose score matrix fits."""
        step = max(1, BLOCK_BYTES // (4 * len(self.corpus)))
        return [slice(begin, begin + step) for begin in range(0, len(self.queries), step)]


class Negmine(Peer):
    """The library of this repository."""

    name = "negmine"

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        import negmine

        super().prepare(corpus, queries)
        self.index = negmine.ExactIndex(corpus, metric="ip", num_threads=self.threads)

    def search(self, k: int) -> np.ndarray:
        return self.index.search(self.queries, k, num_threads=self.threads).indices


class NumPy(Peer):
    """Score matrix by OpenBLAS, then argpartition and a sort of what it leaves."""

    name = "numpy"

    def search(self, k: int) -> np.ndarray:
        rows = np.empty((len(self.queries), k), dtype=np.int64)
        for block in self.blocks():
            scores = self.queries[block] @ self.corpus.T
            best = np.argpartition(scores, -k, axis=1)[:, -k:]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
            rows[block] = np.take_along_axis(best, order, axis=1)
        return rows


class Torch(Peer):
    """Score matrix and topk; float32 through oneDNN where that is faster."""

    name = "torch"
    precision = "medium"

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        import torch

        super().prepare(corpus, queries)
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision(self.precision)
        self.tensors = torch.from_numpy(corpus), torch.from_numpy(queries)

    def search(self, k: int) -> np.ndarray:
        import torch

        corpus, queries = self.tensors
        with torch.inference_mode():
            return torch.cat([(queries[block] @ corpus.T).topk(k).indices for block in self.blocks()]).numpy()


class TorchAsInstalled(Torch):
    """Without the precision setting."""

    variant = "as installed"
    precision = "highest"


class Faiss(Peer):
    """IndexFlatIP, told which kernels its bundled OpenBLAS should use."""

    name = "faiss"
    environment: ClassVar[dict[str, str]] = BEST_KERNELS

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        import faiss

        super().prepare(corpus, queries)
        faiss.omp_set_num_threads(self.threads)
        # Below this size the scan does not use BLAS and is several times slower.
        faiss.cvar.distance_compute_blas_threshold = 1
        self.index = faiss.IndexFlatIP(corpus.shape[1])
        self.index.add(corpus)

    def search(self, k: int) -> np.ndarray:
        return self.index.search(self.queries, k)[1]


class FaissAsInstalled(Faiss):
    """Without the environment variable."""

    variant = "as installed"
    environment: ClassVar[dict[str, str]] = {}


class FaissPanorama(Peer):
    """IndexFlatL2Panorama: exact pruning by the leading coordinates of rotated rows (arXiv 2510.00566).

    The same idea as this library's pruned pass. Among unit rows, which every case has, the order by distance is that
    by inner product. It takes one query at a time and needs as many documents in a block as it returns.

    The rotation is faiss's PCA. It subtracts the mean, which changes no distance but does change inner products:
    "PCA384,FlatIPPanorama16" looks like the same index for inner products and returned 58, 66 and 68 % of the true
    ids at k = 1, 10 and 100 on the real vectors. `panorama.py` compares rotations, levels and block sizes.
    """

    name = "faiss Panorama"
    environment: ClassVar[dict[str, str]] = BEST_KERNELS
    factory: ClassVar[str] = "PCA{width},FlatL2Panorama16_1024"

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        import faiss

        super().prepare(corpus, queries)
        if not np.allclose(np.einsum("ij,ij->i", corpus, corpus), 1, atol=1e-5):
            raise SystemExit("FaissPanorama needs unit rows: the order by distance must be that by inner product")
        faiss.omp_set_num_threads(self.threads)
        self.index = faiss.index_factory(corpus.shape[1], self.factory.format(width=corpus.shape[1]), faiss.METRIC_L2)
        self.index.train(corpus)
        self.index.add(corpus)

    def search(self, k: int) -> np.ndarray:
        return self.index.search(self.queries, k)[1]


class FaissPanoramaAsInstalled(FaissPanorama):
    """Without a rotation; eight levels, which faiss's factory gives its other Panorama indexes by default."""

    variant = "as installed"
    environment: ClassVar[dict[str, str]] = {}
    factory: ClassVar[str] = "FlatL2Panorama8"


class ScaNN(Peer):
    """Brute force of ScaNN-core: a fused float32 kernel."""

    name = "scann"
    home = "scann"

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        import scann

        super().prepare(corpus, queries)
        self.searcher = scann.scann_ops_pybind.builder(corpus, 10, "dot_product").score_brute_force().build()

    def search(self, k: int) -> np.ndarray:
        search = self.searcher.search_batched if self.threads == 1 else self.searcher.search_batched_parallel
        return search(self.queries, final_num_neighbors=k)[0]


class USearch(Peer):
    """Exact search, in slices of queries: it keeps 16 bytes a pair."""

    name = "usearch"

    def search(self, k: int) -> np.ndarray:
        from usearch.index import search

        step = max(1, BLOCK_BYTES // (16 * len(self.corpus)))
        parts = [
            search(self.corpus, self.queries[begin : begin + step], k, metric="ip", exact=True, threads=self.threads)
            for begin in range(0, len(self.queries), step)
        ]
        return np.concatenate([np.asarray(part.keys, dtype=np.int64).reshape(-1, k) for part in parts])


class TurboVec(Peer):
    """A 4-bit scan: approximate, its recall is printed."""

    name = "turbovec"
    exact = False

    def prepare(self, corpus: np.ndarray, queries: np.ndarray) -> None:
        from turbovec import TurboQuantIndex

        super().prepare(corpus, queries)
        self.index = TurboQuantIndex(dim=corpus.shape[1], bit_width=4)
        self.index.add(corpus)

    def search(self, k: int) -> np.ndarray:
        return np.asarray(self.index.search(self.queries, k)[1], dtype=np.int64)


class Miner(Peer):
    """A library that mines hard negatives and gives a table of (anchor, positive, negative) texts.

    ``prepare`` makes the texts, ``search`` does everything else: search, filter, and the table.
    """

    def prepare(self, corpus: np.ndarray, queries: np.ndarray, positives: np.ndarray) -> None:
        super().prepare(corpus, queries)
        self.positives = positives
        self.anchors = [f"query {i}" for i in range(len(queries))]
        self.texts = [f"document {i}" for i in range(len(corpus))]

    def answer(self, k: int) -> np.ndarray:
        """(query, document) rows of the negatives, read off the texts of the table."""
        self.search(k)
        rows = [[int(str(text).split()[1]) for text in self.table[name]] for name in ("anchor", "negative")]
        return np.stack(rows, axis=1)


class NegmineMiner(Miner):
    """The library of this repository, index included."""

    name = "negmine miner"

    def search(self, k: int) -> np.ndarray:
        import pyarrow as pa

        import negmine

        positives = negmine.Positives.from_csr(np.arange(len(self.queries) + 1), self.positives)
        negatives = negmine.mine(
            self.queries, self.corpus, positives, num_negatives=k, relative_margin=0.05, num_threads=self.threads
        )
        query = np.repeat(negatives.query_indices, negatives.counts)
        document = negatives.indices[negatives.source > 0]
        anchors, texts = pa.array(self.anchors), pa.array(self.texts)
        columns = [anchors.take(query), texts.take(self.positives[query]), texts.take(document)]
        self.table = pa.table(columns, names=["anchor", "positive", "negative"])
        return document


class SentenceTransformers(Miner):
    """``mine_hard_negatives`` with embeddings that exist already, through its torch branch."""

    name = "sentence-transformers, torch"
    use_faiss = False

    def search(self, k: int) -> np.ndarray:
        import contextlib
        import io

        import datasets
        import torch

        torch.set_num_threads(self.threads)
        rows = {"anchor": self.anchors, "positive": [self.texts[row] for row in self.positives]}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.table = self.mine()(
                datasets.Dataset.from_dict(rows),
                Precomputed(self),
                corpus=self.texts,
                num_negatives=k,
                relative_margin=0.05,
                use_faiss=self.use_faiss,
                verbose=False,
                **self.options(),
            )
        return np.empty(0)

    def mine(self) -> Any:
        """Import the function that is measured."""
        from sentence_transformers.util import mine_hard_negatives

        return mine_hard_negatives

    def options(self) -> dict[str, Any]:
        """Return options that only one of the libraries has."""
        return {}


class Precomputed:
    """What ``mine_hard_negatives`` asks of a model, answered from arrays."""

    def __init__(self, miner: Miner) -> None:
        self.miner = miner
        self.device = "cpu"
        self.model_card_data = type("Card", (), {"base_model": "precomputed"})

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        """Vectors of queries."""
        return self.miner.queries[[int(text.split()[1]) for text in texts]]

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        """Vectors of documents."""
        return self.miner.corpus[[int(text.split()[1]) for text in texts]]

    def get_embedding_dimension(self) -> int:
        """Width of the vectors."""
        return self.miner.corpus.shape[1]

    def similarity(self, a: Any, b: Any) -> Any:
        """Cosines of all pairs."""
        from sentence_transformers.util import cos_sim

        return cos_sim(a, b)

    def similarity_pairwise(self, a: Any, b: Any) -> Any:
        """Cosines of aligned pairs."""
        from sentence_transformers.util import pairwise_cos_sim

        return pairwise_cos_sim(a, b)


class SentenceTransformersAsInstalled(SentenceTransformers):
    """The default branch."""

    variant = "as installed"


class NegmineDropIn(SentenceTransformers):
    """The function of this repository that replaces ``mine_hard_negatives``, in its strict mode."""

    name = "negmine mine_hard_negatives"

    def mine(self) -> Any:
        """Import the function that is measured."""
        from negmine.integrations.sentence_transformers import mine_hard_negatives

        return mine_hard_negatives

    def options(self) -> dict[str, Any]:
        """Return options that only one of the libraries has."""
        return {"num_threads": self.threads}


class SentenceTransformersFaiss(SentenceTransformers):
    """Its faiss branch, told which kernels to use: the best configuration."""

    name = "sentence-transformers, faiss"
    environment: ClassVar[dict[str, str]] = BEST_KERNELS
    use_faiss = True


class SentenceTransformersFaissAsInstalled(SentenceTransformersFaiss):
    """Without the environment variable."""

    variant = "as installed"
    environment: ClassVar[dict[str, str]] = {}


PEERS: dict[str, type[Peer]] = {
    f"{peer.name} ({peer.variant})": peer
    for peer in (
        Negmine,
        NumPy,
        Torch,
        TorchAsInstalled,
        Faiss,
        FaissAsInstalled,
        FaissPanorama,
        FaissPanoramaAsInstalled,
        ScaNN,
        USearch,
        TurboVec,
        NegmineMiner,
        NegmineDropIn,
        SentenceTransformersAsInstalled,
        SentenceTransformersFaiss,
        SentenceTransformersFaissAsInstalled,
    )
}


def thread_environment(threads: int) -> dict[str, str]:
    """What every pool reads when it starts."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return dict.fromkeys(names, str(threads))
