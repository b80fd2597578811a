"""The lease's renewals, overheard by whoever shows the person what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from devboxgpu.activity import ActivityReport
from devboxgpu.lease import LeaseService
from devboxgpu.wire import LeaseRenewal


class OverheardRenewals:
    """`heard` is called from the keeper's thread; it says whether it tells the warnings, which are then left out."""

    def __init__(self, service: LeaseService, heard: Callable[[LeaseRenewal], bool]) -> None:
        self._service, self._heard = service, heard

    def renew_lease(self, shell: str, report: ActivityReport) -> LeaseRenewal:
        renewal = self._service.renew_lease(shell, report)
        return replace(renewal, warnings=()) if self._heard(renewal) else renewal
