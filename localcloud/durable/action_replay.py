"""The extension's side of an orchestration: it plays the SDK's list of actions against the history.

One action after the other is asked for and awaited; errors are swallowed, since the SDK has dealt with them. That the
list is played in full, and in this order, is what gives the ids that the SDK expects (functions-host.md 1.1, 1.6).
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, timedelta
from enum import IntEnum
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from localcloud.durable.entity_messages import OutgoingRequests, scheduler_id
from localcloud.durable.errors import OrchestrationFailed, TaskFailure, orchestrator_failure
from localcloud.durable.events import ExternalEvents
from localcloud.durable.ports import FunctionKind
from localcloud.durable.promises import Cancelled, Promise, start, when_all, when_any
from localcloud.durable.replay import Replay
from localcloud.durable.sdk_answer import Action, SdkAnswer
from localcloud.durable.texts import parse_instant, to_json

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
LONGEST_SHORT_TIMER = timedelta(days=6)
LONG_TIMER_STEP = timedelta(days=3)

KindOf = Callable[[str], FunctionKind | None]
Step = Coroutine[Promise[Any], None, None]


class ActionType(IntEnum):
    """The numbers of actions on the wire."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


class ActionReplay:
    """Plays one answer of the SDK.

    `position` is the number of the action that is awaited, and `asked` the action behind each id that was taken.
    """

    def __init__(
        self, *, name: str, answer: SdkAnswer, kind_of: KindOf, events: ExternalEvents, default_version: str | None
    ) -> None:
        self._name = name
        self._answer = answer
        self._kind_of = kind_of
        self._events = events
        self._default_version = default_version
        self._requests = OutgoingRequests()
        self._guids = 0
        self.position = 0
        self.asked: dict[int, Action] = {}

    async def run(self, replay: Replay) -> str | None:
        """Play all actions; then return the output, raise the error, or wait for ever where the SDK is not done."""
        if self._answer.failure is not None:
            raise self._answer.failure
        for action in self._answer.actions:
            await self._play(replay, action)
            self.position += 1
        if self._answer.error is not None:
            error = self._answer.error
            details = f"Message: {error}, StackTrace: "  # the vendor's is one of .NET, of no use to anybody here
            raise OrchestrationFailed(orchestrator_failure(self._name, error), details)
        if not self._answer.is_done:
            await Promise[None]()
        return self._answer.output

    async def _play(self, replay: Replay, action: Action) -> None:
        kind = ActionType(action["actionType"])
        try:
            await _PLAYERS[kind](self, replay, action)
        except (TaskFailure, Cancelled):
            return

    async def _all(self, replay: Replay, action: Action) -> None:
        await when_all(self._started(replay, action))

    async def _any(self, replay: Replay, action: Action) -> None:
        started = self._started(replay, action)
        if started:
            await when_any(started)

    def _started(self, replay: Replay, action: Action) -> list[Promise[None]]:
        return [start(self._play(replay, child)) for child in action["compoundActions"]]

    def _note(self, replay: Replay, action: Action) -> None:
        """Remember whose the id is that is taken next."""
        self.asked[replay.next_id] = action

    # -- calls --------------------------------------------------------------------------------------------------
    async def _activity(self, replay: Replay, action: Action) -> None:
        if self._kind_of(action["functionName"]) == "activity":
            self._note(replay, action)
            await replay.schedule_activity(action["functionName"], action.get("input"))

    async def _activity_with_retry(self, replay: Replay, action: Action) -> None:
        name, input_text = action["functionName"], action.get("input")
        if self._kind_of(name) == "activity":
            await self._retried(replay, action, lambda: replay.schedule_activity(name, input_text))

    async def _child(self, replay: Replay, action: Action) -> None:
        if self._kind_of(action["functionName"]) == "orchestration":
            await self._schedule_child(replay, action)

    async def _child_with_retry(self, replay: Replay, action: Action) -> None:
        if self._kind_of(action["functionName"]) == "orchestration":
            await self._retried(replay, action, lambda: self._schedule_child(replay, action))

    def _schedule_child(self, replay: Replay, action: Action) -> Promise[str | None]:
        self._note(replay, action)
        version = action.get("version") or self._default_version
        return replay.schedule_child(
            action["functionName"], version, action.get("instanceId"), to_json(action.get("input"))
        )

    async def _retried(self, replay: Replay, action: Action, call: Callable[[], Promise[str | None]]) -> None:
        """Try up to the number of attempts, with a timer after each failure.

        There is one after the last failure too, due at once: the vendor keeps it for old histories.
        """
        options = action["retryOptions"]
        attempts = options["maxNumberOfAttempts"]
        first = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
        factor = options.get("backoffCoefficient") or 1.0
        for attempt in range(attempts):
            self._note(replay, action)
            try:
                await call()
                return
            except TaskFailure:
                delay = min(first * factor**attempt, LONGEST_SHORT_TIMER)
                last = attempt == attempts - 1
                self._note(replay, action)
                await replay.create_timer(replay.now if last else replay.now + delay).fired

    async def _http(self, replay: Replay, action: Action) -> None:
        self._note(replay, action)
        await replay.schedule_activity(HTTP_ACTIVITY, to_json(action["httpRequest"]))

    # -- waiting ------------------------------------------------------------------------------------------------
    async def _timer(self, replay: Replay, action: Action) -> None:
        fire_at = parse_instant(action["fireAt"])
        if fire_at - replay.now > LONGEST_SHORT_TIMER:
            await self._long_timer(replay, action)
            return
        self._note(replay, action)
        timer = replay.create_timer(fire_at)
        if action.get("isCanceled"):
            replay.cancel_timer(timer)
        await timer.fired

    async def _long_timer(self, replay: Replay, action: Action) -> None:
        """A chain of timers of three days; a cancel does not reach the one that runs (functions-host.md P4)."""
        fire_at = parse_instant(action["fireAt"])
        while fire_at - replay.now > LONGEST_SHORT_TIMER:
            self._note(replay, action)
            running = replay.create_timer(replay.now + LONG_TIMER_STEP)
            if action.get("isCanceled"):
                return
            await running.fired
        self._note(replay, action)
        await replay.create_timer(fire_at).fired

    async def _external_event(self, _replay: Replay, action: Action) -> None:
        await self._events.wait_for(action["externalEventName"])

    async def _continue_as_new(self, replay: Replay, action: Action) -> None:
        replay.continue_as_new(to_json(action.get("input")))

    # -- entities -----------------------------------------------------------------------------------------------
    async def _call_entity(self, replay: Replay, action: Action) -> None:
        request = self._send_to_entity(replay, action, is_signal=False)
        if request is not None:
            await self._events.wait_for(request)

    async def _signal_entity(self, replay: Replay, action: Action) -> None:
        self._send_to_entity(replay, action, is_signal=True)

    def _send_to_entity(self, replay: Replay, action: Action, *, is_signal: bool) -> str | None:
        """The id of the request; None where no such entity function exists."""
        target = scheduler_id(action["instanceId"])
        if self._kind_of(target.split("@")[1]) != "entity":
            return None
        request = self._new_guid(replay)
        message = self._requests.message(
            replay=replay,
            target=target,
            operation=action["operation"],
            input_text=to_json(action.get("input")),
            request_id=request,
            is_signal=is_signal,
        )
        self._note(replay, action)
        replay.send_event(target, "op", message)
        return request

    def _new_guid(self, replay: Replay) -> str:
        self._guids += 1
        seed = f"{replay.instance_id}_{replay.execution_id}_{replay.now.astimezone(UTC).isoformat()}_{self._guids}"
        return str(uuid5(NAMESPACE_OID, seed))


_PLAYERS: dict[ActionType, Callable[[ActionReplay, Replay, Action], Step]] = {
    ActionType.CALL_ACTIVITY: ActionReplay._activity,
    ActionType.CALL_ACTIVITY_WITH_RETRY: ActionReplay._activity_with_retry,
    ActionType.CALL_SUB_ORCHESTRATOR: ActionReplay._child,
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: ActionReplay._child_with_retry,
    ActionType.CONTINUE_AS_NEW: ActionReplay._continue_as_new,
    ActionType.CREATE_TIMER: ActionReplay._timer,
    ActionType.WAIT_FOR_EXTERNAL_EVENT: ActionReplay._external_event,
    ActionType.CALL_ENTITY: ActionReplay._call_entity,
    ActionType.CALL_HTTP: ActionReplay._http,
    ActionType.SIGNAL_ENTITY: ActionReplay._signal_entity,
    ActionType.WHEN_ANY: ActionReplay._any,
    ActionType.WHEN_ALL: ActionReplay._all,
}
