"""The small set that the command line is tested on."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small set, which tests only read."""
    from commands import write_set

    return write_set(tmp_path_factory.mktemp("data"))
