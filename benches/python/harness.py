"""Measure peers so that a figure can be believed.

One process per peer and thread count, each with its own environment and pools, all alive during a case. Rounds visit
them in a shuffled order; a figure is the median over rounds, a ratio the median of the rounds' ratios. Runs shorter
than 0.15 s are repeated to that length. The load of others is read from the system outside the processes: a round
with more than 5 % of it is marked. Peak memory is reset before each run. Every answer is held against float64 scores
("recall", of a sample), and its ids against those of negmine ("true ids", of all queries).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from peers import PEERS, thread_environment

#: Scrubbed before a peer sets its own.
SCRUBBED = ("OPENBLAS_", "OMP_", "MKL_", "RAYON_", "GOTO_", "NEGMINE_")

SHORTEST = 0.15

#: The margin of the mining cases.
RELATIVE_MARGIN = 0.05

NOISY = 0.05


@dataclass
class Runner:
    """A peer in its own process."""

    label: str
    threads: int
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    prepare: float = 0.0
    recall: float = float("nan")
    #: Share of the true ids, which are negmine's; None where the work is mining.
    true_ids: float | None = None

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.label} ended: {self.process.wait()}")


def start(label: str, threads: int, homes: dict[str, str]) -> Runner:
    """Start a peer's process."""
    peer = PEERS[label]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SCRUBBED)}
    environment |= thread_environment(threads) | peer.environment
    process = subprocess.Popen(
        [homes[peer.home], __file__, "--worker", label, "--threads", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return Runner(label, threads, process)


def measure(
    labels: list[str],
    threads: int,
    corpus: np.ndarray,
    queries: np.ndarray,
    k: int,
    *,
    rounds: int,
    homes: dict[str, str],
    positives: np.ndarray | None = None,
) -> dict[str, Any]:
    """Measure one case; a dictionary that `table` prints. With ``positives`` the work is mining, else search."""
    arrays = {"corpus": corpus, "queries": queries} | ({} if positives is None else {"positives": positives})
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: f"{scratch}/{name}.npy" for name in arrays}
        for name, array in arrays.items():
            np.save(paths[name], array)
        runners, noisy = [], 0
        answers: dict[str, np.ndarray] = {}
        try:
            for label in labels:
                runner = start(label, threads, homes)
                runners.append(runner)
                runner.prepare = runner.ask(command="prepare", paths=paths)["seconds"]
                answer = np.load(runner.ask(command="answer", k=k, path=f"{scratch}/answer.npy")["path"])
                answers[label] = answer
                if positives is None:
                    runner.recall = recall(corpus, queries, answer, k)
                else:
                    runner.recall = mining_recall(corpus, queries, positives, answer, k)
            order = list(runners)
            for _ in range(rounds):
                random.shuffle(order)
                before = busy()
                for runner in order:
                    outcome = runner.ask(command="run", k=k)
                    runner.seconds.append(outcome["seconds"])
                    runner.megabytes.append(outcome["megabytes"])
                noisy += busy_share(before) * os.cpu_count() > threads + NOISY * os.cpu_count()
        finally:
            for runner in runners:
                runner.process.kill()
    operations = 2.0 * len(corpus) * len(queries) * corpus.shape[1]
    own = next(runner for runner in runners if runner.label.startswith("negmine"))
    if positives is None:
        for runner in runners:
            runner.true_ids = shared_ids(answers[runner.label], answers[own.label], k)
    return {
        "case": f"{len(queries)} queries x {len(corpus)} documents x {corpus.shape[1]}, top-{k}, {threads} threads",
        "noisy_rounds": noisy,
        "rounds": rounds,
        "rows": [
            {
                "peer": runner.label,
                "seconds": median(runner.seconds),
                "gops": operations / median(runner.seconds) / 1e9,
                "times_negmine": median(a / b for a, b in zip(runner.seconds, own.seconds, strict=True)),
                "prepare": runner.prepare,
                "megabytes": median(runner.megabytes),
                "recall": runner.recall,
                "true_ids": runner.true_ids,
            }
            for runner in runners
        ],
    }


def recall(corpus: np.ndarray, queries: np.ndarray, rows: np.ndarray, k: int, sample: int = 50) -> float:
    """Share of a sample's rows that score at least the k-th best in float64."""
    picked = sampled(queries, sample)
    right = 0
    for i, scores in zip(picked, float64_scores(corpus, queries[picked]), strict=True):
        threshold = np.partition(scores, -k)[-k]
        right += (scores[np.unique(rows[i, :k])] >= threshold).sum()
    return right / (k * len(picked))


def shared_ids(answer: np.ndarray, exact: np.ndarray, k: int) -> float:
    """Share of the exact ids, over all queries, that another answer holds as well. Equal scores count by id."""
    pairs = zip(answer[:, :k], exact[:, :k], strict=True)
    return sum(len(np.intersect1d(found, true)) for found, true in pairs) / exact[:, :k].size


def check(results: dict[str, Any]) -> None:
    """End with an error where a peer that is meant to be exact is not."""
    wrong = [row["peer"] for row in results["rows"] if PEERS[row["peer"]].exact and row["recall"] < 1]
    if wrong:
        raise SystemExit(f"not exact: {', '.join(wrong)}")


def mining_recall(
    corpus: np.ndarray, queries: np.ndarray, positives: np.ndarray, rows: np.ndarray, k: int, sample: int = 50
) -> float:
    """Share of a sample's (query, negative) pairs that float64 scores and the relative margin of mining.py ask for."""
    right = wanted = 0
    picked = sampled(queries, sample)
    for i, scores in zip(picked, float64_scores(corpus, queries[picked]), strict=True):
        cap = scores[positives[i]] * (1 - RELATIVE_MARGIN)
        scores[scores > cap] = -np.inf
        scores[positives[i]] = -np.inf
        threshold = np.partition(scores, -k)[-k]
        mined = rows[rows[:, 0] == i, 1]
        right += (scores[mined] >= threshold - 1e-6).sum()
        wanted += k
    return right / wanted


def sampled(queries: np.ndarray, n: int) -> np.ndarray:
    """Rows of at most ``n`` queries, evenly spread."""
    return np.linspace(0, len(queries) - 1, min(n, len(queries))).astype(int)


def float64_scores(corpus: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Scores of some queries against all documents; the corpus is widened a block at a time."""
    wide = queries.astype(np.float64)
    return np.concatenate([wide @ corpus[i : i + 8192].astype(np.float64).T for i in range(0, len(corpus), 8192)], 1)


def busy() -> tuple[float, float]:
    """Busy and total seconds of all processors."""
    fields = [float(x) for x in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def busy_share(before: tuple[float, float]) -> float:
    """Share of all processors' time that was busy since."""
    now = busy()
    return (now[0] - before[0]) / max(now[1] - before[1], 1.0)


def table(results: dict[str, Any], peaks: dict[str, float]) -> str:
    """The results as Markdown."""
    lines = [
        f"**{results['case']}**; median of {results['rounds']} rounds, {results['noisy_rounds']} of them noisy",
        "",
        "| peer | seconds | Gop/s | of VNNI peak | of f32 peak | x negmine | prepare s | peak MB | recall | true ids |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in sorted(results["rows"], key=lambda row: row["seconds"]):
        true_ids = "" if row["true_ids"] is None else f"{row['true_ids']:.4f}"
        lines.append(
            f"| {row['peer']} | {row['seconds']:.3f} | {row['gops']:.0f} | {row['gops'] / peaks['vnni_gops']:.2f} | "
            f"{row['gops'] / peaks['f32_gflops']:.2f} | {row['times_negmine']:.2f} | {row['prepare']:.2f} | "
            f"{row['megabytes']:.0f} | {row['recall']:.4f} | {true_ids} |"
        )
    return "\n".join(lines)


def worker(label: str, threads: int) -> None:
    """Answer commands on standard input."""
    peer = PEERS[label](threads)
    for line in sys.stdin:
        message = json.loads(line)
        answer: dict[str, Any] = {}
        match message["command"]:
            case "prepare":
                arrays = {name: np.ascontiguousarray(np.load(path)) for name, path in message["paths"].items()}
                begin = time.perf_counter()
                peer.prepare(**arrays)
                answer["seconds"] = time.perf_counter() - begin
            case "answer":
                np.save(message["path"], peer.answer(message["k"]))
                answer["path"] = message["path"]
            case "run":
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
                runs, begin = 0, time.perf_counter()
                while runs == 0 or time.perf_counter() - begin < SHORTEST:
                    peer.search(message["k"])
                    runs += 1
                answer["seconds"] = (time.perf_counter() - begin) / runs
                status = Path("/proc/self/status").read_text(encoding="ascii")
                answer["megabytes"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    worker(arguments.worker, arguments.threads)
