"""A project's settings: as they were written, and as they hold."""

from __future__ import annotations

from api.call import Call, Reply
from api.project_wire import EffectiveSettings, SettingLock
from api.settings_writing import etag_of, write_settings
from shared.domain.effective import effective
from shared.domain.errors import ErrorCode, Refused
from shared.domain.records import SettingsRow
from shared.domain.settings import GpuSettings
from shared.ports.tables import Stored

EFFECTIVE = "effective"


def get_settings(call: Call) -> Reply:
    """Return the project's settings; a project that nobody has configured has the defaults: disabled."""
    view = call.query.get("view")
    if view not in (None, EFFECTIVE):
        message = f"'view' must be {EFFECTIVE}, or left out for the settings as they were written."
        raise Refused(400, ErrorCode.INVALID_PARAMETER, message, target="view")
    stored = call.world.sessions.settings(call.project)
    headers = {"ETag": etag_of(stored)}
    if view == EFFECTIVE:
        return Reply(status=200, body=_effective_view(call, stored), headers=headers)
    if call.headers.get("if-none-match") == headers["ETag"]:
        return Reply(status=304, headers=headers)
    return Reply(status=200, body=stored.row.settings if stored else GpuSettings(), headers=headers)


def _effective_view(call: Call, stored: Stored[SettingsRow] | None) -> EffectiveSettings:
    """Tell how the settings hold. Dev Center has a say in it, so that no ETag of the settings tells of a change."""
    own = stored.row.settings if stored else GpuSettings()
    found = effective(own, call.world.governance.bounds(call.project), stored=stored is not None)
    locks = [SettingLock(setting=lock.setting, message=lock.message) for lock in found.locks]
    return EffectiveSettings(settings=found.settings, sources=dict(found.sources), locks=locks)


def replace_settings(call: Call) -> Reply:
    return write_settings(call, whole=True)


def update_settings(call: Call) -> Reply:
    """Merge a patch (RFC 7396) into the settings."""
    return write_settings(call, whole=False)
