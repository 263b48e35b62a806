"""Behavior histories: the table of SDIM."""

from __future__ import annotations

from negmine.behavior.table import BehaviorTable

__all__ = ["BehaviorTable"]
