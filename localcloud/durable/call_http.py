"""The built-in activity behind call_http: one request, whatever its answer; a 202 is not followed [golden]."""

import json
from typing import Any

import aiohttp

from localcloud.durable.ports import FunctionFailed
from localcloud.durable.texts import to_json

_LONGEST_S = 100.0
#: Headers that .NET keeps with the content, where call_http does not look [golden].
_CONTENT_HEADERS = frozenset(
    {
        "allow",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "expires",
        "last-modified",
    }
)


async def call_http(request_text: str) -> str:
    """Send the request that the text describes; returns {statusCode, headers, content} as JSON text."""
    request: dict[str, Any] = json.loads(request_text)
    if request.get("tokenSource"):
        raise _failed("call_http with a token source is not offered by this host; call from an activity instead")
    content = request.get("content")
    body = content if isinstance(content, str) or content is None else to_json(content)
    headers = dict(request.get("headers") or {})
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LONGEST_S)) as session,
            session.request(
                request["method"], request["uri"], data=body, headers=headers, allow_redirects=False
            ) as answer,
        ):
            text = await answer.text()
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _CONTENT_HEADERS}
            return to_json({"statusCode": answer.status, "headers": headers, "content": text})
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _failed(f"{request['method']} {request['uri']}: {str(error) or 'no answer in time'}") from error


def _failed(message: str) -> FunctionFailed:
    kind = "HttpRequestException"
    text = f"Result: Failure\nException: {kind}: {message}\nStack: "
    return FunctionFailed(text, exception_type=kind, message=message, stack="")
