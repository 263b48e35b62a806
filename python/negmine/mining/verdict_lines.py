"""Lines of judges: reading them from a file, and the verdict on a pair that several judges agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from negmine._core import files
from negmine._core.labels import refuse_surrogates
from negmine._core.parsing import parse_json
from negmine.errors import NegmineValueError

__all__ = ["WORDS", "Label", "Pair", "VerdictLine", "check_entry", "majority_words", "read_lines"]

#: What a judge may say of a pair.
WORDS = ("positive", "drop", "keep", "unsure")

#: Lowest logarithm of a probability, whose inverse is a float64.
_LEAST_LOG_PROB = -700.0

Label = int | str
Pair = tuple[Label, Label]


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A judgment, as a judge gave it.

    Attributes
    ----------
    query_id, document_id : int or str
        Labels of the pair.
    verdict : {"positive", "drop", "keep", "unsure"}
        The judgment.
    judge : str
        Name of the judge.
    log_prob : float or None
        Logarithm of the probability that the pair was exported, if known.
    """

    query_id: Label
    document_id: Label
    verdict: str
    judge: str
    log_prob: float | None


def read_lines(path: Path) -> Iterator[tuple[int, VerdictLine]]:
    """Yield the judgments of a file.

    Parameters
    ----------
    path : Path
        The file of JSON lines.

    Yields
    ------
    number : int
        Number of a line that was judged.
    line : VerdictLine
        The judgment.

    Raises
    ------
    NegmineValueError
        A line is not a judgment; the message names it.
    """
    with files.open_file(path) as file:
        for number, content in enumerate(file, start=1):
            if content.strip():
                line = _parse(content, f"{path}, line {number}")
                if line is not None:
                    yield number, line


def _parse(content: bytes, place: str) -> VerdictLine | None:
    """Parse a line; None if it was not judged."""
    try:
        entry = parse_json(content)
    except ValueError as error:
        raise NegmineValueError(f"`file` must hold JSON objects; got {place}: {error}.") from error
    return check_entry(entry, place)


def check_entry(entry: object, place: str) -> VerdictLine | None:
    """Validate a judgment.

    Parameters
    ----------
    entry : object
        What JSON gave.
    place : str
        Where it was found, for error messages.

    Returns
    -------
    VerdictLine or None
        None if the pair was not judged.

    Raises
    ------
    NegmineValueError
        It is no judgment.
    """
    if not isinstance(entry, dict):
        raise NegmineValueError(f"`file` must hold JSON objects; got {type(entry).__name__} in {place}.")
    for name in ("query_id", "document_id", "verdict"):
        if name not in entry:
            raise NegmineValueError(f"`file` must have `{name}` in every line; got none in {place}.")
    verdict, judge, log_prob = entry["verdict"], entry.get("judge"), entry.get("log_prob")
    if verdict is None:
        return None
    query_id, document_id = (_label(entry[name], name, place) for name in ("query_id", "document_id"))
    if verdict not in WORDS:
        raise NegmineValueError(f"`file` must have a verdict of {', '.join(WORDS)}; got {verdict!r} in {place}.")
    if not isinstance(judge, str) or not judge:
        raise NegmineValueError(f"`file` must name the judge of every verdict; got {judge!r} in {place}.")
    refuse_surrogates([judge], "file")
    number = isinstance(log_prob, int | float) and not isinstance(log_prob, bool)
    if log_prob is not None and not (number and _LEAST_LOG_PROB <= log_prob <= 0):
        raise NegmineValueError(
            f"`file` must have a log_prob from {_LEAST_LOG_PROB:.0f} to 0, or null; got {log_prob!r} in {place}."
        )
    return VerdictLine(query_id, document_id, verdict, judge, None if log_prob is None else float(log_prob))


def _label(value: object, name: str, place: str) -> Label:
    if isinstance(value, str) and value:
        refuse_surrogates([value], "file")
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 and value != -1:
        return value
    raise NegmineValueError(f"`file` must have labels of int64 or str, not -1 or ''; got {name} {value!r} in {place}.")


def majority_words(lines: list[VerdictLine]) -> dict[Pair, str]:
    """Return the verdict on every pair: the one that most judges gave last, "drop" in case of a tie.

    Parameters
    ----------
    lines : list of VerdictLine
        All judgments, in the order in which they were read; "unsure" changes nothing.

    Returns
    -------
    dict of (query label, document label) to str
    """
    last: dict[Pair, dict[str, str]] = {}
    for line in lines:
        if line.verdict != "unsure":
            last.setdefault((line.query_id, line.document_id), {})[line.judge] = line.verdict
    words = {}
    for pair, by_judge in last.items():
        counts = Counter(by_judge.values()).most_common(2)
        tie = len(counts) > 1 and counts[0][1] == counts[1][1]
        words[pair] = "drop" if tie else counts[0][0]
    return words
