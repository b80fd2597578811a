"""Write the API's OpenAPI document to docs/openapi.json: `make openapi`. A test holds the file against the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.openapi import document

PLACE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def text() -> str:
    """Return the document as it is committed: in the order of the table of operations, so that changes read well."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    PLACE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
