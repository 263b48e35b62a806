"""New vectors from given ones: oversampling by interpolation, shells around anchors, and moved rows."""

from __future__ import annotations

from negmine.synthesis.moving import Moved, move
from negmine.synthesis.oversampling import Synthetic, oversample
from negmine.synthesis.shells import shell

__all__ = ["Moved", "Synthetic", "move", "oversample", "shell"]
