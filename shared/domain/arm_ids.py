"""Resource ids of Azure that people write into settings: well formed, of the kind meant, in our subscription."""

from __future__ import annotations

import re

_ID = re.compile(
    r"/subscriptions/(?P<subscription>[a-z0-9-]{1,64})"
    r"/resourcegroups/[a-z0-9_().-]{0,89}[a-z0-9_()-]"
    r"/providers/(?P<kind>microsoft\.[a-z]{1,60}/[a-z]{1,60})"
    r"/[a-z0-9][a-z0-9_-]{1,127}"
)
"""In lower case: Azure compares ids without case."""


def fault_of_arm_id(given: str, kind: str, subscription_id: str) -> str | None:
    """Return why this is no id of such a resource in this subscription, None where it is one. `kind`: provider/type."""
    found = _ID.fullmatch(given.lower()) if given.isascii() else None
    if found is None or found["kind"] != kind.lower():
        return f"must be the id of a {kind}: /subscriptions/.../resourceGroups/.../providers/{kind}/NAME"
    if found["subscription"] != subscription_id.lower():
        return f"must lie in the platform's subscription {subscription_id}"
    return None
