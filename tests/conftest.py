"""Hypothesis profiles (HYPOTHESIS_PROFILE=fast or slow), and signals as the tests expect them."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fast")
IGNORED = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "fast", max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=IGNORED
)
settings.register_profile("slow", max_examples=2000, deadline=None, suppress_health_check=IGNORED, print_blob=True)
settings.load_profile(PROFILE)


# A background shell and `nohup` start processes that ignore Ctrl-C, and children inherit that: the tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `slow` to the night, unless -m asks for them."""
    if PROFILE == "slow" or config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="slow: HYPOTHESIS_PROFILE=slow or -m slow runs it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
