"""Lists of a directory, read whole: every page, each of them checked, none from another address."""

from __future__ import annotations

from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.ports.credentials import token_policy
from shared.ports.entitlement import EntitlementUnknown


class ListedPages:
    """The lists of one service, by the app's own identity."""

    def __init__(self, *, service: str, endpoint: str, credential: TokenCredential, scope: str) -> None:
        self._service, self._endpoint = service, endpoint.rstrip("/")
        self._client: PipelineClient[Any, Any] = PipelineClient(
            self._endpoint, policies=[token_policy(credential, self._endpoint, scope)]
        )
        self.trouble: str | None = None
        """Why the last list could not be read, None where it could."""

    def entries(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a list; of what is absent it is empty, any other failure raises EntitlementUnknown."""
        url, found = f"{self._endpoint}{path}", list[dict[str, Any]]()
        first = True
        try:
            while url:
                page = self._page(url, absent_is_empty=first)
                found += page.get("value", [])
                url, first = page.get("nextLink") or "", False
                if url and not url.startswith(f"{self._endpoint}/"):
                    raise EntitlementUnknown(f"the next page of {self._service} lies at another address")
        except EntitlementUnknown as failure:
            self.trouble = str(failure)
            raise
        self.trouble = None
        return found

    def _page(self, url: str, *, absent_is_empty: bool) -> dict[str, Any]:
        """Return a page, empty where there is nothing at its address; a page that was promised must be there."""
        try:
            answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
            if answer.status_code == 404 and absent_is_empty:
                return {}
            answer.raise_for_status()
            return _checked(answer.json())
        except (AzureError, ValueError) as error:
            raise EntitlementUnknown(f"{self._service} did not answer: {error}") from error


def _checked(page: Any) -> dict[str, Any]:
    """Return the page if it is one; raise ValueError."""
    told = page if isinstance(page, dict) else {}
    entries, following = told.get("value"), told.get("nextLink")
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if not is_list or not isinstance(following, str | None):
        raise ValueError("the answer is no page of a list")
    return told
