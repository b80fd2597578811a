"""Failures of orchestrations and activities, in the vendor's words."""

from collections.abc import Sequence

from localcloud.durable.ports import FunctionFailed
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.texts import to_json

_CHANGED = "Was a change made to the orchestrator code after this instance had already started running?"
_EXCEPTION = "Exception:"
_STACK = "\nStack:"
_RPC_EXCEPTION = "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, Microsoft.Azure.WebJobs.Script"
_EXIT_EXCEPTION = "Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException, Microsoft.Azure.WebJobs.Script"


class EngineError(Exception):
    """The engine cannot go on; the text says what is wrong, where, and what to do."""


class OrchestrationFailed(Exception):
    """How an orchestration fails: `reason` becomes its output, `details` go to the parent."""

    def __init__(self, reason: str, details: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


class NonDeterministic(OrchestrationFailed):
    """The history holds something that the replay did not ask for."""

    def __init__(self, told: str) -> None:
        super().__init__(f"Non-Deterministic workflow detected: {told}")


class TaskFailure(Exception):
    """An awaited activity or sub-orchestration failed."""


def not_scheduled(what: str) -> NonDeterministic:
    """`what` names the recorded event, such as "an activity task with sequence ID 0 and name 'echo' (version '')"."""
    return NonDeterministic(
        f"A previous execution of this orchestration scheduled {what}, but the current replay execution hasn't (yet?) "
        f"scheduled this task. {_CHANGED}"
    )


def timer_not_scheduled(timer_id: int) -> NonDeterministic:
    """As for others, but without the comma [golden]."""
    return NonDeterministic(
        f"A previous execution of this orchestration scheduled a timer task with sequence number {timer_id} but the "
        f"current replay execution hasn't (yet?) scheduled this task. {_CHANGED}"
    )


def other_kind(what: str, comma: str, found: str) -> NonDeterministic:
    """The recorded event met a decision of another kind, which the vendor's engine calls `found`."""
    return NonDeterministic(
        f"A previous execution of this orchestration scheduled {what}{comma} but the current orchestration replay "
        f"instead produced a {found} action with this sequence number. {_CHANGED}"
    )


def other_name(what: str, kind: str, found: str) -> NonDeterministic:
    """The recorded event met a decision of its kind, but of another name; two blanks before the question [golden]."""
    return NonDeterministic(
        f"A previous execution of this orchestration scheduled {what}, but the current orchestration replay instead "
        f"scheduled {kind} named '{found}' with this sequence number.  {_CHANGED}"
    )


def no_such_function(name: str, kind: str, known: Sequence[str]) -> str:
    """`kind` reads "an orchestrator", "an entity"."""
    noun = kind.split(" ", 1)[1]
    listed = ", ".join(f"'{each}'" for each in known)
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not {kind} function. Additional info: "
        f"The following are the known {noun} functions: {listed}."
    )


def orchestrator_failure(name: str, what: str) -> str:
    return f"Orchestrator function '{name}' failed: {what}"


def friendly_message(rpc_text: str) -> str:
    """What stands between "Exception:" and the stack, with its leading blank; the whole text where there is none."""
    start = rpc_text.find(_EXCEPTION)
    if start < 0:
        return rpc_text
    end = rpc_text.find(_STACK, start)
    return rpc_text[start + len(_EXCEPTION) : end if end >= 0 else len(rpc_text)]


def activity_failure(name: str, failure: FunctionFailed) -> tuple[str, str]:
    """Reason and details of a TaskFailed; details are a .NET exception as JSON, which apps have been seen to read."""
    text = without_credentials(failure.text)
    if failure.exception_type == "WorkerProcessExitException":
        return f"Activity function '{name}' failed: {text}", to_json(_dotnet_exception(_EXIT_EXCEPTION, text, None))
    message = friendly_message(text)
    stack = text.partition(_STACK)[2].lstrip()
    inner = {
        "$type": _RPC_EXCEPTION,
        "IsUserException": False,
        "RemoteStackTrace": stack,
        "RemoteMessage": message.removeprefix(" "),
        "RemoteTypeName": None,
        "Message": text,
        "Data": {},
        "InnerException": None,
        "HelpLink": None,
        "Source": "System.Private.CoreLib",
        "HResult": -2146233088,
        "StackTrace": "",
    }
    details = _dotnet_exception("System.Exception, System.Private.CoreLib", message, inner)
    return f"Activity function '{name}' failed: {message}", to_json(details)


def _dotnet_exception(kind: str, message: str, inner: object) -> dict[str, object]:
    return {
        "$type": kind,
        "ClassName": kind.split(",", 1)[0],
        "Message": message,
        "Data": None,
        "InnerException": inner,
        "HelpURL": None,
        "StackTraceString": None,
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": -2146233088,
        "Source": None,
        "WatsonBuckets": None,
    }
