"""What the agent tells of the container, and what it does when that is to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest
from agent_client import Client, Place, Talk

from devboxgpu.agent import main_process

Connect = Callable[..., Client]


def put_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def with_nvidia_smi(place: Place, script: str) -> None:
    put_program(place.directory.parent / "bin" / "nvidia-smi", script)
    place.environment["PATH"] = f"{place.directory.parent / 'bin'}:{place.environment['PATH']}"


def with_hook(place: Place, script: str) -> None:
    put_program(place.home / ".devboxgpu" / "on-stop", f"#!/bin/sh\n{script}\n")


def until_gone(pid: int) -> None:
    gives_up_at = time.monotonic() + 20
    while Path(f"/proc/{pid}/exe").exists():
        assert time.monotonic() < gives_up_at, f"process {pid} goes on"
        time.sleep(0.01)


def is_gone(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


@pytest.mark.parametrize(
    ("script", "percent"),
    [
        ("#!/bin/sh\nprintf '7\\n93\\n[N/A]\\n'", 93),
        ("#!/bin/sh\necho '[N/A]'", None),
        ("#!/bin/sh\necho 50; exit 9", None),
        ("not a program \0", None),
    ],
)
def test_gpu_use_is_the_highest_and_unknown_where_it_cannot_be_had(
    connect: Connect, place: Place, script: str, percent: int | None
) -> None:
    with_nvidia_smi(place, script)

    [facts] = connect().ask({"what": "status"}).messages

    assert facts["gpu_percent"] == percent


def test_an_nvidia_smi_that_hangs_holds_nothing_up(connect: Connect, place: Place) -> None:
    with_nvidia_smi(place, "#!/bin/sh\ntrap '' TERM\nsleep 600")
    client = connect()
    status = client.open({"what": "status"})
    client.for_a_while(1.5)
    assert not status.messages

    assert bytes(client.run("echo", "still here").out) == b"still here\n"
    client.until(lambda: status.result is not None)

    assert status.said("gpu_percent") == [None]


def test_busy_processes_are_named_and_quiet_ones_are_not(connect: Connect) -> None:
    client = connect()
    client.start("sh", "-c", "exec sleep 60", program="quiet")
    client.start(sys.executable, "-c", "while True: pass", program="busy")
    status = client.open({"what": "status", "every_s": 0.5})

    client.until(lambda: any(any("python" in name for name in names) for names in status.said("busy_names")))

    facts = status.messages[-1]
    assert facts["busy"] >= 1
    assert "sleep" not in facts["busy_names"]
    assert {program["program"] for program in facts["programs"]} == {"quiet", "busy"}


def test_what_others_do_on_the_same_machine_is_not_the_containers(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    """In the local cloud a replica sees the whole machine's processes, and its main one is not the first of them."""
    write_main_pid(place, sleeper.pid)
    place.environment["CONTAINER_APP_REPLICA_NAME"] = "replica-of-a-test"
    outside = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        client = connect()
        client.start(sys.executable, "-c", "while True: pass", program="busy")
        status = client.open({"what": "status", "every_s": 0.5})
        client.until(lambda: len(status.messages) >= 3 and any(status.said("busy")))
    finally:
        outside.kill()
        outside.wait()

    assert not any("sh" in names for names in status.said("busy_names"))


def test_what_a_program_leaves_behind_is_reaped(connect: Connect) -> None:
    client = connect()
    talk = client.run("sh", "-c", "(sleep 0.2 & echo $! >&2) ; exit 0")
    orphan = Path(f"/proc/{int(talk.err)}")

    client.until(lambda: not orphan.exists())


def test_typing_and_output_count_as_the_terminals_and_a_warning_does_not(connect: Connect) -> None:
    client = connect()
    talk = client.start("bash", "--norc", terminal=True)
    client.until(lambda: b"$ " in talk.out)
    status = client.open({"what": "status", "every_s": 0.2})
    client.until(lambda: any(seconds >= 1 for seconds in status.said("terminal_s")))

    client.ask({"what": "warn", "text": "soon"})
    del status.messages[:]
    client.until(lambda: len(status.messages) >= 4)
    assert min(status.said("terminal_s")) >= 1

    client.for_a_while(1)
    talk.send(b"x")
    client.until(lambda: status.said("terminal_s")[-1] < 1)


def screen_of(talk: Talk) -> list[str]:
    screen = pyte.Screen(80, 24)
    pyte.ByteStream(screen).feed(bytes(talk.out))
    return [line.rstrip() for line in screen.display]


def test_a_warning_stands_above_the_prompt_with_what_was_typed(connect: Connect) -> None:
    client = connect()
    talk = client.start("bash", "--norc", terminal=True, env={"PS1": "here> "})
    client.until(lambda: b"here> " in talk.out)
    talk.send(b"echo half")
    client.until(lambda: b"half" in talk.out)

    client.ask({"what": "warn", "text": "this stops\x1b[2J in 5 minutes"})
    client.until(lambda: "here> echo half" in screen_of(talk)[screen_of(talk).index("this stops [2J in 5 minutes") :])
    talk.send(b"-done\n")
    client.until(lambda: "half-done" in screen_of(talk))


def test_a_full_screen_program_hears_a_bell_and_the_line_comes_after_it(connect: Connect) -> None:
    client = connect()
    script = r"printf '\033[?1049hFULL'; read line; printf '\033[?10'; sleep 0.2; printf '49l'; read line"
    talk = client.start("sh", "-c", script, terminal=True)
    client.until(lambda: b"FULL" in talk.out)

    client.ask({"what": "warn", "text": "soon", "program": "p"})
    client.until(lambda: b"\a" in talk.out)
    assert b"soon" not in talk.out
    talk.send(b"\n")
    client.until(lambda: b"soon" in talk.out)

    assert talk.out.index(b"\x1b[?1049l") < talk.out.index(b"soon")


def test_the_hook_runs_and_its_output_is_shown_and_kept(connect: Connect, place: Place) -> None:
    with_hook(place, "echo saving; echo badly >&2; exit 6")
    (place.directory / "hook-ran").touch()
    os.utime(place.directory / "hook-ran", (0, 0))

    talk = connect().ask({"what": "hook", "limit_s": 20})

    assert talk.result is not None
    assert (talk.result["ran"], talk.result["exit"]) == (True, 6)
    assert sorted(bytes(talk.out).splitlines()) == [b"badly", b"saving"]
    assert (place.home / ".devboxgpu" / "on-stop.log").read_bytes() == bytes(talk.out)
    assert (place.directory / "hook-ran").stat().st_mtime >= (place.home / ".devboxgpu" / "on-stop").stat().st_mtime


def test_the_hooks_log_keeps_the_newest_mib(connect: Connect, place: Place) -> None:
    with_hook(place, "yes 0123456789 | head -c 900000; echo end of $0")
    client = connect()
    for _ in range(3):
        client.ask({"what": "hook"})

    log = (place.home / ".devboxgpu" / "on-stop.log").read_bytes()
    assert len(log) <= 1024 * 1024
    assert len(log) >= 512 * 1024
    assert log.rstrip().endswith(b"on-stop")


def test_a_hook_that_hangs_is_ended_with_all_that_it_started(connect: Connect, place: Place) -> None:
    with_hook(place, "trap '' TERM; sleep 600 & echo $!; wait; sleep 600")
    client = connect()

    talk = client.ask({"what": "hook", "limit_s": 0.3})

    assert talk.result is not None
    assert talk.result["exit"] == 128 + 9
    until_gone(int(talk.out))


def test_no_hook_is_no_mistake(connect: Connect) -> None:
    assert connect().ask({"what": "hook"}).result == {"ran": False, "exit": None, "seconds": 0.0}


def test_what_the_main_process_runs_is_shown_and_not_run_again(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    with_hook(place, "echo again")
    log = place.home / ".devboxgpu" / "on-stop.log"
    log.write_bytes(b"of another time\n")
    client = connect()
    claim = place.directory / "hook-runs"
    claim.symlink_to(f"{sleeper.pid} {started(sleeper.pid)}")
    write_main_pid(place, sleeper.pid)

    talk = client.open({"what": "hook"})
    with log.open("ab", buffering=0) as main:
        main.write(b"saving\n")
        client.until(lambda: bytes(talk.out) == b"saving\n")
        assert talk.result is None
        main.write(b"half of it\n")
    (place.directory / "hook-ran").write_text(f"{sleeper.pid} {started(sleeper.pid)} 3\n")
    claim.unlink()
    client.until(lambda: talk.result is not None)

    assert (talk.result["ran"], talk.result["exit"]) == (True, 3)
    assert bytes(talk.out) == b"saving\nhalf of it\n"
    late = client.ask({"what": "hook"})  # nothing is left to save
    assert (late.result["ran"], late.result["exit"], bytes(late.out)) == (True, 3, bytes(talk.out))


def test_what_the_main_process_runs_is_shown_on_terminals(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    with_hook(place, "echo again")
    client = connect()
    talk = client.start("sh", "-c", "echo ready; sleep 600", terminal=True)
    client.until(lambda: b"ready" in talk.out)

    (place.directory / "hook-runs").symlink_to(f"{sleeper.pid} {started(sleeper.pid)}")
    (place.home / ".devboxgpu" / "on-stop.log").write_bytes(b"saving\nhalf \x1b[31mof it\nmore")

    client.until(lambda: b"half" in talk.out)
    assert b"\r\non-stop: saving\r\n" in talk.out
    assert b"\r\non-stop: half  [31mof it\r\n" in talk.out
    assert b"more" not in talk.out


def test_a_process_that_never_ends_its_run_is_not_waited_for_for_ever(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    with_hook(place, "echo again")
    (place.directory / "hook-runs").symlink_to(f"{sleeper.pid} {started(sleeper.pid)}")

    result = connect().ask({"what": "hook", "limit_s": 0.1}).result

    assert result is not None
    assert (result["ran"], result["exit"]) == (True, None)


@pytest.mark.parametrize("ticks", ["0", "", "soon"])
def test_what_a_dead_process_ran_runs_again_and_is_free_afterwards(connect: Connect, place: Place, ticks: str) -> None:
    with_hook(place, f"readlink {place.directory}/hook-runs")
    client = connect()
    claim = place.directory / "hook-runs"
    claim.symlink_to(f"{os.getpid()} {ticks}")

    talk = client.ask({"what": "hook"})

    assert talk.result is not None
    assert talk.result["exit"] == 0
    agent = client.answer["pid"]
    assert bytes(talk.out).decode().strip() == f"{agent} {started(agent)}"
    assert not claim.is_symlink()


def test_sigterm_runs_the_hook_and_then_ends_the_programs(connect: Connect, place: Place) -> None:
    with_hook(place, "touch ~/saved")
    client = connect()
    talk = client.start("sh", "-c", "trap '' HUP; echo $$; sleep 600; sleep 600")
    client.until(lambda: b"\n" in talk.out)

    os.kill(client.answer["pid"], signal.SIGTERM)
    client.front.wait(20)

    assert (place.home / "saved").exists()
    until_gone(int(talk.out))
    assert not list(place.directory.glob("*.sock"))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def write_main_pid(place: Place, pid: int, *, started_off_by: int = 0) -> None:
    (place.directory / "main.pid").write_text(f"{pid} {started(pid) + started_off_by}\n")


def test_silence_runs_the_hook_and_ends_the_main_process(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    with_hook(place, "touch ~/saved")
    write_main_pid(place, sleeper.pid)
    client = connect(silence_s=1.5)
    for _ in range(12):  # who is heard keeps it
        client.link.ping()
        client.for_a_while(0.2)
    assert not is_gone(sleeper)

    assert sleeper.wait(20) == -signal.SIGTERM
    assert (place.home / "saved").exists()


def test_who_touches_the_file_is_heard_too(connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]) -> None:
    write_main_pid(place, sleeper.pid)
    connect(silence_s=1.5)
    for _ in range(24):
        (place.directory / "heard").touch()
        time.sleep(0.1)
    assert not is_gone(sleeper)

    assert sleeper.wait(20) == -signal.SIGTERM


def test_a_process_that_only_has_the_main_ones_number_is_left_alone(
    connect: Connect, place: Place, sleeper: subprocess.Popen[bytes]
) -> None:
    write_main_pid(place, sleeper.pid, started_off_by=1)
    connect(silence_s=0.2)

    client = connect()
    client.until(lambda: "not certain" in place.log())
    assert not is_gone(sleeper)
    assert bytes(client.run("echo", "well").out) == b"well\n"


def test_without_a_file_only_a_first_process_of_this_replica_is_the_main_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(replica: str | None) -> Callable[[int], str | None]:
        return lambda _pid: replica

    monkeypatch.setenv("CONTAINER_APP_REPLICA_NAME", "mine")
    for replica, found in (("mine", 1), ("another", None), ("", None), (None, None)):
        monkeypatch.setattr(main_process, "replica_of", says(replica))
        assert main_process.find(str(tmp_path)) == found

    monkeypatch.setattr(main_process, "replica_of", says(""))
    monkeypatch.delenv("CONTAINER_APP_REPLICA_NAME")
    assert main_process.find(str(tmp_path)) is None


@pytest.mark.parametrize("text", ["", "1", "x y", "-1 0", f"{2**40} 1", "1 2 3"])
def test_a_main_pid_that_makes_no_sense_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "main.pid").write_text(text)

    assert main_process.find(str(tmp_path)) is None
