"""Strict mode, as far as an app's source shows it at load: traps of reference/functions-host.md 7.2 and rules of 4.2.

Read are the modules of the app that were imported. A name counts where it is a text, or a module-level name that holds
one; what is computed at run time is the engine's to see. A blocking call is seen only where an async function makes it
directly, by the names below; one that hides behind another function cannot be seen.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from localcloud.functions_host.functions import AppFunction, BindingType, FunctionTable

_ACTIVITY_CALLS = frozenset({"call_activity", "call_activity_with_retry"})
_ORCHESTRATOR_CALLS = frozenset({"call_sub_orchestrator", "call_sub_orchestrator_with_retry", "start_new"})
_EVENT_CALLS = frozenset({"wait_for_external_event", "raise_event"})
_EVENT_NAME_AT: Mapping[str, int] = {"wait_for_external_event": 0, "raise_event": 1}
_NAME_WORDS = ("name", "orchestration_function_name", "event_name")
_BLOCKING = frozenset({"time.sleep", "subprocess.run", "subprocess.check_output", "subprocess.check_call"})
_BLOCKING_MODULES = frozenset({"requests"})
_NOT_OF_THE_APP = frozenset({".venv", "site-packages", "node_modules", "tests"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A trap that is visible in the source."""

    file: str
    line: int
    function: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.rule}: {self.text}"


def strict_findings(functions: FunctionTable, root: Path) -> list[Finding]:
    """All traps that the sources of the app in `root` show, in the order of files and lines."""
    found: list[Finding] = []
    for module, path in _modules_of(root):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue  # it was imported, so it changed since; the next start reads it
        found += _Reader(functions, module, str(path.relative_to(root))).findings(tree)
    return sorted(found, key=lambda finding: (finding.file, finding.line))


def _modules_of(root: Path) -> Iterator[tuple[ModuleType, Path]]:
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        path = Path(name) if isinstance(name, str) else None
        if path is None or path.suffix != ".py" or not path.is_relative_to(root):
            continue
        if not _NOT_OF_THE_APP & set(path.relative_to(root).parts):
            yield module, path


class _Reader:
    """Reads one module."""

    def __init__(self, functions: FunctionTable, module: ModuleType, file: str) -> None:
        self._module = module
        self._file = file
        self._activities = _names(functions.triggered_by(BindingType.ACTIVITY_TRIGGER))
        self._orchestrators = _names(functions.triggered_by(BindingType.ORCHESTRATION_TRIGGER))
        self._http = {function.name for function in functions.triggered_by(BindingType.HTTP_TRIGGER)}

    def findings(self, tree: ast.Module) -> Iterator[Finding]:
        for function in _functions(tree):
            for node in _own_nodes(function):
                if isinstance(node, ast.Call):
                    for rule, text in self._about_call(node, function):
                        yield self._finding(node, function, rule, text)
                elif isinstance(node, ast.Return) and function.name in self._http and _cannot_be_sent(node.value):
                    text = "an HTTP function answers 500 to a value that is neither a text nor an HttpResponse; "
                    yield self._finding(node, function, "4.2", text + "return func.HttpResponse(json.dumps(...))")

    def _finding(self, node: ast.stmt | ast.expr, function: _Function, rule: str, text: str) -> Finding:
        return Finding(file=self._file, line=node.lineno, function=function.name, rule=rule, text=text)

    def _about_call(self, call: ast.Call, function: _Function) -> Iterator[tuple[str, str]]:
        if isinstance(function, ast.AsyncFunctionDef) and _is_blocking(dotted := _dotted(call.func)):
            yield "4.2", f"{dotted} blocks the one loop that all async functions share; await, or use a plain def"
        if not isinstance(call.func, ast.Attribute):
            return
        method = call.func.attr
        name = self._text(_name_argument(call, _EVENT_NAME_AT.get(method, 0)), function)
        if name is None:
            return
        if method in _ACTIVITY_CALLS and name.lower() not in self._activities:
            yield "P12", f"there is no activity '{name}'; the instance would hang for ever"
        if method in _ORCHESTRATOR_CALLS and name.lower() not in self._orchestrators:
            rule = "P22" if method == "start_new" else "P12"
            yield rule, f"there is no orchestrator '{name}'; it would be accepted, and then fail or hang"
        if method in _EVENT_CALLS and name != name.lower():
            yield "P10", f"the event name '{name}' has upper-case letters; the host ignores case and the SDK does not"

    def _text(self, node: ast.expr | None, function: _Function) -> str | None:
        """What a name argument holds, as far as module-level names tell."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        words = _dotted(node).split(".") if node is not None else [""]
        if not words[0] or words[0] in _local_names(function):
            return None
        value: object = self._module
        for word in words:
            value = getattr(value, word, None)
        return str(value) if isinstance(value, str) else None


def _names(functions: Iterable[AppFunction]) -> set[str]:
    return {function.durable_name.lower() for function in functions}


def _functions(tree: ast.AST) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def _own_nodes(function: _Function) -> Iterator[ast.AST]:
    """All nodes of a function's body but those of functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Function | ast.Lambda):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _local_names(function: _Function) -> set[str]:
    parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    assigned = (
        node.id for node in _own_nodes(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    return {parameter.arg for parameter in parameters} | set(assigned)


def _name_argument(call: ast.Call, position: int) -> ast.expr | None:
    named = next((word.value for word in call.keywords if word.arg in _NAME_WORDS), None)
    return named if named is not None else (call.args[position] if len(call.args) > position else None)


def _dotted(node: ast.expr) -> str:
    """`a.b.c` of names and attributes; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def _is_blocking(dotted: str) -> bool:
    return dotted in _BLOCKING or dotted.partition(".")[0] in _BLOCKING_MODULES


def _cannot_be_sent(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Constant):
        return not isinstance(value.value, str)
    return value is None or isinstance(value, ast.Dict | ast.List | ast.Tuple | ast.Set)
