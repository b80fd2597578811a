"""From an HTTP request to an answer: parse, authorise, let the operation decide and act, render."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from api.call import Call, Reply
from api.operations import API_VERSION, Operation
from api.wire import ErrorAnswer, ErrorBody, ErrorDetail
from shared.domain import names
from shared.domain.access import Caller, Standing, Who, may
from shared.domain.errors import ErrorCode, Refused
from shared.domain.names import ProjectId, UserId
from shared.domain.pricing import GpuType
from shared.ports import ids
from shared.ports.container_apps import ArmUnknown
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.governance import GovernanceUnknown
from shared.ports.tables import StorageUnavailable
from shared.ports.tokens import KeysUnavailable, TokenRefused
from shared.ports.world import World

log = logging.getLogger("devboxgpu.api")
P = TypeVar("P")

LARGEST_BODY = 16 * 1024
DEEPEST_BODY = 10
CLOSED_LISTS: dict[str, type[StrEnum]] = {"gpuType": GpuType}
ENCODER = msgspec.json.Encoder()


def answer(operation: Operation, request: func.HttpRequest, world: World) -> Reply:
    """Return the operation's answer, or the refusal. Nothing escapes: an unforeseen failure is a plain 500."""
    try:
        return operation.handler(_checked(operation, request, world))
    except Refused as refused:
        return _refusal(refused)
    except (StorageUnavailable, EntitlementUnknown, GovernanceUnknown, KeysUnavailable, ArmUnknown) as trouble:
        log.warning("call.unavailable operation=%s why=%s", operation.name, trouble)
        message = "A service that is needed to answer did not respond. Nothing is known to have changed. Try again."
        return _refusal(Refused(503, ErrorCode.SERVICE_UNAVAILABLE, message, retry_after_s=2))
    except Exception:  # the HTTP boundary: a caller never sees a stack
        log.exception("call.failed operation=%s", operation.name)
        message = "The request failed inside the service. Try again; if it stays so, report the request id."
        return _refusal(Refused(500, ErrorCode.INTERNAL, message))


def rendered(reply: Reply, request: func.HttpRequest) -> func.HttpResponse:
    """Return the answer with the headers that every answer has."""
    headers = {"x-ms-request-id": ids.new_request_id(), "Cache-Control": "no-cache", **reply.headers}
    client_id = request.headers.get("x-ms-client-request-id", "")
    if client_id and len(client_id) <= 128 and client_id.isascii() and client_id.isprintable():
        headers["x-ms-client-request-id"] = client_id
    return func.HttpResponse(_content(reply), status_code=reply.status, headers=headers, mimetype=reply.media_type)


def _content(reply: Reply) -> bytes:
    if isinstance(reply.body, str):
        return reply.body.encode()
    return ENCODER.encode(reply.body) if reply.body is not None else b""


def _checked(operation: Operation, request: func.HttpRequest, world: World) -> Call:
    """Return the call with everything in it checked; raise Refused for what is wrong."""
    query = _query(operation, request)
    if operation.who is Who.ANYONE:
        return Call(world=world, caller_or_none=None, base_url="", headers=request.headers, query=query)
    caller = _caller(request, world)
    parts = request.route_params
    project = _part(names.project_id(parts["project"]), "project", names.PROJECT_RULE) if "project" in parts else None
    user = caller.user if parts.get("user", "me") == "me" else names.user_id(parts["user"])
    call = Call(
        world=world,
        caller_or_none=caller,
        base_url=_base_url(request.url),
        headers={name.lower(): value for name, value in request.headers.items()},
        query=query,
        project_or_none=project,
        user_or_none=_part(user, "user", names.USER_RULE),
        shell_or_none=_part(names.shell_id(parts["shell"]), "shell", names.SHELL_RULE) if "shell" in parts else None,
        session_or_none=_part(names.session_id(parts["session"]), "session", names.SESSION_RULE)
        if "session" in parts
        else None,
        operation=parts.get("operation", ""),
        administers=_administers(operation, world, caller, project, user),
    )
    _authorise(operation, call)
    return replace(call, body_or_none=_body(operation, request))


def _query(operation: Operation, request: func.HttpRequest) -> Mapping[str, str]:
    query = dict(request.params)
    known = {"api-version", *operation.query} if operation.versioned else {"api-version"}
    if operation.versioned:
        version = query.get("api-version")
        if not version:
            message = f"The api-version query parameter (?api-version=) is required. Use {API_VERSION}."
            raise Refused(400, ErrorCode.MISSING_API_VERSION, message, target="api-version")
        if version != API_VERSION:
            message = f"Unsupported api-version '{version[:40]}'. The supported api-versions are '{API_VERSION}'."
            raise Refused(400, ErrorCode.UNSUPPORTED_API_VERSION, message, target="api-version")
    for name in query:
        if name not in known:
            message = f"There is no query parameter '{name[:60]}' here. Known: {', '.join(sorted(known))}."
            raise Refused(400, ErrorCode.UNKNOWN_PARAMETER, message, target=name[:60])
    return query


def _caller(request: func.HttpRequest, world: World) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, ErrorCode.UNAUTHENTICATED, "Sign in: send an access token as 'Authorization: Bearer ...'.")
    try:
        return world.tokens.caller(token.strip())
    except TokenRefused as refused:
        raise Refused(401, ErrorCode.UNAUTHENTICATED, f"Sign in again: {refused}.") from refused


def _administers(
    operation: Operation, world: World, caller: Caller, project: ProjectId | None, user: UserId | None
) -> bool:
    """Tell whether the caller administers the project. The directory is asked only where the answer can matter."""
    if caller.is_operator:
        return True
    if project is None:
        return False
    own = operation.who in (Who.SELF, Who.SELF_OR_ADMIN) and user == caller.user
    return False if own else world.entitlement.is_administrator(project, caller.user)


def _authorise(operation: Operation, call: Call) -> None:
    caller = call.caller
    member = operation.who is Who.MEMBER and not call.administers
    standing = Standing(
        is_self=call.user == caller.user,
        is_administrator=call.administers,
        is_operator=caller.is_operator,
        is_member=call.world.entitlement.has_dev_box(call.project, caller.user) if member else call.administers,
    )
    if may(operation.who, standing):
        return
    if operation.who is Who.ADMIN and call.world.entitlement.has_dev_box(call.project, caller.user):
        raise Refused(403, ErrorCode.FORBIDDEN, "Only a project administrator may do this.")
    raise Refused(404, ErrorCode.NOT_FOUND, "There is no such thing, or it is not yours to see.")


def _body(operation: Operation, request: func.HttpRequest) -> Any:
    raw = request.get_body()
    if operation.body is None:
        return None
    if len(raw) > LARGEST_BODY:
        raise Refused(413, ErrorCode.BODY_TOO_LARGE, f"The body may have {LARGEST_BODY} bytes; it has {len(raw)}.")
    if not raw.strip():
        if operation.body_required:
            raise Refused(400, ErrorCode.INVALID_REQUEST, "This operation needs a JSON body.")
        raw = b"{}"
    try:
        if not operation.reads_body:
            return msgspec.json.decode(raw, type=operation.body)
        body = msgspec.json.decode(raw, type=dict)
        if _depth(body) > DEEPEST_BODY:
            raise RecursionError
        return body
    except RecursionError as error:
        message = f"The body is not valid: objects and lists may lie {DEEPEST_BODY} deep in one another."
        raise Refused(400, ErrorCode.INVALID_REQUEST, message) from error
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `")
        target = place.rstrip("`").removeprefix("$.") or None
        text += _known_values(target or "")
        where = f" (at {target})" if target else ""
        raise Refused(
            400, ErrorCode.INVALID_REQUEST, f"The body is not valid: {text}{where}.", target=target
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # the latter for bytes in a text that are no UTF-8
        raise Refused(400, ErrorCode.INVALID_REQUEST, f"The body is not JSON: {error}.") from error


def _depth(value: Any, so_far: int = 0) -> int:
    """Return how deep objects and lists lie in one another, counted to just above the limit."""
    if not isinstance(value, dict | list) or so_far > DEEPEST_BODY:
        return so_far
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(one, so_far + 1) for one in inner), default=so_far + 1)


def _known_values(target: str) -> str:
    """Return the values that a field with a closed list of them takes, for the error that names a wrong one."""
    values = CLOSED_LISTS.get(target.rpartition(".")[2])
    return f"; it may be {' or '.join(values)}" if values else ""


def _part(value: P | None, name: str, rule: str) -> P:
    if value is None:
        raise Refused(400, ErrorCode.INVALID_PARAMETER, f"'{name}' in the path must be {rule}.", target=name)
    return value


def _base_url(url: str) -> str:
    """Return where the API begins, as this caller reached it: links in answers point there."""
    split = urlsplit(url)
    prefix = split.path.partition("/projects")[0]
    return f"{split.scheme}://{split.netloc}{prefix}"


def _refusal(refused: Refused) -> Reply:
    problem = refused.problem
    details = [ErrorDetail(code=d.code, message=d.message, target=d.target) for d in refused.details]
    body = ErrorAnswer(
        error=ErrorBody(code=problem.code, message=problem.message, target=problem.target, details=details or None)
    )
    headers = {"x-ms-error-code": problem.code.value}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    return Reply(status=refused.status, body=body, headers=headers)
