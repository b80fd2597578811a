"""From an HTTP request to an answer: parse, authorise, let the operation decide and act, render."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from api.bodies import body_of
from api.call import Call, Reply
from api.callers import caller_of
from api.limits import check_head, check_project_rate, check_user_rate
from api.operations import API_VERSION, Operation
from api.rights import DIRECTORY_AWAY, administers, authorised, marked
from api.wire import ErrorAnswer, ErrorBody, ErrorDetail
from shared.domain import names
from shared.domain.access import Caller, Who
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.plain_text import plain
from shared.domain.refusals import ANONYMOUS, Attempt
from shared.domain.source_address import source_in
from shared.ports import ids
from shared.ports.container_apps import ArmUnknown
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.governance import GovernanceUnknown
from shared.ports.tables import StorageUnavailable
from shared.ports.tokens import KeysUnavailable
from shared.ports.world import World

log = logging.getLogger("devboxgpu.api")
P = TypeVar("P")

ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Origin:
    """Where a request comes from, and from whom as soon as that is known."""

    request_id: str
    source: str
    caller: Caller | None = None


def answer(operation: Operation, request: func.HttpRequest, world: World) -> Reply:
    """Return the operation's answer, or the refusal, under the id that the audit has too."""
    header = world.settings.source_header
    source = source_in(request.headers.get(header, "")) if header else ""
    origin = Origin(request_id=ids.new_request_id(), source=source)
    reply = _answered(operation, request, world, origin)
    return replace(reply, headers={"x-ms-request-id": origin.request_id, **reply.headers})


def _answered(operation: Operation, request: func.HttpRequest, world: World, origin: Origin) -> Reply:
    """Return the operation's answer, or the refusal. Nothing escapes: an unforeseen failure is a plain 500."""
    try:
        call = _checked(operation, request, world, origin)
        return marked(operation.handler(call), call)
    except Refused as refused:
        attempt = _attempt(operation, request, world, origin, refused)
        if operation.method != "GET" and attempt.is_audited:
            world.refusals.note(attempt)
        return _refusal(refused)
    except EntitlementUnknown as trouble:
        log.warning("entitlement.unavailable operation=%s why=%s", operation.name, trouble)
        return _refusal(
            Refused(503, ErrorCode.SERVICE_UNAVAILABLE, DIRECTORY_AWAY, target="entitlement", retry_after_s=2)
        )
    except (StorageUnavailable, GovernanceUnknown, KeysUnavailable, ArmUnknown) as trouble:
        log.warning("call.unavailable operation=%s why=%s", operation.name, trouble)
        message = "A service that is needed to answer did not respond. Nothing is known to have changed. Try again."
        return _refusal(Refused(503, ErrorCode.SERVICE_UNAVAILABLE, message, retry_after_s=2))
    except Exception:  # the HTTP boundary: a caller never sees a stack
        log.exception("call.failed operation=%s", operation.name)
        message = "The request failed inside the service. Try again; if it stays so, report the request id."
        return _refusal(Refused(500, ErrorCode.INTERNAL, message))


def rendered(reply: Reply, request: func.HttpRequest) -> func.HttpResponse:
    """Return the answer with the headers that every answer has."""
    headers = {"Cache-Control": "no-cache", **reply.headers}
    client_id = request.headers.get("x-ms-client-request-id", "")
    if client_id and len(client_id) <= 128 and client_id.isascii() and client_id.isprintable():
        headers["x-ms-client-request-id"] = client_id
    return func.HttpResponse(_content(reply), status_code=reply.status, headers=headers, mimetype=reply.media_type)


def _content(reply: Reply) -> bytes:
    if isinstance(reply.body, str):
        return reply.body.encode()
    return ENCODER.encode(reply.body) if reply.body is not None else b""


def _attempt(
    operation: Operation, request: func.HttpRequest, world: World, origin: Origin, refused: Refused
) -> Attempt:
    """Return what the audit is told of a refused attempt. Of the path only what can be an id, never any other text."""
    parts = request.route_params
    things = {"user": names.user_id, "shell": names.shell_id, "session": names.session_id}
    target = "/".join(f"{part}s/{known}" for part, read in things.items() if (known := read(parts.get(part, ""))))
    return Attempt(
        at=world.now(),
        project=names.project_id(parts.get("project", "")) or "",
        actor=origin.caller.user if origin.caller else ANONYMOUS,
        operation=operation.name,
        status=refused.status,
        code=refused.problem.code,
        request=origin.request_id,
        source=origin.source,
        target=target,
    )


def _checked(operation: Operation, request: func.HttpRequest, world: World, origin: Origin) -> Call:
    """Return the call with everything in it checked; raise Refused for what is wrong."""
    check_head(request)
    query = _query(operation, request)
    if operation.who is Who.ANYONE:
        return Call(world=world, caller_or_none=None, base_url="", headers=request.headers, query=query)
    caller = origin.caller = caller_of(request, world)
    check_user_rate(operation, world, caller)
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
        ask_administers=lambda: administers(world, caller, project),
        request_id=origin.request_id,
        source=origin.source,
    )
    allowed = authorised(operation.who, call)
    check_project_rate(operation, allowed)
    return replace(allowed, body_or_none=body_of(operation, request))


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


def _part(value: P | None, name: str, rule: str) -> P:
    if value is None:
        raise Refused(400, ErrorCode.INVALID_PARAMETER, f"'{name}' in the path must be {rule}.", target=name)
    return value


def _base_url(url: str) -> str:
    """Return where the API begins, as this caller reached it: links in answers point there."""
    split = urlsplit(url)
    prefix = split.path.partition("/projects")[0].partition("/activity")[0]
    return f"{split.scheme}://{split.netloc}{prefix}"


def _refusal(refused: Refused) -> Reply:
    problem = refused.problem
    details = [ErrorDetail(code=d.code, message=plain(d.message), target=_plain_target(d)) for d in refused.details]
    error = ErrorBody(
        code=problem.code, message=plain(problem.message), target=_plain_target(problem), details=details or None
    )
    body = ErrorAnswer(error=error)
    headers = {"x-ms-error-code": problem.code.value}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    return Reply(status=refused.status, body=body, headers=headers)


def _plain_target(problem: Problem) -> str | None:
    """Return what the problem is about; like the message it may repeat what the caller sent."""
    return plain(problem.target) if problem.target is not None else None
