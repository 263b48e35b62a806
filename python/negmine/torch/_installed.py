"""Says which extra brings torch where it is missing; the package imports it first."""

from __future__ import annotations

from negmine._core.extras import require

require("torch", "torch", "negmine.torch")
