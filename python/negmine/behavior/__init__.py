"""Behaviour sequences: signatures of what users did, and tables that candidates read at a cost free of the length."""

from __future__ import annotations

from negmine.behavior.simhash import SimHash
from negmine.behavior.table import BehaviorTable

__all__ = ["BehaviorTable", "SimHash"]
