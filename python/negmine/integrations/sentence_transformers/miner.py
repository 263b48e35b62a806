"""``mine_hard_negatives`` of sentence-transformers with an exact engine: texts in, training rows out."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.options import refuse_unknown_options
from negmine.errors import NegmineValueError
from negmine.integrations.sentence_transformers.arguments import Arguments
from negmine.integrations.sentence_transformers.candidates import SCALES, Scale, find_negatives
from negmine.integrations.sentence_transformers.encoding import Encoder, model_digest
from negmine.integrations.sentence_transformers.pairs import Pairs, read_pairs
from negmine.integrations.sentence_transformers.scorers import cross_encoder_scorer
from negmine.integrations.sentence_transformers.statistics import describe_mined, describe_pairs
from negmine.integrations.sentence_transformers.training_rows import make_dataset
from negmine.mining.rescoring import Scorer

__all__ = ["mine_hard_negatives"]


@refuse_unknown_options("mine_hard_negatives")
def mine_hard_negatives(
    dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
    model: Any,  # noqa: ANN401 (a SentenceTransformer)
    anchor_column_name: str | None = None,
    positive_column_name: str | None = None,
    corpus: Sequence[str] | None = None,
    cross_encoder: Any | None = None,  # noqa: ANN401 (a CrossEncoder)
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: Literal["random", "top"] = "top",
    query_prompt_name: str | None = None,
    query_prompt: str | None = None,
    corpus_prompt_name: str | None = None,
    corpus_prompt: str | None = None,
    include_positives: bool = False,
    output_format: Literal["triplet", "n-tuple", "labeled-pair", "labeled-list"] = "triplet",
    output_scores: bool = False,
    batch_size: int = 32,
    faiss_batch_size: int = 16384,
    use_faiss: bool = False,
    use_multi_process: list[str] | bool = False,
    verbose: bool = True,
    cache_folder: str | os.PathLike[str] | None = None,
    as_triplets: bool | None = None,
    margin: float | None = None,
    *,
    compat: Literal["strict", "better"] = "strict",
    seed: int = 0,
    num_threads: int | None = None,
    memory_limit: int | None = None,
) -> Any:  # noqa: ANN401 (a datasets.Dataset)
    """Mine hard negatives for pairs of texts: ``sentence_transformers.util.mine_hard_negatives`` on an exact engine.

    Parameters, columns, formats and printed statistics are those of sentence-transformers 6.2; four parameters are
    added at the end. The corpus and the queries are encoded once, then one exact search finds the negatives. Texts stay
    in Arrow, and the memory in addition to embeddings and texts is about ``num_negatives`` entries per query.

    Parameters
    ----------
    dataset : datasets.Dataset
        Pairs of anchor and positive. All rows of the same anchor are its positives.
    model : sentence_transformers.SentenceTransformer
        Model that encodes. Its similarity function must be "cosine", "dot" or "euclidean".
    anchor_column_name : str, optional
        Column of the anchors. Default: the first column.
    positive_column_name : str, optional
        Column of the positives. Default: the second column.
    corpus : sequence of str, optional
        Further documents, in addition to the positives of all rows. Default: none.
    cross_encoder : sentence_transformers.CrossEncoder, optional
        Model that scores the candidates again. In strict mode it is applied only with a margin, ``max_score`` or
        ``min_score``, otherwise a warning says that it is ignored.
    range_min : int, default 0
        First rank, counted among documents that pass all filters.
    range_max : int, optional
        End of the ranks, exclusive. Default in strict mode: ``range_min + num_negatives`` plus the largest number of
        rows of an anchor, or ``range_min + 10 * num_negatives`` plus that number if a margin, ``max_score`` or a cross
        encoder is used. Default in better mode: as of [`negmine.HardNegativeMiner`][].
    max_score, min_score : float, optional
        Highest and lowest score of a negative; equality is kept. Default: no bounds.
    absolute_margin : float, optional
        A negative must score at least this much below the lowest score of the anchor's positives.
    relative_margin : float, optional
        A negative must score at least this share of the magnitude of that score below it.
    num_negatives : int, default 3
        Negatives per anchor.
    sampling_strategy : {"top", "random"}, default "top"
        Whether the best negatives are taken, or uniform draws without replacement from the ranks.
    query_prompt_name, query_prompt : str, optional
        Name of a prompt of the model, or a prompt, for the anchors.
    corpus_prompt_name, corpus_prompt : str, optional
        Name of a prompt of the model, or a prompt, for the corpus.
    include_positives : bool, default False
        Whether positives may be among the negatives, for evaluation of rerankers. The format is then "n-tuple".
    output_format : {"triplet", "n-tuple", "labeled-pair", "labeled-list"}, default "triplet"
        Columns of the result:

        - "triplet": anchor, positive, negative; one row per negative of a positive.
        - "n-tuple": anchor, positive, negative_1 to negative_n; only anchors with all negatives.
        - "labeled-pair": anchor, document, label; positives also of anchors without negatives.
        - "labeled-list": anchor, list of documents, list of labels; only anchors with a negative.
    output_scores : bool, default False
        Whether to add the column ``scores`` (positive, then negatives), or to replace ``label`` by ``score`` and
        ``labels`` by ``scores``. Scores are float32 numbers in a column of float64.
    batch_size : int, default 32
        Texts that the model encodes at once.
    faiss_batch_size : int, default 16384
        Accepted, without effect; ``memory_limit`` bounds the memory.
    use_faiss : bool, default False
        Accepted, without effect; faiss need not be installed.
    use_multi_process : bool or list of str, default False
        Whether to encode on several processes or devices, or the names of the devices.
    verbose : bool, default True
        Whether to print statistics, and to show the progress of encoding.
    cache_folder : path, optional
        Folder of embeddings that were encoded before; see
        [`negmine.integrations.sentence_transformers.encode`][].
    as_triplets : bool, optional
        Deprecated; use ``output_format``.
    margin : float, optional
        Deprecated; use ``absolute_margin``.
    compat : {"strict", "better"}, default "strict"
        Whether to mine the same negatives as sentence-transformers, or better ones; see the notes.
    seed : int, default 0
        Seed of ``sampling_strategy="random"``, in [0, 2**64).
    num_threads : int, optional
        Number of threads of the search. Default: all cores available to this process.
    memory_limit : int, optional
        Bytes of working memory of the search. Default: no limit.

    Returns
    -------
    datasets.Dataset
        The training rows, in the order of the anchors' first occurrence. Other columns of ``dataset`` are dropped.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        An argument is invalid; the message names it. So is a model without one dense vector per text (SparseEncoder,
        MultiVectorEncoder), one of similarity "manhattan", and a column of ``dataset`` that has the name of a column of
        the result.
    MemoryLimitError
        The search does not fit in ``memory_limit``.

    Notes
    -----
    Strict mode finds the same set of negatives per anchor, except where float32 and float64 scores order or compare
    differently. It sees, as the original, only the first ``range_max`` documents by raw rank, plus as many as the
    anchor with most rows has rows, so that an anchor may have no negatives although documents pass all filters.
    What differs in both modes:

    - Random draws depend on ``seed`` and the anchor instead of Python's global generator.
    - With the similarity "euclidean", scores are minus the distance, as there without faiss; ``use_faiss`` there
      compares them with inner products.
    - A default ``range_max`` is not reduced for faiss on a GPU.
    - Statistics count each document once, under the filter with the lowest cap: of the whole corpus, or of the
      rescored documents with a cross encoder. Documents below ``min_score`` are counted for anchors that lack
      negatives. Percentages refer to pairs of an anchor and a document that is not its positive.
    - A result without rows has the types of its columns. Statistics have no limit of scores.
    - Unknown column names, an unknown ``sampling_strategy``, null cells and cells that are no texts are not passed over
      silently: there are a warning and errors.

    Better mode differs as follows:

    - Filters act inside the search: an anchor lacks negatives only if the corpus has no more that pass them.
      ``range_max`` then matters to random draws and the cross encoder only; its default is
      ``range_min + max(100, num_negatives)`` for these.
    - The document with the text of the anchor is not a negative of it.
    - A cross encoder is always applied, to ``range_max`` documents per anchor that are not positives.
    - An unknown column name, and ``min_score`` above ``max_score``, are errors.

    Examples
    --------
    >>> from sentence_transformers import SentenceTransformer  # doctest: +SKIP
    >>> from negmine.integrations.sentence_transformers import mine_hard_negatives  # doctest: +SKIP
    >>> model = SentenceTransformer("path/to/model")  # doctest: +SKIP
    >>> rows = mine_hard_negatives(dataset, model, relative_margin=0.05, compat="better")  # doctest: +SKIP
    """
    given = dict(locals())
    arguments = Arguments.read(given)
    scale = _scale(model)
    encoders = {
        "document": Encoder(
            model, "document", corpus_prompt, corpus_prompt_name, arguments.batch_size, True, arguments.verbose
        ),
        "query": Encoder(
            model, "query", query_prompt, query_prompt_name, arguments.batch_size, True, arguments.verbose
        ),
    }
    pairs = read_pairs(dataset, arguments.anchor, arguments.positive, corpus)
    arguments.window(int(pairs.counts.max()))
    _report(describe_pairs(pairs, arguments), arguments)
    corpus_embeddings, query_embeddings = _embeddings(encoders, pairs, arguments)
    with _pool(cross_encoder if arguments.rescores else None, arguments) as processes:
        found = find_negatives(
            pairs,
            query_embeddings,
            corpus_embeddings,
            scale,
            arguments,
            _scorer(cross_encoder, pairs, arguments, processes) if arguments.rescores else None,
            num_threads=num_threads,
            memory_limit=memory_limit,
        )
    _report("Negative candidates mined, preparing dataset...", arguments)
    rows = make_dataset(pairs, found, arguments)
    if arguments.verbose:
        _report(describe_mined(pairs, found, arguments), arguments)
    return rows


def _scale(model: Any) -> Scale:  # noqa: ANN401 (a SentenceTransformer)
    """Return the scale of the model's scores."""
    name = getattr(model, "similarity_fn_name", None) or "cosine"
    name = str(getattr(name, "value", name))
    if name not in SCALES:
        raise NegmineValueError(
            f"`model` must have a similarity function among {', '.join(map(repr, SCALES))}; got {name!r}. Set "
            "`model.similarity_fn_name`, or give ranked lists of another search to `negmine.ScoredLists`."
        )
    return SCALES[name]


def _embeddings(
    encoders: dict[str, Encoder], pairs: Pairs, arguments: Arguments
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Encode the corpus, then the queries."""
    model = encoders["query"].model
    weights = functools.cache(lambda: model_digest(model))
    with contextlib.ExitStack() as stack:
        # Processes are started if there are texts to encode, and once for both sides.
        processes = functools.cache(lambda: stack.enter_context(_pool(model, arguments)))
        corpus, queries = (
            encoders[kind].encode(
                texts.to_pylist(), arguments.cache_folder, "cache_folder", weights=weights, pool=processes
            )
            for kind, texts in (("document", pairs.corpus), ("query", pairs.queries))
        )
    return corpus, queries


@contextlib.contextmanager
def _pool(model: Any | None, arguments: Arguments) -> Iterator[object]:  # noqa: ANN401 (a model)
    """Start the processes of a model, and stop them."""
    if model is None or not arguments.use_multi_process:
        yield None
        return
    devices = None if isinstance(arguments.use_multi_process, bool) else arguments.use_multi_process
    processes = model.start_multi_process_pool(target_devices=devices)
    try:
        yield processes
    finally:
        model.stop_multi_process_pool(processes)


def _scorer(
    cross_encoder: Any,  # noqa: ANN401 (a CrossEncoder)
    pairs: Pairs,
    arguments: Arguments,
    processes: object,
) -> Scorer:
    """Make the scorer of a cross encoder, on its processes if it has some."""
    predicts = cross_encoder if processes is None else _OnProcesses(cross_encoder, processes)
    return cross_encoder_scorer(
        predicts, pairs.queries.to_pylist(), pairs.corpus.to_pylist(), batch_size=arguments.batch_size
    )


class _OnProcesses:
    """A cross encoder whose predictions run on processes that were started before."""

    def __init__(self, cross_encoder: Any, processes: object) -> None:  # noqa: ANN401 (a CrossEncoder)
        self._cross_encoder, self._processes = cross_encoder, processes

    def predict(self, pairs: list[tuple[str, str]], **options: object) -> object:
        return self._cross_encoder.predict(pairs, pool=self._processes, **options)


def _report(text: str, arguments: Arguments) -> None:
    """Print statistics, if there are some and they are asked for."""
    if arguments.verbose and text:
        print(text)
