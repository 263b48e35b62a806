"""What happens to files: flipped bits, cuts, blocks that a disk lost, full disks and read-only media."""

from __future__ import annotations

import contextlib
import ctypes
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from negmine.errors import NegmineError


def damaged(content: bytes, n: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield ``n`` files with a flipped bit each, one in every n-th of the bytes, and half as many cut or zeroed."""
    draw, size = random.Random(seed), len(content)
    for part in range(n):
        place = draw.randrange(part * size // n, max((part + 1) * size // n, part * size // n + 1))
        bit = draw.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"bit {bit} of byte {place} flipped", bytes(flipped)
    for part in range(n // 4):
        end = draw.randrange(part * size // (n // 4), max((part + 1) * size // (n // 4), 1))
        yield f"cut to {end} bytes", content[:end]
        length = draw.randrange(1, 65)
        yield f"{length} bytes at {end} zeroed", content[:end] + bytes(length) + content[end + length :]
    yield "a byte longer", content + b"\0"


#: Bytes that formats of text and of numbers give a meaning.
ODD_BYTES = [
    *(b"\0", b"\xff", b"\n", b"\r", b"\t", b'"', b"{", b"}", b"[", b",", b" ", b"-", b"1e999", b"9" * 30, b"NaN"),
    *(b"null", b"[" * 5000, b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", bytes(8), b"\xff" * 8, b"\0\0\0\x80"),
]


@st.composite
def malformed(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file with one to three changes: bits, bytes, numbers and pieces that are lost, doubled or moved."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        # Headers are at the beginning, and the directories of some formats at the end.
        place = draw(st.integers(0, len(changed)) | st.integers(0, min(len(changed), 120)))
        if draw(st.booleans()):
            place = max(len(changed) - place, 0)
        length = draw(st.integers(1, 9) | st.integers(1, 300))
        piece = bytes(changed[place : place + length])
        how = draw(st.sampled_from(["bit", "bytes", "odd", "insert", "lose", "double", "move", "zero", "cut"]))
        if how == "bit" and place < len(changed):
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "bytes":
            new = draw(st.binary(min_size=1, max_size=9))
            changed[place : place + len(new)] = new
        elif how == "odd":
            new = draw(st.sampled_from(ODD_BYTES))
            changed[place : place + draw(st.sampled_from([1, len(new)]))] = new
        elif how == "insert":
            changed[place:place] = draw(st.sampled_from(ODD_BYTES) | st.binary(min_size=1, max_size=20))
        elif how == "lose":
            del changed[place : place + length]
        elif how == "double":
            changed[place:place] = piece
        elif how == "move":
            del changed[place : place + length]
            other = draw(st.integers(0, len(changed)))
            changed[other:other] = piece
        elif how == "zero":
            changed[place : place + length] = bytes(len(piece))
        elif how == "cut":
            del changed[place:]
    return bytes(changed)


def outcomes(path: Path, n: int, read: Callable[[], Any]) -> dict[str, list[str]]:
    """Damage a file in many ways, read it each time, and sort the damages by what came of them.

    Returns
    -------
    dict
        Damages that were "refused" by an error of negmine that names the file, gave the "same" as before, gave
        something "other" in silence, or ended in another error ("raw").
    """
    content = path.read_bytes()
    good = read()
    found: dict[str, list[str]] = {"refused": [], "same": [], "other": [], "raw": []}
    for what, changed in damaged(content, n):
        if changed == content:
            continue
        path.write_bytes(changed)
        try:
            found["same" if read() == good else "other"].append(what)
        except NegmineError as error:
            found["refused" if path.name in str(error) else "raw"].append(f"{what}: {error}")
        except Exception as error:
            found["raw"].append(f"{what}: {error!r}")
    path.write_bytes(content)
    assert read() == good
    return found


@contextlib.contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond ``n_bytes``: the system then refuses writes as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder and all in it read-only, for root too, which gives up the right to write everywhere meanwhile."""
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & ~0o222)
    libc = ctypes.CDLL(None, use_errno=True)
    version = (ctypes.c_uint32 * 2)(0x20080522, 0)
    capabilities = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, in two halves
    assert libc.capget(version, capabilities) == 0
    effective = capabilities[0]
    try:
        capabilities[0] = effective & ~0b110  # to write and to read against the mode
        assert libc.capset(version, capabilities) == 0
        yield
    finally:
        capabilities[0] = effective
        assert libc.capset(version, capabilities) == 0
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
