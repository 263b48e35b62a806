"""Name the extra that installs torch if torch is missing; the package imports this module first."""

from __future__ import annotations

from negmine._core.extras import require

require("torch", "torch", "negmine.torch")
