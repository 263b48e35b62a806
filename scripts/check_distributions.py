"""Check wheels and source distributions before they are published.

    python scripts/check_distributions.py FILE ...

`scripts/wheel.sh` and `scripts/source.sh` call it in an environment that has pyelftools and abi3audit.

A wheel holds the files of the package that Git tracks, one extension module and its metadata with all licenses, and
nothing else. On Linux its module needs no later glibc than the tag of the wheel names, and no library but those of
the C runtime; an abi3 module uses the stable interface of the Python that its tag names. A source distribution holds
the package, the three crates and no tests of the package, benchmarks or documents.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

ROOT = Path(__file__).parent.parent

#: A wheel that is larger has something in it that does not belong there.
MOST_BYTES = 8 << 20

MODULE = re.compile(r"negmine/_native(\.abi3|\.cpython-\d+t?-[\w-]+|\.cp\d+t?-win\w*)?\.(so|pyd)")
TAG = re.compile(r"negmine-[\w.]+-(?P<python>cp\d+)-(?P<abi>abi3|cp\d+t)-(?P<platform>[\w.]+)\.whl")
RUNTIME = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1"}
RUNTIME |= {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def ensure(condition: bool, message: str) -> None:
    """End with an error unless a condition holds."""
    if not condition:
        raise SystemExit(message)


def tracked(folder: str) -> set[str]:
    """List the files that Git tracks."""
    command = ["git", "ls-files", folder]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())


def compare(found: Iterable[str], expected: set[str], where: str) -> None:
    """End with an error that names missing files and files too many."""
    found = set(found)
    ensure(not expected - found, f"{where} lacks {sorted(expected - found)}.")
    ensure(not found - expected, f"{where} must not hold {sorted(found - expected)}.")


def check_wheel(path: Path) -> None:
    """Check one wheel."""
    tag = TAG.fullmatch(path.name)
    ensure(tag is not None, f"{path.name} has an unexpected name.")
    assert tag is not None
    ensure(path.stat().st_size <= MOST_BYTES, f"{path.name} has {path.stat().st_size} bytes, more than {MOST_BYTES}.")
    package = {name.removeprefix("python/") for name in tracked("python/negmine")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        modules = [name for name in names if MODULE.fullmatch(name)]
        ensure(len(modules) == 1, f"{path.name} must have one extension module; got {modules}.")
        about = {name for name in names if ".dist-info/" in name}
        compare(set(names) - about - set(modules), package, path.name)
        licenses = {name.split("/licenses/", 1)[1] for name in about if "/licenses/" in name}
        compare(licenses, set(project["license-files"]), f"{path.name}, licenses:")
        if "linux" in tag["platform"]:
            check_module(wheel.read(modules[0]), tag["platform"], path.name)
    if tag["abi"] == "abi3":
        subprocess.run(["abi3audit", "--strict", "--summary", str(path)], check=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(names)} files, {len(licenses)} licenses")


def check_module(content: bytes, platform: str, where: str) -> None:
    """Compare what a module needs with the oldest glibc that the wheel's tag names."""
    oldest = min((int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", platform))
    elf = ELFFile(io.BytesIO(content))
    needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
    ensure(needed <= RUNTIME, f"{where} needs the libraries {sorted(needed - RUNTIME)}.")
    versions = [
        tuple(int(part) for part in entry.name.removeprefix("GLIBC_").split("."))
        for section in elf.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, entries in section.iter_versions()
        for entry in entries
        if entry.name.startswith("GLIBC_")
    ]
    ensure(bool(versions), f"{where} names no version of glibc.")
    latest = max(versions)
    shown = ".".join(map(str, latest))
    ensure(latest[:2] <= oldest, f"{where} needs glibc {shown}, later than its tag says.")
    print(f"{where}: needs glibc {shown}, for {platform}; libraries {', '.join(sorted(needed))}")


def check_source(path: Path) -> None:
    """Check one source distribution."""
    package = tracked("python/negmine")
    crates = {f"rust/{name}/" for name in ("negmine-core", "negmine-kernels", "negmine-python")}
    with tarfile.open(path) as archive:
        names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    top = {"Cargo.lock", "Cargo.toml", "PKG-INFO", "README.md", "pyproject.toml"} | set(project["license-files"])
    code = {name for name in names if any(name.startswith(crate) for crate in crates)}
    ensure(code <= tracked("rust"), f"{path.name} must not hold {sorted(code - tracked('rust'))}.")
    compare(names - code, package | top, path.name)
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(names)} files")


def main() -> int:
    """Check the files that the command line names."""
    ensure(len(sys.argv) > 1, "There must be a file to check.")
    for name in sys.argv[1:]:
        (check_wheel if name.endswith(".whl") else check_source)(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
