"""Calls give back what they take, whether they answer, fail or are interrupted: memory, objects, handles, threads."""

from __future__ import annotations

import ast
import gc
import os
import sys
from pathlib import Path

import pytest

import crossings
import leaks
import negmine
from processes import output_of

STUB = Path(negmine.__file__).parent / "_native.pyi"

pytest.importorskip("pyarrow")
pytest.importorskip("hnswlib")


def names() -> set[str]:
    """Name every function of the bindings, every class that can be made, and all that it has."""
    found = set()
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            found |= {node.name if name == "__new__" else f"{node.name}.{name}" for name in inner}
    return found


def test_every_binding_and_every_name_has_its_smallest_call(tmp_path: Path) -> None:
    assert crossings.bindings(tmp_path).keys() == names()
    assert leaks.top_level(tmp_path).keys() == set(negmine.__all__) - {"__version__"}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs glibc and /proc")
@pytest.mark.parametrize(
    ("n", "seconds"), [(8, 250), pytest.param(10_000, 7_000, marks=[pytest.mark.slow, pytest.mark.timeout(7_200)])]
)
def test_calls_give_back_their_memory(n: int, seconds: float) -> None:
    environment = {**os.environ, "PYTHONMALLOC": "malloc"}
    printed = output_of([sys.executable, leaks.__file__, str(n)], seconds=seconds, env=environment)
    assert printed.splitlines()[-1].startswith("0 of ")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs glibc and /proc")
def test_a_leak_is_found(request: pytest.FixtureRequest) -> None:
    # What there is before the calls is not counted, as in `main`: other tests' objects may be freed meanwhile.
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    kept: list[bytes] = []
    n_bytes, n_objects, n_handles, _ = leaks.growth([lambda: kept.append(bytes(1000))], 50)
    assert n_bytes >= 50_000 or not os.environ.get("PYTHONMALLOC")
    opened = []
    assert leaks.growth([lambda: opened.append(os.open("/dev/null", os.O_RDONLY))], 2)[2] == 2
    for handle in opened:
        os.close(handle)
    lists: list[list[int]] = []
    assert leaks.growth([lambda: lists.append([])], 50)[1] >= 50
    assert (n_objects, n_handles) == (0, 0)
