"""Data about queries and documents: positives, eligibility, relevance judgments, runs, texts, and digests of inputs."""

from __future__ import annotations

from negmine._core.labels import Strings
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.data.qrels import Qrels
from negmine.data.runs import Run
from negmine.data.texts import Texts

__all__ = ["Eligibility", "Positives", "Qrels", "Run", "Strings", "Texts"]
