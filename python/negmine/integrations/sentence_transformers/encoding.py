"""Embeddings of texts by a model of sentence-transformers, with a cache that is keyed by the weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.calls import Progress, check_progress
from negmine._core.digests import digest
from negmine._core.formats import EMBEDDING_CACHE
from negmine._core.labels import Strings
from negmine._core.options import check_choice, check_flag, check_integer, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.integrations.sentence_transformers.embedding_cache import cached

__all__ = ["Encoder", "encode", "model_digest"]

#: Classes of sentence-transformers whose output is not one dense vector per text.
_OTHER_OUTPUT = {
    "SparseEncoder": "sparse vectors",
    "MultiVectorEncoder": "several vectors per text",
}


@refuse_unknown_options("encode")
def encode(
    model: Any,  # noqa: ANN401 (a SentenceTransformer)
    texts: Sequence[str],
    *,
    kind: Literal["query", "document"] = "query",
    prompt: str | None = None,
    prompt_name: str | None = None,
    batch_size: int = 32,
    normalize: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Encode texts, and keep the embeddings in a folder so that they are encoded once.

    The cache finds embeddings by everything that determines them: the weights of the model, its modules and its
    tokenizer, the prompt, the texts in their order, ``kind``, ``normalize``, the maximum length and the truncated
    width. If any of them changes, the texts are encoded again. Texts are encoded in chunks that are written as they
    are finished, so that a process that is killed loses at most one chunk.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
        The model.
    texts : sequence of str
        The texts, at least one; an Arrow array of strings is accepted.
    kind : {"query", "document"}, default "query"
        Which method of the model encodes: ``encode_query`` or ``encode_document``.
    prompt : str, optional
        Text before every text. Default: that of ``prompt_name``, or of the model.
    prompt_name : str, optional
        Name of one of the model's prompts.
    batch_size : int, default 32
        Texts that the model encodes at once.
    normalize : bool, default False
        Whether embeddings are scaled to length 1.
    cache : path, optional
        Folder of the cache, which is made if it does not exist. It may hold embeddings of any models and texts; nothing
        is ever removed from it. Default: embeddings are not kept.
    progress : callable, optional
        Called as ``progress(done, total)`` after every chunk, in texts.

    Returns
    -------
    float32 (n_texts, width)
        The embeddings; a read-only memory map if they are cached.

    Raises
    ------
    NegmineTypeError
        The model has no method for ``kind``, gives something else than one dense vector per text, or has no weights for
        the key of a cache; or an argument has another type.
    NegmineValueError
        An argument is invalid, a file of the cache is corrupt, or another process encodes the same texts into the
        cache.
    NegmineOSError
        The system refuses to write the cache.

    Notes
    -----
    The device and ``batch_size`` are not part of the key, although they may change the last bits of an embedding. The
    checksum of all embeddings is verified whenever they are loaded.

    Examples
    --------
    >>> from sentence_transformers import SentenceTransformer  # doctest: +SKIP
    >>> model = SentenceTransformer("path/to/model")  # doctest: +SKIP
    >>> corpus = encode(model, documents, kind="document", cache="embeddings")  # doctest: +SKIP
    """
    encoder = Encoder(
        model,
        check_choice(kind, "kind", ("query", "document")),
        _optional_text(prompt, "prompt"),
        _optional_text(prompt_name, "prompt_name"),
        check_integer(batch_size, "batch_size", least=1),
        check_flag(normalize, "normalize"),
    )
    listed = _listed(texts)
    folder = None if cache is None else files.as_path(cache, "cache")
    return encoder.encode(listed, folder, "cache", progress=check_progress(progress))


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model and how it encodes.

    Attributes
    ----------
    model : sentence_transformers.SentenceTransformer
        The model.
    kind : {"query", "document"}
        Which method of the model encodes.
    prompt, prompt_name : str or None
        Prompt, and name of a prompt.
    batch_size : int
        Texts that the model encodes at once.
    normalize : bool
        Whether embeddings are scaled to length 1.
    show_progress_bar : bool, default False
        Whether the model shows its progress.
    """

    model: Any
    kind: str
    prompt: str | None
    prompt_name: str | None
    batch_size: int
    normalize: bool
    show_progress_bar: bool = False

    def __post_init__(self) -> None:
        for cls in type(self.model).__mro__:
            if (output := _OTHER_OUTPUT.get(cls.__name__)) is not None:
                raise NegmineTypeError(
                    f"`model` must give one dense vector per text; got {type(self.model).__name__}, which gives "
                    f"{output}. Search with that model, and mine from its ranked lists: `negmine.ScoredLists`, or "
                    "`negmine mine --run`."
                )
        if not callable(getattr(self.model, f"encode_{self.kind}", None)):
            raise NegmineTypeError(
                f"`model` must have `encode_{self.kind}`, as a SentenceTransformer has; got "
                f"{type(self.model).__name__}."
            )

    def encode(
        self,
        texts: list[str],
        folder: Path | None,
        argument: str,
        *,
        weights: Callable[[], str] | None = None,
        pool: Callable[[], object] | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float32]:
        """Encode texts, or load their embeddings from a cache.

        Parameters
        ----------
        texts : list of str
            The texts.
        folder : Path or None
            Folder of the cache.
        argument : str
            Name of the argument that gave the folder, for error messages.
        weights : callable, optional
            Function that returns the digest of the model. Default: it is computed.
        pool : callable, optional
            Function that returns processes of the model, or None; called if there are texts to encode.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        float32 (n_texts, width)
        """

        def compute(begin: int, end: int) -> npt.NDArray[np.float32]:
            return self._compute(texts[begin:end], None if pool is None else pool())

        if folder is None:
            embeddings = compute(0, len(texts))
            if progress is not None:
                progress(len(texts), len(texts))
            return embeddings
        key = self.key(texts, model_digest(self.model) if weights is None else weights())
        return cached(folder, key, len(texts), compute, argument, progress)

    def key(self, texts: list[str], weights: str) -> str:
        """Return the key of texts in a cache.

        Parameters
        ----------
        texts : list of str
            The texts.
        weights : str
            Digest of the model.

        Returns
        -------
        str
        """
        prompts = getattr(self.model, "prompts", None), getattr(self.model, "default_prompt_name", None)
        options = [weights, self.kind, self.prompt, self.prompt_name, prompts, self.normalize]
        options += [getattr(self.model, name, None) for name in ("max_seq_length", "truncate_dim")]
        return digest(EMBEDDING_CACHE.tag, options, [Strings.of(texts, "texts")])

    def _compute(self, texts: list[str], pool: object) -> npt.NDArray[np.float32]:
        method = getattr(self.model, f"encode_{self.kind}")
        made = method(
            texts,
            prompt=self.prompt,
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            normalize_embeddings=self.normalize,
            convert_to_numpy=True,
            show_progress_bar=self.show_progress_bar,
            **({} if pool is None else {"pool": pool}),
        )
        embeddings = np.asarray(made)
        if embeddings.ndim != 2 or len(embeddings) != len(texts) or embeddings.dtype.kind != "f":
            raise NegmineTypeError(
                f"`model` must give one dense vector per text; got {embeddings.dtype} of shape {embeddings.shape} for "
                f"{len(texts)} texts."
            )
        return np.ascontiguousarray(embeddings, dtype=np.float32)


def model_digest(model: Any) -> str:  # noqa: ANN401 (a SentenceTransformer)
    """Hash what a model computes with: its weights, its modules and its tokenizer.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
        The model.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    if not callable(getattr(model, "state_dict", None)):
        raise NegmineTypeError(
            f"`model` must have `state_dict` for a cache, which is keyed by the weights; got {type(model).__name__}."
        )
    hashed = hashlib.sha256(repr([repr(model), _tokenizer(model)]).encode())
    for name, tensor in sorted(model.state_dict().items()):
        hashed.update(repr([name, str(tensor.dtype), tuple(tensor.shape)]).encode())
        hashed.update(_bytes_of(tensor))
    return hashed.hexdigest()


def _bytes_of(tensor: Any) -> memoryview:  # noqa: ANN401 (a torch tensor)
    import torch

    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")


def _tokenizer(model: Any) -> str:  # noqa: ANN401 (a SentenceTransformer)
    """Describe the tokenizer; how it pads and truncates depends on the last call and is left out."""
    tokenizer: Any = getattr(model, "tokenizer", None)
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not callable(getattr(tokenizer, "to_str", None)):
        return type(tokenizer).__name__
    described = json.loads(tokenizer.to_str())
    return json.dumps({name: value for name, value in described.items() if name not in ("padding", "truncation")})


def _optional_text(value: object, argument: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise NegmineTypeError(f"`{argument}` must be a string; got {value!r}.")
    return value


def _listed(texts: Any) -> list[str]:  # noqa: ANN401 (a sequence or an Arrow array)
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        got = f"the string {texts!r}" if isinstance(texts, str) else type(texts).__name__
        raise NegmineTypeError(f"`texts` must be a list of strings; got {got}.")
    listed = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)
    row = next((row for row, text in enumerate(listed) if not isinstance(text, str)), None)
    if row is not None:
        raise NegmineTypeError(f"`texts` must hold strings; got {listed[row]!r} at row {row}.")
    if not listed:
        raise NegmineValueError("`texts` must hold at least one text; got none.")
    return listed
