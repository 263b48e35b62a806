"""``negmine info``: describe the installation."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

from negmine import _native
from negmine._core.calls import resolve_num_threads
from negmine.cli.output import Json, put

__all__ = ["command"]

#: Optional packages.
PACKAGES = (
    "numpy",
    "pyarrow",
    "safetensors",
    "ml_dtypes",
    "typer",
    "rich",
    "torch",
    "pandas",
    "matplotlib",
    "sentence-transformers",
)


def command(json: Json = False) -> None:
    """Say version, processor, instruction set, threads and the versions of optional packages."""
    packages = {name: _version(name) for name in PACKAGES}
    build = dict(_native.build_info())
    result = {
        **build,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "threads": resolve_num_threads(None),
        "packages": packages,
    }
    caches = build["caches"].items()
    lines = [
        f"negmine {build['version']} ({build['profile']} build), Python {result['python']}, {result['system']}",
        f"cpu: {result['cpu']}, {result['threads']} usable threads",
        f"instruction set: {build['isa']}, of {', '.join(build['available_isas'])} (NEGMINE_ISA forces it down)",
        "caches of a core: " + (", ".join(f"{name} {size >> 10} KiB" for name, size in caches if size) or "unknown"),
        "packages: " + ", ".join(f"{name} {version}" for name, version in packages.items() if version),
    ]
    missing = [name for name, version in packages.items() if version is None]
    if missing:
        lines.append(f"not installed: {', '.join(missing)}")
    put(result, "\n".join(lines), as_json=json)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Return the name of the processor, if the system has one."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Processor", "cpu model"):
                return value.strip()
    return platform.processor() or platform.machine()
