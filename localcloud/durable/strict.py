"""Strict mode: looks at one played generation for the traps of the vendor's model that a host can see.

The engine plays as ever; then what the SDK asked for, what the replay came to, and what became of events are held
against the rules. A generation that walked into a trap fails with the trap's text and does nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from localcloud.durable.action_replay import ActionReplay, ActionType
from localcloud.durable.decisions import Complete, CreateSubOrchestration, Decision, Status
from localcloud.durable.events import ExternalEvents
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.ports import FunctionKind
from localcloud.durable.replay import Replay
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.sdk_answer import Action, SdkAnswer
from localcloud.durable.sdk_sites import MADE_AT
from localcloud.durable.texts import parse_instant
from localcloud.durable.traps import Rule, Trap

MOST_STEPS = 100
_KINDS = {kind.value: kind for kind in ActionType}
_WITH_RETRY = (ActionType.CALL_ACTIVITY_WITH_RETRY, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY)
_ACTIVITIES = (ActionType.CALL_ACTIVITY, ActionType.CALL_ACTIVITY_WITH_RETRY)
_CHILDREN = (ActionType.CALL_SUB_ORCHESTRATOR, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY)
_COMPOUNDS = (ActionType.WHEN_ALL, ActionType.WHEN_ANY)
_STEPS = (*_ACTIVITIES, *_CHILDREN, ActionType.CALL_ENTITY, ActionType.CALL_HTTP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One generation, played: what the SDK answered, and what came of it."""

    answer: SdkAnswer
    kind_of: Callable[[str], FunctionKind | None]
    history: Sequence[Event]
    replay: Replay
    actions: ActionReplay
    external: ExternalEvents
    decisions: Sequence[Decision]
    is_alive: Callable[[str], bool]

    @property
    def has_ended(self) -> bool:
        return self.answer.is_done or self.answer.error is not None

    @property
    def continues(self) -> bool:
        return any(made(action) is ActionType.CONTINUE_AS_NEW for action in self.answer.actions)


def first_trap(played: Played) -> Trap | None:
    """The first trap, the surest rules first; None for a generation that keeps them all."""
    if played.replay.mismatch is not None and played.answer.failure is None:
        return _changed_steps(played)
    if played.answer.failure is not None:
        return next(_noted(played), None)
    return next(chain.from_iterable(look(played) for look in _LOOKS), None)


def trap_of_start(name: str, input_text: str | None, *, is_known: bool) -> Trap | None:
    """The trap of a client's start, if it is one."""
    if not is_known:
        told = f"there is no orchestrator '{name}' to start; the vendor's host would accept it, and the instance fail"
        return Trap(rule=Rule.KNOWN_ORCHESTRATORS, told=told)
    if input_text is not None and without_credentials(input_text) != input_text:
        told = "the input of a start holds what looks like a credential, and would hide any later error"
        return Trap(rule=Rule.NO_CREDENTIALS, told=told)
    return None


def made(action: Action) -> ActionType:
    return _KINDS[action["actionType"]]


def at(action: Mapping[str, Any]) -> str:
    """Where an action was made; a compound one is where its first child was."""
    children = action.get("compoundActions") or ()
    return str(action.get(MADE_AT) or (at(children[0]) if children else ""))


def _flat(actions: Sequence[Action]) -> Iterator[Action]:
    for action in actions:
        if made(action) in _COMPOUNDS:
            yield from _flat(action["compoundActions"])
        else:
            yield action


# -- what the actions show ------------------------------------------------------------------------------------------
def _noted(played: Played) -> Iterator[Trap]:
    for note in played.answer.notes.get("traps", ()):
        yield Trap(rule=Rule(note["rule"]), told=note["told"], at=note["at"])


def _unknown_names(played: Played) -> Iterator[Trap]:
    for action in _flat(played.answer.actions):
        wanted = "activity" if made(action) in _ACTIVITIES else "orchestration" if made(action) in _CHILDREN else None
        if wanted is not None and played.kind_of(action["functionName"]) != wanted:
            kind = "activity" if wanted == "activity" else "orchestrator"
            told = f"there is no {kind} '{action['functionName']}', and the instance would hang for ever"
            yield Trap(rule=Rule.KNOWN_FUNCTIONS, told=told, at=at(action))


def _taken_child_ids(played: Played) -> Iterator[Trap]:
    for decision in played.decisions:
        if isinstance(decision, CreateSubOrchestration) and played.is_alive(decision.instance_id):
            told = f"the child '{decision.name}' would take the place of '{decision.instance_id}', which still runs"
            yield Trap(rule=Rule.CHILD_IDS, told=told, at=at(played.actions.asked.get(decision.id, {})))


def _retries_in_compounds(played: Played) -> Iterator[Trap]:
    for compound in played.answer.actions:
        if made(compound) not in _COMPOUNDS:
            continue
        for action in _flat([compound]):
            if made(action) in _WITH_RETRY:
                within = "task_any" if made(compound) is ActionType.WHEN_ANY else "task_all"
                told = f"'{action['functionName']}' is called with retries inside {within}, where its steps lose count"
                yield Trap(rule=Rule.NO_RETRY_IN_COMPOUNDS, told=told, at=at(action))


def _too_many_steps(played: Played) -> Iterator[Trap]:
    steps = [action for action in _flat(played.answer.actions) if made(action) in _STEPS]
    if len(steps) > MOST_STEPS:
        told = f"this is step {MOST_STEPS + 1} of one generation, and each step replays all before it"
        yield Trap(rule=Rule.FEW_STEPS, told=told, at=at(steps[MOST_STEPS]))


def _calls_over_http(played: Played) -> Iterator[Trap]:
    for action in _flat(played.answer.actions):
        if made(action) is ActionType.CALL_HTTP:
            yield Trap(rule=Rule.NO_CALL_HTTP, told="call_http is used", at=at(action))


def _credentials(played: Played) -> Iterator[Trap]:
    for action in _flat(played.answer.actions):
        given = action.get("input")
        if isinstance(given, str) and without_credentials(given) != given:
            told = "an input holds what looks like a credential, and would hide any later error"
            yield Trap(rule=Rule.NO_CREDENTIALS, told=told, at=at(action))
    if played.answer.error is not None and without_credentials(played.answer.error) != played.answer.error:
        yield Trap(rule=Rule.NO_CREDENTIALS, told="the error's text holds what looks like a credential")


# -- what became of events ------------------------------------------------------------------------------------------
def _names_used_twice(played: Played) -> Iterator[Trap]:
    seen: set[str] = set()
    for top in played.answer.actions:
        waits = [action for action in _flat([top]) if made(action) is ActionType.WAIT_FOR_EXTERNAL_EVENT]
        for wait in waits:
            if wait["externalEventName"].lower() in seen:
                told = f"the event name '{wait['externalEventName']}' is waited for a second time"
                yield Trap(rule=Rule.ONE_NAME_A_WAIT, told=told, at=at(wait))
        seen |= {wait["externalEventName"].lower() for wait in waits}


def _case_of_events(played: Played) -> Iterator[Trap]:
    waits = {
        action["externalEventName"].lower(): action
        for action in _flat(played.answer.actions)
        if made(action) is ActionType.WAIT_FOR_EXTERNAL_EVENT
    }
    for name, _ in played.external.delivered:
        wait = waits.get(name.lower())
        if wait is not None and wait["externalEventName"] != name:
            told = f"the event '{name}' meets a wait for '{wait['externalEventName']}': the host takes it, the SDK not"
            yield Trap(rule=Rule.CASE_OF_EVENTS, told=told, at=at(wait))


def _early_events(played: Played) -> Iterator[Trap]:
    for name in played.external.crowded:
        told = f"events named '{name}' with different data came before anybody waited: only the last would be seen"
        yield Trap(rule=Rule.EARLY_EVENTS, told=told)
    if not played.has_ended or played.continues:
        return
    known = {name.lower() for name in played.answer.notes.get("waits", ())}
    known |= {
        action["externalEventName"].lower()
        for action in _flat(played.answer.actions)
        if made(action) is ActionType.WAIT_FOR_EXTERNAL_EVENT
    }
    for name, _ in played.external.delivered:
        if name.lower() not in known and not _is_guid(name):
            yield Trap(rule=Rule.EARLY_EVENTS, told=f"the event '{name}' came, and nobody ever waited for it")


def _is_guid(name: str) -> bool:
    """Answers of entities are events named by the guid of their call."""
    return len(name) == 36 and name.count("-") == 4


def _dropped_events(played: Played) -> Iterator[Trap]:
    if played.continues and played.answer.is_done and (kept := played.external.kept_names()):
        told = f"continue_as_new would drop the event '{kept[0]}', which has come and was not waited for"
        yield Trap(rule=Rule.DRAIN_BEFORE_CONTINUING, told=told, at=_continued_at(played))


def _continued_at(played: Played) -> str:
    last = [action for action in played.answer.actions if made(action) is ActionType.CONTINUE_AS_NEW]
    return at(last[-1]) if last else ""


# -- what is left open ----------------------------------------------------------------------------------------------
def _left_open(played: Played) -> Iterator[Trap]:
    """Open tasks at the end. Calls of a task_all that failed early are meant to end by themselves (P5)."""
    if not played.has_ended:
        return
    failing = [a for a in played.answer.actions if made(a) is ActionType.WHEN_ALL]
    forgiven = {id(action) for action in _flat(failing) if made(action) is not ActionType.CREATE_TIMER}
    for task in played.replay.open_tasks():
        action = played.actions.asked.get(task)
        if action is None or id(action) in forgiven:
            continue
        if made(action) is ActionType.CREATE_TIMER:
            told = (
                f"a timer for {action['fireAt']} is neither awaited nor cancelled, and would hold up the end until then"
            )
        else:
            told = f"the call of '{action.get('functionName', 'an entity')}' is still open, and would hold up the end"
        yield Trap(rule=Rule.CANCEL_TIMERS, told=told, at=at(action))


def _stale_timers(played: Played) -> Iterator[Trap]:
    """Timers that were cancelled and have not come due are still on their way when a new generation begins."""
    if not (played.continues and played.answer.is_done):
        return
    fired = {entry["TimerId"] for entry in played.history if kind_of(entry) is EventType.TIMER_FIRED}
    for task, action in played.actions.asked.items():
        if made(action) is ActionType.CREATE_TIMER and action.get("isCanceled") and task not in fired:
            due = parse_instant(action["fireAt"])
            if due > played.replay.now:
                told = f"continue_as_new leaves the message of a cancelled timer behind, due {action['fireAt']}"
                yield Trap(rule=Rule.QUIET_EXIT, told=told, at=_continued_at(played))


def _out_of_step(played: Played) -> Iterator[Trap]:
    """The two replays disagree about what has ended: the one of the SDK and the one of the host."""
    actions, replay = played.answer.actions, played.replay
    if replay.is_held:
        return
    stuck_at = played.actions.position
    if stuck_at < len(actions):
        went_on = stuck_at < len(actions) - 1 or played.has_ended
        if went_on and made(actions[stuck_at]) is ActionType.WHEN_ANY:
            told = "an older task has won this task_any, but the host awaits only the ones that were new in it"
            yield Trap(rule=Rule.FIXED_SETS, told=told, at=at(actions[stuck_at]))
        return
    if not played.has_ended and actions and not replay.open_tasks() and not played.external.has_waiters:
        told = "the orchestrator waits for something that the host takes for done, and would hang for ever"
        yield Trap(rule=Rule.FIXED_SETS, told=told, at=at(actions[-1]))


# -- what has changed -----------------------------------------------------------------------------------------------
def _changed_steps(played: Played) -> Trap:
    entry = played.replay.mismatch
    assert entry is not None
    task = entry["EventId"]
    before = f"{kind_of(entry).wire_name} {entry.get('Name') or ''}".rstrip()
    action = played.actions.asked.get(task)
    if action is None:
        now = "nothing: the orchestrator asks for fewer steps"
    else:
        name = action.get("functionName") or ""
        now = f"{made(action).name.lower()} {name}".rstrip()
    told = f"step {task + 1} of this instance was {before}, and is now {now}"
    return Trap(rule=Rule.SAME_STEPS, told=told, at=at(action) if action else "")


_LOOKS: tuple[Callable[[Played], Iterator[Trap]], ...] = (
    _noted,
    _unknown_names,
    _taken_child_ids,
    _retries_in_compounds,
    _case_of_events,
    _names_used_twice,
    _too_many_steps,
    _calls_over_http,
    _credentials,
    _dropped_events,
    _stale_timers,
    _left_open,
    _out_of_step,
    _early_events,
)


def failed_instead(decisions: Sequence[Decision], reason: str) -> list[Decision]:
    """The one decision of a generation in a trap: to fail, and nothing that it asked for besides."""
    free = max((decision.id for decision in decisions), default=-1) + 1
    return [Complete(id=free, status=Status.FAILED, result=reason)]
