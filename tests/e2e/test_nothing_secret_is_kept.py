"""The way into a container and every other secret: in one answer, and in nothing that anybody keeps or can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.exec_channel import in_container
from tests.e2e.kept import found_in, found_in_tables, secrets_of
from tests.e2e.waiting import until

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_", "LINES", "COLUMNS"}


def documented() -> set[str]:
    """Return the variables that docs/security.md says a container has."""
    section = SECURITY.read_text(encoding="utf-8").partition("## The container's environment")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([A-Z_]+)`", section, flags=re.MULTILINE))


def environment_in(shell) -> dict[str, str]:
    with in_container(shell, "env") as terminal:
        terminal.read_to_the_end()
    lines = terminal.printed.decode().replace("\r", "").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Za-z_]\w*=", line))


def test_a_containers_environment_is_the_one_that_is_documented_with_no_secret_and_nobody_elses(stack, somebody):
    one, other = somebody().opened(), somebody().opened()

    seen, others = environment_in(one), environment_in(other)

    assert seen["CONTAINER_APP_NAME"] == one.app
    assert set(seen) - OF_THE_SHELL == documented()
    values = "\n".join(seen.values())
    assert not any(secret in values for secret in secrets_of(stack.state))
    assert not re.search(
        r"eyJ[\w-]{8,}\.|AccountKey=|DEVBOXGPU_(?!REPLICA)|IDENTITY_|http://", values + "\n".join(seen)
    )
    private = [value for name, value in others.items() if name.startswith("CONTAINER_APP_") or name == "HOME"]
    assert private
    assert not any(value in values for value in private)
    one.close()
    other.close()


def test_after_a_whole_life_no_token_is_in_any_log_table_history_or_audit(stack, dev):
    shell = dev.opened()
    ways_in = [shell.connect().json["token"] for _ in range(2)]
    with in_container(shell, "sh -c 'echo in-the-container'") as terminal:
        terminal.read_to_the_end()
    assert b"in-the-container" in terminal.printed
    read = [
        shell.view(),
        shell.explained(),
        shell.operation(),
        shell.renew().text,
        dev.reads("usage"),
        stack.person("carol").reads("activity"),
    ]
    shell.close()
    shell.ended("ShellsClosed")
    until(lambda: not stack.rows("o-0", "o-:"), "the outbox to be drained")

    secrets = [*ways_in, *secrets_of(stack.state), dev.token]
    assert not any(secret in str(read) for secret in secrets)
    assert found_in_tables(stack.endpoints["tables"], secrets) == []
    assert found_in_tables(stack.endpoints["tables"], [shell.session]), "the tables were looked at"
    assert found_in(stack.state, secrets) == []
    assert shell.session in (stack.state / "logs" / "host.log").read_text(), "the logs were looked at"


@pytest.mark.parametrize("kept", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLWhlcmU", "a-secret-of-ours"])
def test_the_search_finds_what_is_kept(tmp_path, kept):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "host.log").write_bytes(b"x" * ((1 << 22) - 9) + kept.encode() + b" and more")

    (found,) = found_in(tmp_path, ["a-secret-of-ours"])

    assert found.startswith("logs/host.log: ")
    assert kept not in found
