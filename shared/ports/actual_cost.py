"""What Azure has billed for sessions, asked of Cost Management (azure.md 7.4). Hours late; never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, Protocol
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import HttpRequest

from shared.domain.names import ProjectId, SessionId
from shared.domain.reconciliation import Actual
from shared.ports.arm_answers import pause_s
from shared.ports.arm_client import SCOPE
from shared.ports.cost_pages import CostPage, session_of_row
from shared.ports.credentials import token_policy

API_VERSION = "2025-03-01"
SESSION_TAG = "devboxgpu-session"
MOST_PAGES = 200


class CostUnknown(Exception):
    """What was billed could not be learnt whole. Nothing follows from it: never a cost of 0."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ActualCost(Protocol):
    """The bill, as far as it has been written."""

    def by_session(self, project: ProjectId, first: date, last: date) -> Mapping[SessionId, Actual]:
        """Return what the project's sessions were billed on these UTC days, both included; raise CostUnknown.

        A session that is not in it has not been billed yet.
        """


class CostManagement:
    """The query of Cost Management over one scope, such as the resource group of the sessions' apps."""

    def __init__(
        self,
        *,
        credential: TokenCredential,
        endpoint: str,
        scope: str,
        project_of: Callable[[SessionId], ProjectId | None],
    ) -> None:
        self._origin = endpoint
        policies = [token_policy(credential, endpoint, SCOPE)]
        self._client: PipelineClient[Any, Any] = PipelineClient(endpoint, policies=policies)
        self._url = f"{endpoint}/{scope}/providers/Microsoft.CostManagement/query?api-version={API_VERSION}"
        self._project_of = project_of

    def by_session(self, project: ProjectId, first: date, last: date) -> Mapping[SessionId, Actual]:
        billed: dict[SessionId, Actual] = {}
        for page in self._pages(first, last):
            for row in page.rows:
                session = session_of_row(row)
                if session is None or self._project_of(session) != project:
                    continue
                before = billed.get(session)
                if before is not None and before.currency != row.currency:
                    raise CostUnknown(f"session {session} was billed in {before.currency} and in {row.currency}")
                amount = row.cost + before.amount if before else row.cost
                billed[session] = Actual(amount=amount, currency=row.currency)
        return billed

    def _pages(self, first: date, last: date) -> Iterator[CostPage]:
        url = self._url
        for _ in range(MOST_PAGES):
            page = self._page(url, first, last)
            yield page
            if page.next_link is None:
                return
            url = page.next_link
        raise CostUnknown(f"the bill does not end after {MOST_PAGES} pages")

    def _page(self, url: str, first: date, last: date) -> CostPage:
        """Return one page. A next one is asked for as the first was: by POST, with the same question."""
        here, there = urlsplit(self._origin), urlsplit(url)
        if (there.scheme, there.hostname) != (here.scheme, here.hostname):
            raise CostUnknown(f"the next page of the bill is said to be elsewhere: {url[:100]}")
        request = HttpRequest("POST", url, json=question(first, last))
        try:
            answer = self._client.send_request(request, connection_timeout=3, read_timeout=20)
            answer.raise_for_status()
            return CostPage.read(answer.content)
        except HttpResponseError as error:
            why = f"Cost Management answered {error.status_code}"
            raise CostUnknown(why, retry_after_s=pause_s(error)) from error
        except (AzureError, ValueError, ArithmeticError) as error:
            raise CostUnknown(f"Cost Management did not answer: {error}") from error


def question(first: date, last: date) -> dict[str, object]:
    """Return the query: actual cost by the session's tag and by resource, since old records carry no tags."""
    return {
        "type": "ActualCost",
        "timeframe": "Custom",
        "timePeriod": {"from": f"{first}T00:00:00Z", "to": f"{last}T23:59:59Z"},
        "dataset": {
            "granularity": "None",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "TagKey", "name": SESSION_TAG}, {"type": "Dimension", "name": "ResourceId"}],
        },
    }
