"""What Dev Center's administrators have ruled binds the project: in its settings, in what they show, at admission."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.http_calls import send
from tests.e2e.running_stack import RunningStack

SECTION = "serverlessGpuSessionsSettings"
CAP = f"{SECTION}.maxConcurrentSessionsPerProject"
MODE = f"{SECTION}.serverlessGpuSessionsMode"
TWO_AT_MOST = {
    "project": "demo",
    "policy": {
        "valuesModifiable": "NotModifiable",
        "defaultValues": [{"name": "maxConcurrentSessionsPerProject", "value": "2"}],
    },
}
NEVER = {"project": "other", "policy": {"statusModifiable": "NotModifiable", "defaultStatus": "Disabled"}}


@contextmanager
def ruled(stack: RunningStack, *rules: object) -> Iterator[None]:
    """Let Dev Center have these rules for a while. What it says is believed for two minutes: a new host asks anew."""
    handle = f"{stack.endpoints['devCenter']}/_governance"
    for rule in rules:
        assert send("PUT", handle, rule).status == 200
    stack.cloud.restart("host")
    try:
        yield
    finally:
        send("DELETE", handle)
        stack.cloud.restart("host")
        assert stack.person("alice").reads("")["maxConcurrentSessions"] == 50
        stack.person("alice").reads("offers")  # whoever asks what there is lets the ledger go by the rules that hold


def written(person, body: object):
    return person.call("PATCH", "gpuSettings", {SECTION: body}, headers={"If-Match": "*"})


def test_a_locked_setting_is_not_written_beyond_its_lock_and_holds_at_admission(stack, dev):
    with ruled(stack, TWO_AT_MOST, NEVER):
        carol, olga = stack.person("carol"), stack.person("olga", "other")
        for refused, target in (
            (written(carol, {"maxConcurrentSessionsPerProject": 3}), CAP),
            (written(olga, {"serverlessGpuSessionsMode": "AutoDeploy"}), MODE),
        ):
            assert (refused.status, refused.error_code) == (409, "SettingLockedByPolicy")
            assert refused.json["error"]["target"] == target
        assert carol.reads("gpuSettings")[SECTION]["maxConcurrentSessionsPerProject"] == 50

        held = dev.reads("gpuSettings", view="effective")
        assert held["settings"][SECTION]["maxConcurrentSessionsPerProject"] == 2
        assert (held["sources"][CAP], held["sources"]["shellSharing"]) == ("policy", "default")
        assert held["sources"]["maxConcurrentSessionsPerUser"] == "project"
        assert [lock["setting"] for lock in held["locks"]] == [CAP]
        assert dev.reads("")["maxConcurrentSessions"] == 2

        shells = [dev.opened(), dev.opened()]
        assert dev.open().ended("Refused")["error"]["code"] == "ProjectGpuCapReached"
        for shell in shells:
            shell.close()
            shell.ended("ShellsClosed")
