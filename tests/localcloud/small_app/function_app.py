"""A small app with the doors that the local cloud's start knocks at; what it is told goes into files."""

import json
import os
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
SETTINGS = dict(os.environ)
NOTES = Path(SETTINGS["SMALL_APP_NOTES"])


def note(file: str, entry: dict[str, object]) -> None:
    with (NOTES / file).open("a") as notes:
        notes.write(json.dumps(entry) + "\n")


@app.route("projects/{project}/gpuSettings", methods=["PUT"])
def replace_settings(req: func.HttpRequest) -> func.HttpResponse:
    project = req.route_params["project"]
    made = NOTES / f"project-{project}.json"
    note("asked.jsonl", {"project": project, "version": req.params.get("api-version")})
    if not req.headers["Authorization"].startswith("Bearer ey"):
        return func.HttpResponse(status_code=401)
    if made.exists() and req.headers.get("If-None-Match") == "*":
        return func.HttpResponse(status_code=412)
    made.write_bytes(req.get_body())
    return func.HttpResponse(status_code=201)


@app.event_grid_trigger(arg_name="event")
def on_resource_event(event: func.EventGridEvent) -> None:
    note("events.jsonl", {"id": event.id})


@app.route("settings", methods=["GET"])
def settings(req: func.HttpRequest) -> func.HttpResponse:
    names = ("AzureWebJobsStorage", "IDENTITY_ENDPOINT", "FUNCTIONS_WORKER_RUNTIME")
    shown = {name: value for name, value in SETTINGS.items() if name.startswith("DEVBOXGPU_") or name in names}
    return func.HttpResponse(json.dumps(shown), mimetype="application/json")
