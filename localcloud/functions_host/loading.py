"""Imports an app folder's function_app.py, unmodified, and reads its functions: once, as the vendor's worker does."""

import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from localcloud.functions_host.app_settings import SettingsError, resolve
from localcloud.functions_host.functions import AppFunction, Binding, BindingType, FunctionTable
from localcloud.functions_host.signatures import UNCALLABLE, FunctionLoadError, plan_call

_SCRIPT_SETTING = "PYTHON_SCRIPT_FILE_NAME"
_DEFAULT_SCRIPT = "function_app.py"
_FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_BINDING_NAME = re.compile(r"(?!.*__)[a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedApp:
    """The app's functions; with a `trouble` there are none, for the vendor's worker gives up the whole app too."""

    functions: FunctionTable = field(default_factory=FunctionTable)
    trouble: str = ""


def load_app(root: Path, environ: Mapping[str, str]) -> LoadedApp:
    """Import the app in `root` and list its functions. Whatever the app does wrong ends in `trouble`, never raises."""
    script = root / environ.get(_SCRIPT_SETTING, _DEFAULT_SCRIPT)
    if not script.is_file():
        return LoadedApp(trouble=f"{script} does not exist; a Python v2 app declares its functions there")
    try:
        declared = _the_app(_import(script), script).get_functions()
        return LoadedApp(functions=FunctionTable(_read(function, environ) for function in declared))
    except FunctionLoadError as error:
        return LoadedApp(trouble=str(error))
    except (Exception, SystemExit) as error:  # the app's own code runs here, and may do anything
        return LoadedApp(trouble=f"{script.name} cannot be loaded: {describe(error, within=root)}")


def describe(error: BaseException, *, within: Path | None = None, called: Callable[..., Any] | None = None) -> str:
    """Say in one line what was raised, and where: see `place_of`."""
    return f"{type(error).__name__}: {error}{place_of(error, within=within, called=called)}"


def place_of(error: BaseException, *, within: Path | None = None, called: Callable[..., Any] | None = None) -> str:
    """Say ` at FILE:LINE in NAME`: the innermost frames first, those of the app in `within` if there are any.

    Where there are none, and it is known which function was `called`, its beginning is the place to look at.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if within is not None and Path(frame.filename).is_relative_to(within)]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in reversed(own or frames[-1:])]
    code = getattr(_written(called), "__code__", None)
    if not own and code is not None:
        places = [f"{Path(code.co_filename).name}:{code.co_firstlineno} in {code.co_name}"]
    return f" at {' < '.join(places)}" if places else ""


def _written(called: Callable[..., Any] | None) -> object:
    """The function as the app has it, without what the SDK wraps around it."""
    inner = getattr(called, "client_function", None) or getattr(called, "orchestrator_function", None) or called
    return inspect.unwrap(inner) if inner is not None else None


def _import(script: Path) -> ModuleType:
    if str(script.parent) in sys.path:
        sys.path.remove(str(script.parent))
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise FunctionLoadError(f"{script} is not a Python file; name one in {_SCRIPT_SETTING}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[script.stem]
        raise
    return module


def _the_app(module: ModuleType, script: Path) -> Any:
    names = [name for name, value in vars(module).items() if isinstance(value, func.FunctionRegister)]
    if not names:
        raise FunctionLoadError(f"{script.name} defines no FunctionApp or DFApp; create one at its top level")
    if len(names) > 1:
        raise FunctionLoadError(
            f"{script.name} holds more than one function app ({', '.join(names)}); keep one at its top level"
        )
    return getattr(module, names[0])


def _read(declared: Any, environ: Mapping[str, str]) -> AppFunction:
    name = declared.get_function_name()
    raw = [json.loads(text) for text in declared.get_raw_bindings()]
    trouble = ""
    try:
        raw = [_resolved(binding, environ) for binding in raw]
        _check_types(name, raw)
        _check_names(name, raw)
    except SettingsError as error:
        trouble = f"function '{name}': {error}"
    bindings = tuple(_binding(settings) for settings in raw)
    trigger = next(binding for binding in bindings if binding.name == declared.get_trigger().name)
    body = declared.get_user_function()
    is_served = all(binding.type in set(BindingType) for binding in bindings)
    return AppFunction(
        name=name,
        trigger=trigger,
        bindings=bindings,
        body=body,
        plan=plan_call(name, body, bindings, trigger.type) if is_served else UNCALLABLE,
        is_disabled=environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("1", "true"),
        trouble=trouble,
    )


def _resolved(settings: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    return {key: resolve(value, environ) if isinstance(value, str) else value for key, value in settings.items()}


def _check_types(name: str, raw: Sequence[Mapping[str, Any]]) -> None:
    unknown = sorted({str(binding["type"]) for binding in raw} - set(BindingType))
    if unknown:
        raise SettingsError(
            f"no extension for bindings of type {', '.join(unknown)}; this host serves {', '.join(BindingType)}"
        )


def _check_names(name: str, raw: Sequence[Mapping[str, Any]]) -> None:
    """Hold names against the vendor's rules; those for bindings are of host 4.1038, older ones refuse an underscore."""
    if not _FUNCTION_NAME.fullmatch(name) or name.lower() == "host":
        raise SettingsError(
            "this name cannot be used: it must begin with a letter, go on with letters, digits, _ or -, "
            "have at most 128 characters, and not be 'host'"
        )
    wrong = [str(binding["name"]) for binding in raw if not _BINDING_NAME.fullmatch(str(binding["name"]))]
    if wrong:
        raise SettingsError(
            f"the binding name {wrong[0]} is invalid: it must begin with a letter or _, go on with letters, digits or "
            "single _, and have at most 128 characters"
        )


def _binding(settings: Mapping[str, Any]) -> Binding:
    return Binding(
        name=str(settings["name"]),
        type=str(settings["type"]),
        is_output=settings.get("direction") == "OUT",
        settings=settings,
    )
