"""The tools that models are offered: one definition, behind every way to speak MCP.

A tool knows its arguments, its answer, what it needs of a caller and what it tells a client about
itself. It asks a `Desk` for everything; how its call came and who made it, others know.
"""

from videoconductor.tools.catalog import Answer, Catalog, Tool, catalog
from videoconductor.tools.desk import Desk, Document

__all__ = ["Answer", "Catalog", "Desk", "Document", "Tool", "catalog"]
