"""`devboxgpu doctor`: what it finds, that nothing makes it hang or fall over, and that it names nobody."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from conftest import Terminal
from fake_control_plane import TOKEN
from hypothesis import given, settings
from hypothesis import strategies as st

from devboxgpu.config_values import Value, Values
from devboxgpu.doctor.findings import Finding, Look, Report, Status, failed, look_at_all, ok
from devboxgpu.doctor.here import configuration_of, judged_terminal, proxies
from devboxgpu.doctor.installed import judged
from devboxgpu.doctor.masks import masked
from devboxgpu.doctor.report import lines, paste_block, summary
from devboxgpu.doctor.there import clock_of, health_of, name_of, project_of, version_of
from devboxgpu.install.manifest import Record
from devboxgpu.install.steps import Part
from devboxgpu.transport import Response

IN_ADDRESS = ":".join(["maria", "hunter2hunter2"])
HERE = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


def found_by(terminal: Terminal, *arguments: str, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = terminal.run("doctor", "-o", "json", *arguments, **environment)
    return done.returncode, {one["check"]: one for one in json.loads(done.stdout)}


def statuses(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {check: one["status"] for check, one in found.items()}


def test_where_all_is_well_only_the_session_is_unknown(terminal: Terminal) -> None:
    code, found = found_by(terminal)

    assert code == 0
    assert {check for check, status in statuses(found).items() if status != "ok"} == {"session socket"}
    assert found["session socket"]["do"] == "open a shell, and run this beside it"


def test_beside_an_open_shell_the_way_into_its_session_is_tried(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "sh", "-c", "echo started; cat")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    _, found = found_by(terminal)

    process.communicate(b"", timeout=20)
    assert found["session socket"]["status"] == "ok"
    assert "127.0.0.1 opens it in" in found["session socket"]["said"]


def test_without_any_configuration_it_says_what_is_missing(terminal: Terminal) -> None:
    for name in ("DEVBOXGPU_ENDPOINT", "DEVBOXGPU_PROJECT", "DEVBOXGPU_ACCESS_TOKEN"):
        del terminal.environment[name]

    code, found = found_by(terminal)

    assert code == 1
    assert found["configuration"]["status"] == "failed"
    assert found["configuration"]["do"] == "say what is missing: devboxgpu config set endpoint VALUE"
    assert {statuses(found)[check] for check in ("name", "control plane", "clock", "sign-in", "project")} == {"unknown"}


def test_without_a_network_it_says_what_fails_first(terminal: Terminal) -> None:
    code, found = found_by(terminal, DEVBOXGPU_ENDPOINT="http://127.0.0.1:9/api")

    assert code == 1
    assert statuses(found)["name"] == "ok"
    assert statuses(found)["control plane"] == "failed"
    assert "nothing listens there" in found["control plane"]["do"]
    assert statuses(found)["sign-in"] == "unknown"


def test_a_token_that_is_refused_is_not_called_a_network_fault(terminal: Terminal) -> None:
    _, found = found_by(terminal, DEVBOXGPU_ACCESS_TOKEN="another")

    assert statuses(found)["control plane"] == "ok"
    assert (found["sign-in"]["status"], found["sign-in"]["do"]) == ("failed", "sign in again: devboxgpu login")
    assert statuses(found)["project"] == "unknown"


def test_a_configuration_file_that_is_broken_does_not_end_it(terminal: Terminal) -> None:
    (terminal.cwd / ".devboxgpu.toml").write_text("project = \n")

    code, found = found_by(terminal)

    assert code == 1
    assert statuses(found)["configuration"] == "failed"
    assert statuses(found)["python"] == "ok"


def test_a_clock_that_is_off_and_a_newer_service_are_told(terminal: Terminal) -> None:
    terminal.plane.date = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    terminal.plane.health = {"status": "degraded", "version": "0.2.0", "unavailable": ["entitlement"]}

    code, found = found_by(terminal)

    assert code == 1
    assert "fast" in found["clock"]["said"]
    assert (statuses(found)["control plane"], statuses(found)["version"]) == ("warning", "warning")


def test_the_block_to_paste_holds_no_token_and_names_nobody(terminal: Terminal) -> None:
    done = terminal.run(
        "doctor",
        "--paste",
        HTTPS_PROXY=f"http://{IN_ADDRESS}@proxy.contoso.com:3128",
        LOGNAME="maria",
        USER="maria",
        DEVBOXGPU_ENDPOINT=terminal.environment["DEVBOXGPU_ENDPOINT"].replace("//", f"//{IN_ADDRESS}@"),
    )

    text = done.stdout.decode()
    assert text.startswith("```\ndevboxgpu doctor, ")
    assert text.endswith("\n```\n")
    assert [word for word in ("maria", "hunter2", TOKEN, socket.gethostname()) if word in text] == []
    assert "HTTPS_PROXY = http://***@proxy.contoso.com:3128" in text


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_it_reads_well_on_every_width(terminal: Terminal, columns: int) -> None:
    screen = terminal.spawn("doctor", NO_COLOR="1")
    screen.setwinsize(30, columns)

    shown = screen.read().decode().replace("\r\n", "\n")

    first = shown.partition("To ask for help")[0]
    assert max(map(len, first.splitlines())) <= columns
    assert "\x1b" not in shown
    assert "nothing that was looked at stands between" in " ".join(first.split())


def test_a_look_that_hangs_or_breaks_hides_no_other() -> None:
    never = threading.Event()

    def hang(report: Report) -> None:
        report(ok("begun", "first"))
        never.wait(30)

    def break_down(report: Report) -> None:
        raise ValueError("odd")

    found = look_at_all(
        [
            Look(("begun", "hung"), hang),
            Look(("broken",), break_down),
            Look(("fine",), lambda report: report(ok("fine", "yes"))),
        ],
        limit_s=0.2,
    )
    never.set()

    assert [(one.check, str(one.status)) for one in found] == [
        ("begun", "ok"),
        ("hung", "unknown"),
        ("broken", "unknown"),
        ("fine", "ok"),
    ]
    assert found[2].said == "the look itself failed: ValueError: odd"


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_control_plane_that_never_answers_is_given_up_on(terminal: Terminal, silent: int) -> None:
    _, found = found_by(terminal, "--timeout", "2", DEVBOXGPU_ENDPOINT=f"http://127.0.0.1:{silent}/api")

    assert statuses(found)["control plane"] in {"failed", "unknown"}
    assert statuses(found)["terminal"] != "unknown"


def answered(at: datetime | None) -> Response:
    return Response(status=200, headers={"date": format_datetime(at, usegmt=True)} if at else {}, body=b"")


@pytest.mark.parametrize(
    ("off_s", "status", "said"),
    [
        (0, Status.OK, "within a second or two"),
        (30, Status.OK, "30 s off"),
        (-120, Status.WARNING, "this machine's clock is 2 min 0 s slow"),
        (400, Status.FAILED, "this machine's clock is 6 min 40 s fast"),
    ],
)
def test_clocks_are_compared(off_s: float, status: Status, said: str) -> None:
    found = clock_of(answered(HERE), HERE.timestamp() + 0.5 + off_s)

    assert (found.status, found.said) == (status, said)


def test_what_is_not_told_is_unknown() -> None:
    assert clock_of(answered(None), 0).status is Status.UNKNOWN
    assert version_of(None).status is Status.UNKNOWN


def test_an_address_that_is_no_control_plane_is_said_to_be_none() -> None:
    assert health_of(200, {"hello": 1}, 0.1).status is Status.FAILED
    assert health_of(404, None, 0.1).said == "the endpoint answers 404, and not as a control plane does"
    assert name_of("https://no-such-host.invalid/api").status is Status.FAILED


@pytest.mark.parametrize(
    ("projects", "configured", "status", "said"),
    [
        ([], "demo", Status.FAILED, "demo is not one of yours: none"),
        ([{"id": "other"}], "demo", Status.FAILED, "demo is not one of yours: other"),
        ([{"id": "other"}], "", Status.FAILED, "none is configured; yours: other"),
        ([{"id": "Demo", "enabled": False}], "demo", Status.FAILED, "GPU sessions are not enabled for demo"),
        ([{"id": "demo", "enabled": True}], "demo", Status.OK, "demo: ? of ? sessions in use, ? of ? of them yours"),
    ],
)
def test_entitlement_is_told_in_words(
    projects: list[dict[str, object]], configured: str, status: Status, said: str
) -> None:
    found = project_of([*projects], configured)

    assert (found.status, found.said) == (status, said)


def test_values_are_told_with_their_origin_and_without_credentials() -> None:
    by_key = {"endpoint": Value("https://me:pw@gpu.contoso.com/api", "/etc/devboxgpu/config.toml")}
    values = Values(by_key=by_key, local_api=None, local_identity=None)

    assert configuration_of(values, None, "demo").said == (
        "project = demo (a flag); endpoint = https://***@gpu.contoso.com/api (/etc/devboxgpu/config.toml)"
    )


def test_a_proxy_that_cannot_be_used_is_a_warning() -> None:
    assert proxies({"https_proxy": "socks5://proxy:1080"}).status is Status.WARNING
    assert proxies({"https_proxy": "http://proxy:3128"}).status is Status.OK
    assert proxies({"NO_PROXY": "localhost"}).status is Status.OK


def test_what_was_installed_and_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    records = [
        Record(part=Part.COMPLETION, kind="file", path=tmp_path / "there"),
        Record(part=Part.TERMINAL, kind="file", path=tmp_path / "gone"),
    ]

    found = judged(records, records[1:])

    assert judged([], []).said.startswith("no profiles and no completion")
    assert judged(records[:1], []).said == "Shell completion"
    assert (found.status, found.said) == (
        Status.WARNING,
        f"Shell completion, Windows Terminal; gone: {tmp_path / 'gone'}",
    )


def test_an_installation_is_found(terminal: Terminal) -> None:
    environment = {"SHELL": "/bin/bash", "XDG_DATA_HOME": str(terminal.cwd / "data")}
    (terminal.cwd / ".bashrc").touch()
    assert terminal.run("install", "--only", "completion", "--yes", **environment).returncode == 0
    assert found_by(terminal, **environment)[1]["installed"]["said"] == "Shell completion"

    for file in (terminal.cwd / "data").rglob("completion/*"):
        file.unlink()

    assert found_by(terminal, **environment)[1]["installed"]["status"] == "warning"


def test_a_terminal_that_shows_ascii_alone_is_a_warning() -> None:
    assert judged_terminal("", is_utf8=False, columns=80).status is Status.WARNING
    assert judged_terminal("", is_utf8=True, columns=30).status is Status.WARNING


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJSUzI1NiIsInR5cCI6.eyJvaWQiOiIxMjM0NTY3ODkw.c2lnbmF0dXJlc2lnbmF0dXJl",
        "Authorization: Bearer abcdefghijklmnop",
        "C:\\Users\\maria\\AppData",
        "/home/maria/.config/devboxgpu/config.toml",
        "accepted, as maria@contoso.com",
        f"https://{IN_ADDRESS}@proxy",
        "MARIA-PC is maria's",
    ],
)
def test_secrets_and_names_are_masked(text: str) -> None:
    shown = masked(text, ["maria", "maria-pc"])

    assert "***" in shown
    assert not any(word in shown.lower() for word in ("maria", "eyj", "abcdefghijklmnop", "hunter2"))


@settings(max_examples=40)
@given(st.text(max_size=60), st.integers(20, 140), st.booleans())
def test_whatever_is_found_stays_within_its_lines(said: str, width: int, utf8: bool) -> None:
    findings = [failed("control plane", said, said)]

    shown = list(lines(findings, width=width, colour=False, utf8=utf8))

    assert all(len(line) <= width and line.isprintable() for line in shown)
    assert paste_block(findings, "now").count("`") == 6
    assert summary(findings) == "1 thing stands between you and a GPU"


def test_nothing_found_wanting_is_said_with_care() -> None:
    assert summary([Finding(check="a", status=Status.UNKNOWN, said="")]) == (
        "nothing that was looked at stands between you and a GPU"
    )
