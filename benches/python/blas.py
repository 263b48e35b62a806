"""The kernels that faiss's bundled OpenBLAS should use; imported before anything that loads OpenBLAS."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BEST_KERNELS"]

#: Those for AVX-512, which OpenBLAS does not choose on every processor that has it. On others they are illegal
#: instructions, and its own choice is the best.
BEST_KERNELS: dict[str, str] = (
    {"OPENBLAS_CORETYPE": "SkylakeX"} if " avx512f " in Path("/proc/cpuinfo").read_text(encoding="utf-8") else {}
)
