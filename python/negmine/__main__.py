"""Entry point of ``python -m negmine``, which runs the command ``negmine``."""

from __future__ import annotations

import sys

from negmine.cli import main

if __name__ == "__main__":
    sys.exit(main())
