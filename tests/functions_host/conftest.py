"""Apps written into a temporary folder and served in this process, on a free port."""

import asyncio
import logging
import os
import sys

import pytest
from azure.durable_functions.models.utils import http_utils
from served_app import ServedApp, write_app


@pytest.fixture(autouse=True)
def _process_as_it_was(monkeypatch):
    """Serving an app changes folder, module path and log levels, and leaves the SDK a session of a closed loop."""
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(http_utils, "_client_session", None)
    monkeypatch.setattr(http_utils, "_session_lock", asyncio.Lock())
    level = logging.getLogger().level
    loaded = set(sys.modules)
    yield
    logging.getLogger().setLevel(level)
    for name in set(sys.modules) - loaded:
        if name.startswith("app_") or name == "function_app":
            del sys.modules[name]


@pytest.fixture
def serve(tmp_path):
    """Serve an app given as source text: `serve(source, host_json=..., keys=..., settings=..., files=...)`."""
    started: list[ServedApp] = []

    def start(source, *, name="app", keys=False, environ=None, is_strict=False, **files) -> ServedApp:
        root = write_app(tmp_path / name, source, **files)
        app = ServedApp(root, state=tmp_path / f"{name}-state", keys=keys, environ=environ or {}, is_strict=is_strict)
        app.start()
        started.append(app)
        return app

    yield start
    for app in started:
        app.stop()
