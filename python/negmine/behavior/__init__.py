"""Behavior histories: the hash-bucket table of SDIM (Cao et al., CIKM 2022)."""

from __future__ import annotations

from negmine.behavior.table import BehaviorTable

__all__ = ["BehaviorTable"]
