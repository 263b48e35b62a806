"""Read texts and their labels from JSONL, TSV or tables, and groups of documents that hold the same text."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine.data.texts import Texts
from negmine.errors import NegmineValueError
from negmine.io import jsonl, tables, tsv
from negmine.io.lines import compressed
from negmine.io.tables import Names

__all__ = ["TEXT_SUFFIXES", "load_texts", "read_texts", "same_text_groups"]

#: Suffixes of files that hold texts.
TEXT_SUFFIXES = (*compressed((".jsonl", ".tsv")), *tables.TABLE_SUFFIXES)

#: Usual names of labels; the first one that is present is used.
ID_NAMES = ("_id", "id", "doc_id", "query_id")


def read_texts(
    path: object, *, id_name: str | None = None, text_name: str = "text", title_name: str = "title"
) -> Texts:
    """Read labeled texts.

    Parameters
    ----------
    path : path
        ``.jsonl`` (one object per line), ``.tsv``, either of them gzipped (``.jsonl.gz``), ``.parquet``, ``.arrow``,
        ``.feather`` or ``.ipc``. TSV has a header that names its columns, or two columns without a header: labels and
        texts, as in MS MARCO's ``collection.tsv``; quotation marks have no special meaning in TSV.
    id_name : str, optional
        Key or column of the labels, unique integers or strings (in TSV always strings). Default: the first of "_id",
        "id", "doc_id" and "query_id" that is present; if none is, the labels are the rows. Other keys and columns are
        ignored.
    text_name : str, default "text"
        Key or column of the texts; a row without a text is an error that names the row.
    title_name : str, default "title"
        Key or column of the titles; it may be missing.

    Returns
    -------
    Texts

    Raises
    ------
    NegmineValueError
        The file or a column does not exist, a row has no text or label, or labels repeat.
    NegmineTypeError
        A text is not a string, or a label is neither an integer nor a string.
    """
    return load_texts(path, "path", id_name=id_name, text_name=text_name, title_name=title_name)


def load_texts(
    path: object, argument: str, *, id_name: str | None = None, text_name: str = "text", title_name: str = "title"
) -> Texts:
    """Read labeled texts as [`read_texts`][] does, with error messages that name another argument.

    Parameters
    ----------
    path : path
        File of texts.
    argument : str
        Name of the argument that gave the path, for error messages.
    id_name : str, optional
        Key or column of the labels. Default: the first usual name that is present.
    text_name : str, default "text"
        Key or column of the texts.
    title_name : str, default "title"
        Key or column of the titles.

    Returns
    -------
    Texts
    """
    file = files.input_file(path, argument)
    suffix = files.suffix_of(file)
    if suffix not in TEXT_SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(TEXT_SUFFIXES)}; got {file}.")
    id_names = ID_NAMES if id_name is None else (id_name,)
    names = Names(id_names, text_name, title_name)
    if suffix in tables.TABLE_SUFFIXES:
        known = tables.read_schema(file, argument).names
        used = [name for name in names.used(known) if name in known]
        columns = tables.read_columns(file, argument, used)
    else:
        read = jsonl.read_columns if suffix.startswith(".jsonl") else tsv.read_columns
        columns = read(file, argument, names)
    label = names.label(columns)
    if id_name is not None and label is None:
        raise NegmineValueError(f"`{argument}` must label every row; {file} has no {id_name!r}.")
    if text_name not in columns:
        raise NegmineValueError(f"`{argument}` must hold a text in every row; {file} has no {text_name!r}.")
    texts = columns[text_name].strings()
    titles = columns[title_name].strings(missing="") if title_name in columns else None
    return Texts(np.arange(len(texts)) if label is None else columns[label].ids(), texts, titles)


def same_text_groups(texts: Texts) -> npt.NDArray[np.int64]:
    """Group documents that hold the same text, for ``groups=``: a copy of a positive is then never its negative.

    Two documents are the same if their titles and their texts are equal after Unicode normalization to NFC and the
    removal of white space at both ends. Nothing else is normalized: case, punctuation and inner white space count.

    Parameters
    ----------
    texts : Texts
        The documents, in the order of the corpus.

    Returns
    -------
    int64 (n,)
        The first row that holds the same text; -1 if no other row does.

    Examples
    --------
    >>> same_text_groups(Texts.from_lists(["a cat", "a dog", " a cat", "A cat"])).tolist()
    [0, -1, 0, -1]
    """
    n = len(texts)
    groups = np.full(n, -1, dtype=np.int64)
    # Short digests find the few rows that can be copies, so that no second copy of all texts is in memory.
    digests = np.fromiter((_digest(_normal(texts, row)) for row in range(n)), dtype=np.int64, count=n)
    order = np.argsort(digests, kind="stable")
    repeats = digests[order][1:] == digests[order][:-1]
    suspects = np.zeros(n, dtype=bool)
    suspects[order[1:][repeats]] = suspects[order[:-1][repeats]] = True
    first: dict[tuple[str, str], int] = {}
    for row in np.flatnonzero(suspects).tolist():
        leader = first.setdefault(_normal(texts, row), row)
        if leader != row:
            groups[leader] = groups[row] = leader
    return groups


def _normal(texts: Texts, row: int) -> tuple[str, str]:
    title = "" if texts.titles is None else texts.titles[row].as_py()
    text = texts.texts[row].as_py()
    return unicodedata.normalize("NFC", title).strip(), unicodedata.normalize("NFC", text).strip()


def _digest(title_and_text: tuple[str, str]) -> int:
    digest = hashlib.blake2b("\0".join(title_and_text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
