"""Optional dependencies, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from negmine.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, extra: str, purpose: str) -> Any:  # noqa: ANN401 (a module without types)
    """Import an optional dependency.

    Parameters
    ----------
    module : str
        Dotted name of the module, such as ``"pyarrow.parquet"``.
    extra : str
        The extra of negmine that installs it.
    purpose : str
        What needs the module, as the subject of a sentence: "reading Parquet".

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        The package is not installed; the message names the extra.
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
