"""What the host prints when it is up: its functions, with what calls them and where."""

from collections.abc import Iterator
from urllib.parse import quote

from localcloud.functions_host.app_host import CheckedApp
from localcloud.functions_host.functions import AppFunction, BindingType
from localcloud.functions_host.log_formats import LogStyle, bold


def announcement(app: CheckedApp | None, base_url: str, style: LogStyle) -> Iterator[str]:
    """The lines, the last of which begins with `listening on`; no functions where the app is not served."""
    if app is not None:
        for function in app.functions:
            state = " (in error, see the log)" if function.trouble else " (disabled)" if function.is_disabled else ""
            where = _where(function, app, base_url)
            yield f"  {bold(function.name, style)}: {_what(function)}{where}{state}"
    yield f"listening on {base_url}"


def _what(function: AppFunction) -> str:
    settings = function.trigger.settings
    if function.trigger.type == BindingType.HTTP_TRIGGER:
        return f"[{','.join(str(method) for method in settings.get('methods') or ['all methods'])}]"
    if function.trigger.type == BindingType.TIMER_TRIGGER:
        return f"{function.trigger.type} {settings.get('schedule', '')}".rstrip()
    return function.trigger.type


def _where(function: AppFunction, app: CheckedApp, base_url: str) -> str:
    if function.trigger.type == BindingType.EVENT_GRID_TRIGGER:
        return f" {base_url}/runtime/webhooks/EventGrid?functionName={quote(function.name)}"
    route = next((route for route in app.routes.routes if route.function.name == function.name), None)
    return f" {base_url}/{route.template.text}" if route else ""
