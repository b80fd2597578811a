"""What the host takes for a credential in the text of a failure, and hides.

The replacement runs to the next quote or angle bracket, which can cut JSON in two: the vendor's host does that, and
orchestrations fail by it (functions-host.md 1.5).
"""

_HIDDEN = "[Hidden Credential]"
_ENDS = "<\"'"
_ALLOWED = "publickeytoken="
_TOKENS = (
    "token=",
    "defaultendpointsprotocol=http",
    "accountkey=",
    "data source=",
    "server=",
    "password=",
    "pwd=",
    "&amp;sig=",
    "&sig=",
    "?sig=",
    "sharedaccesskey=",
    "&amp;code=",
    "&code=",
    "?code=",
    "key=",
)


def without_credentials(text: str) -> str:
    """The text with everything that looks like a credential replaced, in any case of letters."""
    lowered = text.lower()
    if not any(token in lowered for token in _TOKENS):
        return text
    for token in _TOKENS:
        text = _without(text, token)
    return text


def _without(text: str, token: str) -> str:
    position = 0
    while (found := text.lower().find(token, position)) >= 0:
        allowed_from = found + len(token) - len(_ALLOWED)
        if allowed_from >= 0 and text.lower().startswith(_ALLOWED, allowed_from):
            position = found + len(token)
            continue
        ends = [end for end in (text.find(sign, found) for sign in _ENDS) if end >= 0]
        text = text[:found] + _HIDDEN + (text[min(ends) :] if ends else "")
        position = found + len(_HIDDEN)
    return text
