"""Packages that only some of negmine needs, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from negmine.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, extra: str, purpose: str) -> Any:  # noqa: ANN401 (a module without types)
    """Import ``module``, or say which extra brings it.

    Parameters
    ----------
    module
        Dotted name, such as ``"pyarrow.parquet"``.
    extra
        The extra of negmine that lists it.
    purpose
        What needs it, as the subject of a sentence: "reading Parquet".

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f"{purpose} needs {package}, which is not installed: pip install 'negmine[{extra}]'."
        ) from None
