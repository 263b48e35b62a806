"""Contexts of gold documents and distractors for reading models."""

from __future__ import annotations

from negmine.context.packing import Packed, pack_context

__all__ = ["Packed", "pack_context"]
