"""Look at mined negatives: one HTML page to read and judge them, and a table for Embedding Atlas.

[`to_html`][] writes a page that needs neither a network nor a server. It shows queries, positives, negatives and,
where the pool has them, rejected documents with the rule that rejected each. It recomputes yield and hardness as a
margin is moved, and exports verdicts that [`negmine.mining.Verdicts`][] reads. [`to_atlas`][] writes texts, scores
and exact neighbors for Embedding Atlas.

Both need the extra ``negmine[io]``.
"""

from __future__ import annotations

from negmine.inspect.atlas import to_atlas
from negmine.inspect.page import to_html

__all__ = ["to_atlas", "to_html"]
