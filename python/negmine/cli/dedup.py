"""``negmine dedup``: group near-duplicates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from negmine._core import files
from negmine._core.extras import require
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.output import Force, Json, Threads, counted, put
from negmine.io import tables
from negmine.io.embeddings import load_embeddings
from negmine.io.texts import load_texts
from negmine.sketches.duplicates import NearDuplicates, near_duplicates

__all__ = ["command"]

SUFFIXES = (".npy", ".parquet")


def command(
    texts: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Texts: JSONL or a table, titles before texts.")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Embeddings: .npy, .safetensors or a table.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Group keys: .npy (int64, -1 where alone) or .parquet (id, group, keep).")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Least Jaccard similarity of texts, or cosine of embeddings.")] = 0.8,
    shingle: Annotated[str, typer.Option(help="Pieces of a text: characters or words.")] = "characters",
    shingle_size: Annotated[int | None, typer.Option(help="Characters (5) or words (3) of a piece.")] = None,
    num_hashes: Annotated[int, typer.Option(help="Hashes of the signature of a text.")] = 128,
    seed: Annotated[int, typer.Option(help="Which hash functions.")] = 0,
    text_name: Annotated[str, typer.Option(help="Key or column of the texts.")] = "text",
    embedding_name: Annotated[str | None, typer.Option(help="Column or tensor of the embeddings.")] = None,
    id_name: Annotated[str | None, typer.Option(help="Key or column of the labels.")] = None,
    num_threads: Threads = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Group near-duplicate texts or embeddings; the keys are what the miner's groups take."""
    if (texts is None) == (embeddings is None):
        got = "neither" if texts is None else "both"
        raise ArgumentError(f"`--texts` or `--embeddings` must be given, and only one of them; got {got}.")
    if out is not None:
        check_out(out, SUFFIXES, force=force)
    rows: dict[str, Any]
    if texts is not None:
        read = load_texts(texts, "texts", id_name=id_name, text_name=text_name)
        ids, rows = read.ids, {"texts": read.joined().to_pylist()}
    else:
        found_embeddings = load_embeddings(embeddings, "embeddings", name=embedding_name, id_name=id_name)
        ids = np.arange(len(found_embeddings)) if found_embeddings.ids is None else found_embeddings.ids
        rows = {"embeddings": found_embeddings.rows}
    options: dict[str, Any] = {
        "threshold": threshold,
        "shingle": shingle,
        "shingle_size": shingle_size,
        "num_hashes": num_hashes,
        "seed": seed,
    }
    with arguments():
        found = near_duplicates(**rows, **options, num_threads=num_threads)
    if out is not None:
        _write(out, found, ids)
    _say(found, out, json=json)


def _write(out: Path, found: NearDuplicates, ids: Any) -> None:  # noqa: ANN401 (labels of either kind)
    if files.suffix_of(out) == ".npy":
        with files.atomic_file(out) as temporary, temporary.open("wb") as file:
            np.save(file, found.groups)
        return
    arrow = require("pyarrow", "io", "writing Parquet")
    parquet = require("pyarrow.parquet", "io", "writing Parquet")
    columns = {"id": tables.to_array(ids), "group": arrow.array(found.groups), "keep": arrow.array(found.keep)}
    with files.atomic_file(out) as temporary:
        parquet.write_table(arrow.table(columns), temporary)


def _say(found: NearDuplicates, out: Path | None, *, json: bool) -> None:
    result = {
        "n_rows": len(found),
        "n_groups": found.n_groups,
        "n_redundant": found.n_redundant,
        "largest_group": int(np.unique(found.groups[found.groups >= 0], return_counts=True)[1].max(initial=0)),
        "threshold": found.threshold,
        "bands": found.bands,
        "band_rows": found.band_rows,
        "verified": found.verified,
        "out": out,
    }
    lines = [
        f"{counted(len(found), 'row')}: {counted(found.n_groups, 'group')} of near-duplicates, the largest of "
        f"{result['largest_group']:,}; {counted(found.n_redundant, 'row')} beyond the first of a group"
    ]
    if found.bands:
        lines.append(
            f"{counted(found.bands, 'band')} of {found.band_rows}; {counted(found.verified, 'candidate pair')} verified"
        )
    if out is not None:
        lines.append(str(out))
    put(result, "\n".join(lines), as_json=json)
