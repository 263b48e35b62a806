"""Implementation of ``negmine demo``: ``run`` mines the demo set under several rules, ``render`` prints the results.

The demo set contains every correct answer, so a rule can be evaluated by two numbers that real data does not show: how
many of its negatives are correct answers without a label, and how hard the negatives are. Each rule improves the first
number at the expense of the second, so neither number is meaningful alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from negmine.data.positives import Positives
from negmine.demo import DemoSet, load
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.search.exact import ExactIndex

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["DemoReport", "Example", "Mined", "RuleResult", "render", "run"]

NUM_NEGATIVES = 5

RULES = (
    HardNegativeMiner(NUM_NEGATIVES),
    HardNegativeMiner(NUM_NEGATIVES, relative_margin=0.05),
    HardNegativeMiner(NUM_NEGATIVES, range_min=3),
    HardNegativeMiner(NUM_NEGATIVES, range_min=10),
    HardNegativeMiner(NUM_NEGATIVES, relative_margin=0.05, range_min=10),
)
"""Rules from none to all together. On this data set, the margin has about the false-negative rate of ``range_min=3``
and about the hardness of ``range_min=10``, which makes the rules easy to compare."""

EXAMPLES = ("adolescence", "building", "church")
"""Nouns with short definitions, whose other meanings are among the nearest documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """Result of one rule.

    Attributes
    ----------
    miner : HardNegativeMiner
        The rule.
    n_negatives : int
        Number of mined negatives of all queries.
    n_false_negatives : int
        Number of these negatives that are correct answers without a label.
    n_queries_hit : int
        Number of queries with at least one false negative.
    hardness : float
        Mean score of the negatives; higher is harder.
    """

    miner: HardNegativeMiner
    n_negatives: int
    n_false_negatives: int
    n_queries_hit: int
    hardness: float

    @property
    def false_negative_rate(self) -> float:
        """Share of the negatives that are correct answers."""
        return self.n_false_negatives / self.n_negatives

    @property
    def code(self) -> str:
        """The rule as Python keyword arguments; empty if there is no rule."""
        margin, skip = self.miner.relative_margin, self.miner.range_min
        return ", ".join(
            ([] if margin is None else [f"relative_margin={margin}"]) + ([f"range_min={skip}"] if skip else [])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """A negative of an example, or its positive.

    Attributes
    ----------
    definition : str
        Text of the document.
    word : str
        The word that it defines.
    score : float
        Score with the query.
    is_right : bool
        Whether the document is a correct answer.
    """

    definition: str
    word: str
    score: float
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query, its labeled positive, and its negatives under no rule and under all rules.

    Attributes
    ----------
    query : str
        Text of the query.
    positive : Mined
        The labeled positive.
    nearest : tuple of Mined
        Negatives under no rule.
    mined : tuple of Mined
        Negatives under all rules.
    """

    query: str
    positive: Mined
    nearest: tuple[Mined, ...]
    mined: tuple[Mined, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """Report that ``render`` prints, and the data that it was made from.

    Attributes
    ----------
    demo : DemoSet
        The data set.
    rules : tuple of RuleResult
        Results per rule, from no rule to all rules.
    examples : tuple of Example
        A few queries with their negatives.
    negatives : HardNegatives
        Negatives of the last rule, one row per query.
    num_threads : int
        Number of threads that were used.
    seconds : float
        Wall time to build the index and mine once, under the first rule.
    """

    demo: DemoSet
    rules: tuple[RuleResult, ...]
    examples: tuple[Example, ...]
    negatives: HardNegatives
    num_threads: int
    seconds: float

    @property
    def n_pairs(self) -> int:
        """Number of (query, document) pairs, all of which are considered."""
        return len(self.demo.queries) * len(self.demo.documents)


def run(*, num_threads: int | None = None) -> DemoReport:
    """Mine the demo set with one correct answer per query labeled and the others hidden.

    Parameters
    ----------
    num_threads : int, optional
        Number of threads, as for [`negmine.ExactIndex`][]. Only ``seconds`` depends on it.

    Returns
    -------
    DemoReport

    Examples
    --------
    >>> report = run()
    >>> for rule in report.rules:
    ...     print(f"{rule.false_negative_rate:.1%} {rule.hardness:.2f} {rule.code or 'no rule'}")
    10.3% 0.44 no rule
    3.1% 0.33 relative_margin=0.05
    3.7% 0.38 range_min=3
    1.5% 0.33 range_min=10
    0.7% 0.28 relative_margin=0.05, range_min=10
    """
    demo = load()
    labeled = Positives.from_lists(demo.labeled[:, None])
    started = time.perf_counter()
    index = ExactIndex(demo.document_embeddings, num_threads=num_threads)
    nearest = RULES[0].mine(index, demo.query_embeddings, labeled)
    seconds = time.perf_counter() - started
    results = [nearest, *(miner.mine(index, demo.query_embeddings, labeled) for miner in RULES[1:])]
    return DemoReport(
        demo=demo,
        rules=tuple(_evaluate(demo, miner, result) for miner, result in zip(RULES, results, strict=True)),
        examples=tuple(_example(demo, lemma, nearest, results[-1]) for lemma in EXAMPLES),
        negatives=results[-1],
        num_threads=index.threads(None),
        seconds=seconds,
    )


def _evaluate(demo: DemoSet, miner: HardNegativeMiner, result: HardNegatives) -> RuleResult:
    is_mined = result.indices >= 0
    is_hidden = np.array([np.isin(rows, demo.positives[query]) for query, rows in enumerate(result.indices)])
    return RuleResult(
        miner=miner,
        n_negatives=int(is_mined.sum()),
        n_false_negatives=int(is_hidden.sum()),
        n_queries_hit=int(is_hidden.any(axis=1).sum()),
        hardness=float(result.scores[is_mined].mean(dtype=np.float64)),
    )


def _example(demo: DemoSet, lemma: str, nearest: HardNegatives, mined: HardNegatives) -> Example:
    query = demo.lemmas.index(lemma)

    def describe(row: int, score: float) -> Mined:
        return Mined(
            definition=demo.documents[row],
            word=demo.names[row].rsplit(".", 2)[0].replace("_", " "),
            score=score,
            is_right=row in demo.positives[query],
        )

    def describe_all(result: HardNegatives) -> tuple[Mined, ...]:
        pairs = zip(result.indices[query].tolist(), result.scores[query].tolist(), strict=True)
        return tuple(describe(row, score) for row, score in pairs if row >= 0)

    return Example(
        query=demo.queries[query],
        positive=describe(int(demo.labeled[query]), float(nearest.positive_scores[query])),
        nearest=describe_all(nearest),
        mined=describe_all(mined),
    )


def render(report: DemoReport, console: Console) -> None:
    """Print the results, with explanations for readers who are new to the library.

    Parameters
    ----------
    report : DemoReport
        Result of [`run`][].
    console : rich.console.Console
        Console of at least 80 columns; ``rich`` is in the extra ``negmine[cli]``.
    """
    demo, first, last = report.demo, report.rules[0], report.rules[-1]
    n_queries = len(demo.queries)
    console.print(
        f"\n[bold]{n_queries:,} questions, {len(demo.documents):,} definitions.[/bold] A question asks for a "
        f"noun, such as [cyan]{report.examples[0].query}[/cyan]. Its right answers are the definitions of "
        f"all the noun's meanings, {len(demo.positives.items) / n_queries:.1f} on average. As in most real "
        "data, only one of them is labeled as right: the others are in the data, but hidden.\n\n"
        "A [bold]hard negative[/bold] is a wrong answer that looks right. Miners take the documents nearest "
        "to the question, and so they take hidden right answers too; training then pushes away what should "
        "come closer. Here the hidden ones are known, so they can be counted.\n"
    )
    console.print(_rules_table(report))
    console.print(
        f"\nWithout a rule, {first.n_false_negatives:,} of {first.n_negatives:,} negatives are right answers, and "
        f"{first.n_queries_hit / n_queries:.0%} of the questions get at least one. With all rules together "
        f"it is {last.n_false_negatives:,}. The last column shows the cost: softer negatives teach less. Which "
        "rule is worth its cost depends on the data.\n"
    )
    for example in report.examples:
        console.print(_example_table(example, last.code))
        console.print()
    threads = "1 thread" if report.num_threads == 1 else f"{report.num_threads} threads"
    console.print(
        f"[bold]{report.n_pairs:,} pairs in {report.seconds:.3f} s[/bold] on {threads}: "
        f"{report.n_pairs / report.seconds / 1e6:,.0f} million a second, building the index included. "
        "Exact: the answer is the same to the last bit on every machine."
    )


def _rules_table(report: DemoReport) -> Table:
    from rich.table import Table

    title = f"{NUM_NEGATIVES} negatives for each question: what the rules do"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("rule", no_wrap=True)
    table.add_column("hidden right answers", justify="right")
    table.add_column("questions that get one", justify="right")
    table.add_column("hardness (mean score)", justify="right")
    for rule in report.rules:
        table.add_row(
            rule.code.replace(", ", ",\n") or "none, just the nearest",
            f"{rule.false_negative_rate:.1%}",
            f"{rule.n_queries_hit / len(report.demo.queries):.0%}",
            f"{rule.hardness:.3f}",
        )
    return table


def _example_table(example: Example, code: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=example.query, title_justify="left", title_style="bold cyan")
    table.add_column("score", justify="right")
    table.add_column("definition", ratio=1)
    table.add_column("of the word", max_width=18)
    table.add_column("right?")
    for heading, lines, right, style in (
        ("labeled", (example.positive,), "yes", "green"),
        ("negatives without a rule", example.nearest, "yes, hidden", "bold red"),
        (f"negatives with {code}", example.mined, "yes, hidden", "bold red"),
    ):
        table.add_row("", Text(heading, "italic"))
        for line in lines:
            cells = (line.definition, line.word, right if line.is_right else "")
            table.add_row(f"{line.score:.2f}", *(Text(cell, style if line.is_right else "") for cell in cells))
        table.add_section()
    return table
