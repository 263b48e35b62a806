"""The page: one HTML file with its data, its style and its script, and no request to anywhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

import numpy as np

from negmine._core import files
from negmine._core.extras import require
from negmine._core.options import refuse_unknown_options
from negmine.data.qrels import Qrels
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.inspect.contents import Contents, gather
from negmine.inspect.rows import NegativesLike
from negmine.io.negatives import Written
from negmine.mining.with_texts import TextsLike

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_TEXT", "pack", "to_html"]

#: Suffixes of pages.
SUFFIXES = (".html", ".htm")

#: Bytes of text that a page holds; longer texts are cut, all at the same length.
MOST_TEXT = 20_000_000

#: Lengths at which texts are cut, in characters; the first that keeps the page small is used.
LENGTHS = (4000, 2000, 1500, 1000, 800, 600, 500, 400, 300, 250, 200, 150, 120, 100, 80)

#: Parts of the script, in the order in which they stand on the page.
SCRIPTS = ("basics", "data", "model", "margin", "words", "verdicts", "figures", "list", "detail", "permalink", "main")


@refuse_unknown_options("to_html")
def to_html(
    negatives: NegativesLike,
    path: object,
    *,
    queries: TextsLike,
    documents: TextsLike,
    qrels: Qrels | None = None,
    against: NegativesLike | None = None,
    title: str | None = None,
) -> Written:
    """Write a page on which mined negatives are read, compared and judged. Needs the extra ``negmine[io]``.

    The page is one HTML file that makes no request: it can be opened from a disk and passed on. It holds the texts of
    the documents that occur; where these are large, all texts are cut at one length, and the page says so. The same
    negatives give the same bytes.

    Its figures of a margin need the pool: a file of [`negmine.io.write_negatives`][] holds the negatives alone, so
    that a larger margin has no replacements there. ``negatives.save(path, pool=True)`` keeps the pool, and
    ``keep_rejected`` the documents that rules and caps rejected.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner, or the path of ``.parquet``, ``.npz`` with its pool next to it, or the folder of a job; at
        most 100,000 result rows.
    path : path
        File to write, ending in ``.html``; its folder must exist.
    queries, documents : list of str, Texts or dict of label to str
        Texts: a list in the order of the rows, a dictionary by label, or [`negmine.io.Texts`][], by label where both
        have labels.
    qrels : Qrels, optional
        Judgments, with more positives than the mining used: negatives that they call relevant are marked.
    against : HardNegatives, MinedRows or path, optional
        Negatives of another run for the same queries: those whose negatives changed most come first.
    title : str, optional
        Title of the page. Default: "Mined negatives".

    Returns
    -------
    Written
        The file and its number of result rows.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The negatives have too many rows or no positives, texts are missing, or judgments or the other run belong to
        other queries.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:1], corpus, [1], num_negatives=2)
    >>> page = pathlib.Path(tempfile.mkdtemp()) / "page.html"
    >>> texts = ["a cat", "cats purr", "a dog"]
    >>> negmine.inspect.to_html(negatives, page, queries=["what purrs?"], documents=texts).n_rows
    1
    """
    require("pyarrow", "io", "`to_html`")
    target = files.as_path(path, "path")
    if files.suffix_of(target) not in SUFFIXES:
        raise NegmineValueError(f"`path` must end in {' or '.join(SUFFIXES)}; got {target}.")
    files.check_target(target)
    if title is not None and not isinstance(title, str):
        raise NegmineTypeError(f"`title` must be a string; got {title!r}.")
    contents = gather(negatives, queries=queries, documents=documents, qrels=qrels, against=against)
    text = _page(title or "Mined negatives", pack(contents))
    with files.atomic_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Written(target, len(contents.rows))


def pack(contents: Contents) -> bytes:
    """Pack data for the page: the length of the values as uint32, the values as JSON, and the arrays.

    Parameters
    ----------
    contents : Contents
        Data of the page.

    Returns
    -------
    bytes
        The data, compressed by gzip.
    """
    (query_texts, document_texts), length = _cut(contents.query_texts, contents.document_texts)
    texts = {"queryTexts": query_texts.to_pylist(), "documentTexts": document_texts.to_pylist()}
    places: dict[str, list[Any]] = {}
    body = bytearray()
    for name, array in contents.arrays.items():
        body += b"\0" * (-len(body) % 8)
        places[name] = [array.dtype.name, len(body), len(array)]
        body += np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    values = {**contents.values, **texts, "cutAt": length, "arrays": places}
    header = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return gzip.compress(len(header).to_bytes(4, "little") + header + bytes(body), compresslevel=6, mtime=0)


def _cut(*columns: pa.LargeStringArray) -> tuple[list[pa.LargeStringArray], int | None]:
    """Cut texts at the first length that keeps the page small, if they are long."""
    compute = require("pyarrow.compute", "io", "`to_html`")
    length, shown = None, list(columns)
    for shorter in LENGTHS:
        if sum(compute.sum(compute.binary_length(column)).as_py() or 0 for column in shown) <= MOST_TEXT:
            break
        length, shown = shorter, [compute.utf8_slice_codeunits(column, 0, shorter) for column in columns]
    return shown, length


def _page(title: str, data: bytes) -> str:
    """Return the text of the page."""
    style = _asset("page.css")
    script = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    # The page names its own style and script by their digests: no other script runs, even if markup got in.
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "title": html.escape(title),
        "policy": html.escape(policy, quote=True).replace("&#x27;", "'"),
        "key": hashlib.blake2b(data, digest_size=8).hexdigest(),
        "style": style,
        "script": script,
        "data": base64.b64encode(data).decode("ascii"),
    }
    pieces = _asset("page.html").split("{{")
    text = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        text += [parts[name], rest]
    return "".join(text)


def _asset(name: str) -> str:
    return (package_files("negmine.inspect") / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
