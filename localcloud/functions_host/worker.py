"""Calls the app's functions: sync ones in a thread pool, async ones on the loop, with the SDK's own converters.

The rules are those of the vendor's Python worker (reference/functions-host.md 4.2), here in the host's own process.
"""

import asyncio
import threading
import traceback
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.http import HttpResponseConverter
from azure.functions.meta import Datum

from localcloud.functions_host.functions import AppFunction
from localcloud.functions_host.invocation import Invocation, InvocationContext, current_invocation
from localcloud.functions_host.loading import place_of
from localcloud.functions_host.loop_watch import LoopWatch
from localcloud.functions_host.running_calls import RunningCalls

DEFAULT_THREADS = 1000
"""What the vendor's host sets where PYTHON_THREADPOOL_THREAD_COUNT is not set."""


class InvocationFailed(Exception):
    """A function raised, or was given or gave what its bindings cannot carry.

    `summary` is one line for the log: what was raised, and where in the app.
    """

    def __init__(self, error: BaseException, *, root: Path, function: AppFunction) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.error = error
        self.exception_type = type(error).__name__
        self.message = str(error)
        self.stack = "".join(traceback.format_tb(error.__traceback__))
        self.place = place_of(error, within=root, called=function.body)
        self.summary = f"{self.exception_type}: {self.message}{self.place}"

    @property
    def rpc_text(self) -> str:
        """The failure as the vendor's host words it."""
        return f"Result: Failure\nException: {self.exception_type}: {self.message}\nStack: {self.stack}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call gave: what it returned, and what it set in `func.Out` parameters, both encoded by the SDK."""

    returned: Datum | None
    outputs: Mapping[str, Datum]


class OutSlot(func.Out[Any]):
    """What a `func.Out` parameter receives."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


def new_invocation(function: AppFunction, *, instance_id: str = "") -> Invocation:
    return Invocation(id=str(uuid.uuid4()), function_name=function.name, instance_id=instance_id)


class Worker:
    """The one worker of the app in `root`."""

    def __init__(self, *, root: Path, threads: int = DEFAULT_THREADS, limit: timedelta | None = None) -> None:
        """No call may run longer than `limit`; None: as long as it likes."""
        self._root = root
        self._threads = threads
        self._watch = LoopWatch(root)
        self._calls = RunningCalls(limit, on_replaced=self._begin_anew)
        self._begin_anew()

    async def call(self, function: AppFunction, inputs: Mapping[str, Datum], invocation: Invocation) -> Outcome:
        """Call a function; `inputs` holds a value for each of its input bindings. Raises InvocationFailed."""
        running = self._calls.begin(function.name, invocation.id)
        try:
            outcome = await self._run(function, inputs, invocation)
        except (asyncio.CancelledError, InvocationFailed):
            if running.loss is None:
                raise
        finally:
            self._calls.end(running)
        if running.loss is not None:
            running.task.uncancel()
            raise InvocationFailed(running.loss, root=self._root, function=function)
        return outcome

    def close(self) -> None:
        """Take no more calls; the ones that run are left to end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._watch.close()

    def _begin_anew(self) -> None:
        """What a new worker process would have: threads and thread-local storage that nobody has used."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="function")
        self._storage = threading.local()

    async def _run(self, function: AppFunction, inputs: Mapping[str, Datum], invocation: Invocation) -> Outcome:
        if function.plan.is_async:
            return await self._call_on_loop(function, inputs, invocation)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._call_in_thread, function, inputs, invocation)

    def _call_in_thread(self, function: AppFunction, inputs: Mapping[str, Datum], invocation: Invocation) -> Outcome:
        token = current_invocation.set(invocation)
        self._storage.invocation_id = invocation.id
        try:
            arguments, slots = self._arguments(function, inputs, invocation)
            return _outcome(function, function.body(**arguments), slots)
        except BaseException as error:  # the app's own code; sys.exit in a function must not stop the host
            raise InvocationFailed(error, root=self._root, function=function) from error
        finally:
            current_invocation.reset(token)

    async def _call_on_loop(
        self, function: AppFunction, inputs: Mapping[str, Datum], invocation: Invocation
    ) -> Outcome:
        token = current_invocation.set(invocation)
        self._watch.begin()
        try:
            arguments, slots = self._arguments(function, inputs, invocation)
            return _outcome(function, await function.body(**arguments), slots)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # the app's own code; sys.exit in a function must not stop the host
            raise InvocationFailed(error, root=self._root, function=function) from error
        finally:
            self._watch.end()
            current_invocation.reset(token)

    def _arguments(
        self, function: AppFunction, inputs: Mapping[str, Datum], invocation: Invocation
    ) -> tuple[dict[str, Any], dict[str, OutSlot]]:
        plan = function.plan
        arguments = {n: converter.decode(inputs[n], trigger_metadata={}) for n, converter in plan.inputs.items()}
        slots = {name: OutSlot() for name in plan.outputs}
        arguments.update(slots)
        if plan.takes_context:
            arguments["context"] = InvocationContext(invocation, self._root, self._storage)
        return arguments, slots


def _outcome(function: AppFunction, returned: Any, slots: Mapping[str, OutSlot]) -> Outcome:
    plan = function.plan
    if returned is not None and plan.return_converter is None:
        raise RuntimeError(
            f"function '{function.name}' returned a value of type {type(returned).__name__}, and its trigger takes "
            "nothing back; return None"
        )
    encoded = None
    if plan.return_converter is not None and not (returned is None and plan.outputs):
        encoded = _encoded(plan.return_converter, returned, plan.return_type)
    outputs = {
        name: _encoded(plan.outputs[name], slot.get(), None) for name, slot in slots.items() if slot.get() is not None
    }
    return Outcome(returned=encoded, outputs=outputs)


def _encoded(converter: Any, value: Any, expected_type: type | None) -> Datum:
    try:
        datum: Datum = converter.encode(value, expected_type=expected_type)
    except NotImplementedError as error:
        taken = "a text, or a func.HttpResponse" if converter is HttpResponseConverter else "what its binding takes"
        raise TypeError(f"a value of type {type(value).__name__} was returned; return {taken}") from error
    return datum
