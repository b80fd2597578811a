"""JSON as the vendor's host reads its files: comments and a comma after the last item are allowed."""

import json
import re
from typing import Any

_TEXT = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(rf"({_TEXT})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"({_TEXT})|,(?=\s*[}}\]])", re.DOTALL)


def loads(text: str) -> Any:
    """Read a document; raises ValueError, with lines and columns as in the text."""
    without_comments = _COMMENT.sub(lambda found: found[1] or _blank(found[0]), text)
    return json.loads(_LAST_COMMA.sub(lambda found: found[1] or " ", without_comments))


def _blank(comment: str) -> str:
    return re.sub(r"[^\n]", " ", comment)
