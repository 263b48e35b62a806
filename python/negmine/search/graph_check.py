"""Validation of hnswlib's files before hnswlib reads them, because it follows every link that a file holds.

A file is a header, then per document the links of the lowest layer, the embedding and the row, then per document the
links of its upper layers. A link beyond the documents, or to a document that the layer does not have, would be a read
outside of the graph's memory.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negmine._core.math import ln

__all__ = ["check_graph"]

#: Offset of the lowest layer, capacity, documents, bytes per document, offsets of row and embedding in them, highest
#: layer, entry document, links of a document in the upper layers and in the lowest, M, scale of the layers, and
#: ef_construction.
_HEADER = struct.Struct("<QQQQQQiIQQQdQ")

#: Documents that are checked at once.
_AT_ONCE = 1 << 16

Words = npt.NDArray[np.uint32]


def check_graph(path: Path, n: int, width: int, M: int, ef_construction: int) -> None:
    """Refuse a file that is not a graph as hnswlib writes it.

    Parameters
    ----------
    path : Path
        The file.
    n : int
        Number of documents.
    width : int
        Number of coordinates of an embedding.
    M, ef_construction : int
        Options of the graph.

    Raises
    ------
    ValueError
        The header has other options, a link leads to no document, rows repeat, or the file has another size.
    OSError
        The system refuses to read the file.
    """
    content = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
    if len(content) < _HEADER.size:
        raise ValueError("it has no header")
    of_embedding = 4 * (2 * M + 1)
    of_row = of_embedding + 4 * width
    size = of_row + 8
    start, _, count, *offsets, top, entry, upper, lowest, links, scale, ef = _HEADER.unpack(
        bytes(content[: _HEADER.size])
    )
    if (start, count, *offsets, upper, lowest, links) != (0, n, size, of_row, of_embedding, M, 2 * M, M):
        raise ValueError("its header is that of another graph")
    if ef != max(ef_construction, M) or not math.isclose(scale * ln(np.array([float(M)]))[0], 1.0):
        raise ValueError("its header has other options")
    end = _HEADER.size + n * size
    if len(content) < end:
        raise ValueError("it was cut")
    rows = np.ndarray((n,), "<u8", content, _HEADER.size + of_row, (size,))
    if not np.array_equal(np.sort(rows), np.arange(n, dtype=np.uint64)):
        raise ValueError("its rows are not those of the documents")
    lists = np.ndarray((n, 2 * M + 1), "<u4", content, _HEADER.size, (size, 4))
    everywhere = np.zeros(n, dtype=np.int64)
    for begin in range(0, n, _AT_ONCE):
        _check_links(lists[begin : begin + _AT_ONCE], 0, everywhere)
    _check_upper(content[end:], n, M, top, entry)


def _check_links(lists: Words, layer: int, layers: npt.NDArray[np.int64]) -> None:
    """Refuse links of one layer to documents that it does not have."""
    counts, links = lists[:, 0] & 0xFFFF, lists[:, 1:]
    if (counts > links.shape[1]).any():
        raise ValueError("a document has too many links")
    used = links[np.arange(links.shape[1]) < counts[:, None]]
    if (used >= len(layers)).any() or (layers[used] < layer).any():
        raise ValueError("a link leads to no document")


def _check_upper(content: npt.NDArray[np.uint8], n: int, M: int, top: int, entry: int) -> None:
    """Refuse upper layers that are not complete, and an entry that is not in the highest."""
    if len(content) % 4:
        raise ValueError("its upper layers were cut")
    words, place = content.view("<u4"), 0
    lengths, places = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for row in range(n):
        if place >= len(words):
            raise ValueError("its upper layers were cut")
        n_bytes = int(words[place])
        if n_bytes % (4 * (M + 1)) or place + 1 + n_bytes // 4 > len(words):
            raise ValueError("its upper layers have another size")
        lengths[row], places[row] = n_bytes // (4 * (M + 1)), place + 1
        place += 1 + n_bytes // 4
    if place != len(words):
        raise ValueError("it is longer than its graph")
    if n == 0:
        return
    if not (0 <= entry < n and lengths[entry] == top == lengths.max()):
        raise ValueError("its entry is not in the highest layer")
    for layer in range(1, top + 1):
        begins = places[lengths >= layer] + (layer - 1) * (M + 1)
        for begin in range(0, len(begins), _AT_ONCE):
            _check_links(words[begins[begin : begin + _AT_ONCE, None] + np.arange(M + 1)], layer, lengths)
