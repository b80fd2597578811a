from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from aca_harness import LocalCloud, body, is_running, processes_with, wait_until

from localcloud.container_apps.containers import gpu_of
from localcloud.container_apps.simulated_gpu import install_nvidia_smi


def container_of(cloud: LocalCloud, name: str) -> Any:
    replicas = cloud.replicas(name)
    return replicas[0].properties.containers[0] if replicas else None


def test_each_stage_is_seen_as_the_service_shows_it(cloud: LocalCloud) -> None:
    cloud.capacity(assignSeconds=1000, pullSeconds=1000, startSeconds=1000)
    cloud.put("dbg-one")

    wait_until(lambda: cloud.app("dbg-one").properties.provisioning_state == "Succeeded")
    assert cloud.replicas("dbg-one") == []
    revision = cloud.app("dbg-one").properties.latest_revision_name
    shown = cloud.sdk.container_apps_revisions.get_revision("devboxgpu-sessions", "dbg-one", revision).properties
    assert (shown.health_state, shown.replicas, shown.running_state) == ("Healthy", 1, "Processing")

    cloud.capacity(assignSeconds=0)
    pulling = wait_until(lambda: cloud.replicas("dbg-one"))[0].properties
    assert (pulling.running_state, pulling.containers[0].running_state) == ("NotRunning", "Waiting")
    assert pulling.containers[0].running_state_details == "PullingImage"
    assert not pulling.containers[0].ready

    cloud.capacity(pullSeconds=0)
    wait_until(
        lambda: cloud.replicas("dbg-one")[0].properties.containers[0].running_state_details == "ContainerCreating"
    )
    assert cloud.truth_of("dbg-one")["replicaStartedAt"] is None

    cloud.capacity(startSeconds=0)
    running = cloud.running_replica("dbg-one").properties.containers[0]
    assert (running.running_state, running.ready, running.started, running.restart_count) == ("Running", True, True, 0)
    assert cloud.app("dbg-one").properties.latest_ready_revision_name == revision


def test_a_shortage_is_silent_until_a_gpu_comes_free(cloud: LocalCloud) -> None:
    cloud.capacity(gpus={"westus3": {"T4": 1}})
    cloud.run_app("dbg-one")

    cloud.put("dbg-two")
    wait_until(lambda: cloud.app("dbg-two").properties.provisioning_state == "Succeeded")
    assert cloud.replicas("dbg-two") == []
    cloud.run_app("dbg-elsewhere", body(region="swedencentral"))
    cloud.run_app("dbg-plain", body(profile="Consumption"))

    cloud.gone("dbg-one")
    assert cloud.running_replica("dbg-two").properties.running_state == "Running"


def test_stopping_an_app_frees_its_gpu_for_the_next(cloud: LocalCloud) -> None:
    cloud.capacity(gpus={"westus3": {"T4": 1}})
    cloud.run_app("dbg-one")
    cloud.put("dbg-two")
    wait_until(lambda: cloud.app("dbg-two").properties.provisioning_state == "Succeeded")

    cloud.sdk.container_apps.begin_stop("devboxgpu-sessions", "dbg-one", polling=False)

    cloud.running_replica("dbg-two")


def test_the_quota_of_an_environment_holds_back_too(cloud: LocalCloud) -> None:
    cloud.capacity(quota={"gpu-westus3": {"A100": 0}})
    cloud.put("dbg-one", body(profile="gpu-a100"))
    wait_until(lambda: cloud.app("dbg-one").properties.provisioning_state == "Succeeded")
    assert cloud.replicas("dbg-one") == []

    cloud.capacity(quota={"gpu-westus3": {"A100": 1}})

    cloud.running_replica("dbg-one")
    assert "NVIDIA A100" in cloud.exec_in("dbg-one", "nvidia-smi -L").output


def test_a_container_that_ends_is_restarted_and_counted(cloud: LocalCloud) -> None:
    cloud.capacity(restartSeconds=0)
    first = cloud.run_app("dbg-one", body(command=["sh", "-c", "sleep 0.05; exit 3"]))

    container = wait_until(
        lambda: next((c for c in [container_of(cloud, "dbg-one")] if c is not None and c.restart_count >= 2), None)
    )
    assert container is not None
    assert cloud.replicas("dbg-one")[0].name == first.name, "a restarted container stays in its replica"


def test_a_command_that_does_not_exist_backs_off_and_says_why(cloud: LocalCloud) -> None:
    cloud.capacity(restartSeconds=1000)
    cloud.put("dbg-one", body(command=["/no/such/program"]))

    def details() -> str:
        found = cloud.replicas("dbg-one")
        return str(found[0].properties.containers[0].running_state_details) if found else ""

    wait_until(lambda: "CrashLoopBackOff" in details() and "/no/such/program" in details())
    assert cloud.truth_of("dbg-one")["alive"] is False
    cloud.gone("dbg-one")


@pytest.mark.parametrize(
    "escape",
    [
        "setsid sleep {word} &",
        "(setsid setsid sleep {word} &) &",
        "env -i setsid sh -c 'trap : TERM HUP; sleep {word} & wait; wait' &",
        "(env -i setsid sleep {word} &) &",
        "(env -i setsid sh -c 'trap : TERM HUP; while :; do sleep {word}; done' &) &",
        "nohup sh -c 'while :; do sleep {word}; done' >/dev/null 2>&1 &",
    ],
)
def test_no_process_of_a_deleted_app_is_left_however_it_was_started(cloud: LocalCloud, escape: str) -> None:
    word = f"98765{abs(hash((escape, str(cloud.state)))) % 10**8}"
    command = f"{escape.format(word=word)} exec sleep infinity"
    cloud.run_app("dbg-one", body(command=["sh", "-c", command]))

    def known_to_the_truth() -> list[int]:
        started = processes_with(f"sleep\0{word}")
        return started if set(started) <= set(cloud.truth_of("dbg-one")["pids"]) else []

    wait_until(known_to_the_truth, "the truth to know what escaped")

    cloud.gone("dbg-one")

    assert processes_with(word) == []
    assert cloud.truth_of("dbg-one")["pids"] == []
    assert list((cloud.state / "container_apps" / "r").iterdir()) == []


def test_the_main_process_alone_is_told_of_the_end_and_has_its_grace(cloud: LocalCloud) -> None:
    """As in Azure: what a container's first process leaves behind dies with it, without a word."""
    told = cloud.state / "told"
    beside = f"trap 'echo beside >>{told}' TERM HUP; echo >{told}.up; while :; do sleep 0.05; done"
    lets_go = f"echo main >>{told}; while [ ! -e {told}.go ]; do sleep 0.02; done; echo done >>{told}; exit 0"
    script = f"trap '{lets_go}' TERM; (setsid sh -c \"{beside}\" &) ; while :; do sleep 0.05; done"
    wanted = body(command=["sh", "-c", script])
    wanted["properties"]["template"]["terminationGracePeriodSeconds"] = 300
    cloud.run_app("dbg-one", wanted)
    wait_until(Path(f"{told}.up").exists)
    cloud.delete("dbg-one")
    wait_until(told.exists)
    assert cloud.truth_of("dbg-one")["alive"] is True
    Path(f"{told}.go").touch()

    wait_until(lambda: not cloud.exists("dbg-one"))

    assert told.read_text().split() == ["main", "done"]
    assert cloud.truth_of("dbg-one")["pids"] == []


def test_what_exec_leaves_behind_ends_with_the_app(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    word = f"97531{abs(hash(str(cloud.state))) % 10**8}"
    cloud.exec_in("dbg-one", f"sh -c 'trap \"\" HUP; (setsid sleep {word} &)'")
    pids = wait_until(lambda: processes_with(word))

    cloud.gone("dbg-one")

    assert not any(map(is_running, pids))


def test_the_truth_counts_gpu_seconds_only_for_gpus_and_survives_deletion(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-gpu")
    cloud.run_app("dbg-cpu", body(profile="Consumption"))
    wait_until(lambda: cloud.truth_of("dbg-gpu")["gpuSeconds"] > 0)
    cloud.gone("dbg-gpu")

    gpu, again, cpu = cloud.truth_of("dbg-gpu"), cloud.truth_of("dbg-gpu"), cloud.truth_of("dbg-cpu")

    assert gpu["gpuSeconds"] == again["gpuSeconds"] > 0
    assert cpu["gpuSeconds"] == 0
    assert gpu["createdAt"] <= gpu["replicaStartedAt"] <= gpu["replicaEndedAt"] <= gpu["deletedAt"]
    assert [row["name"] for row in cloud.truth(alive="1")] == ["dbg-cpu"]


def test_forgetting_the_truth_keeps_what_still_exists(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-dead")
    cloud.gone("dbg-dead")
    cloud.run_app("dbg-living")
    cloud.faults(no_gpu=True)
    cloud.put("dbg-waiting")

    cloud.rest("DELETE", "/_truth")

    assert [row["name"] for row in cloud.truth()] == ["dbg-living", "dbg-waiting"]


def test_two_containers_see_their_own_directories_and_gpus(cloud: LocalCloud) -> None:
    for name in ("dbg-one", "dbg-two"):
        cloud.run_app(name)

    homes = {cloud.exec_in(name, "sh -c 'cd; pwd'").output for name in ("dbg-one", "dbg-two")}
    uuids = [cloud.exec_in(name, "nvidia-smi -L").output for name in ("dbg-one", "dbg-two", "dbg-one")]

    assert len(homes) == 2
    assert uuids[0] == uuids[2] != uuids[1]


def test_nvidia_smi_is_plainly_a_simulation_and_answers_the_usual_questions(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    table = cloud.exec_in("dbg-one", "nvidia-smi").output
    query = "nvidia-smi --query-gpu=index,name,memory.total,utilization.gpu"
    with_header = cloud.exec_in("dbg-one", f"sh -c '{query} --format=csv 2>/dev/null'").output.splitlines()
    bare = cloud.exec_in("dbg-one", f"sh -c '{query} --format=csv,noheader,nounits 2>/dev/null'").output
    wrong = cloud.exec_in("dbg-one", "nvidia-smi --query-gpu=colour --format=csv")

    assert table.startswith("SIMULATED by the DevBoxGPU local cloud")
    assert "Tesla T4" in table
    assert with_header == [
        "index, name, memory.total [MiB], utilization.gpu [%]",
        "0, Tesla T4, 15360 MiB, 0 %",
    ]
    assert bare == "0, Tesla T4, 15360, 0\r\n"
    assert wrong.exit_code == 2


def test_the_simulated_gpu_can_be_made_busy(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    query = "nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits 2>/dev/null"

    printed = cloud.exec_in(
        "dbg-one", f"sh -c 'echo 87 > ../gpu/utilization; echo 4096 > ../gpu/memory_used; {query}'"
    ).output

    assert printed == "87, 4096\r\n"


def test_a_machine_with_a_gpu_uses_its_own_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "driver" / "nvidia-smi"
    real.parent.mkdir()
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    (tmp_path / "replica" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(real.parent))

    install_nvidia_smi(gpu_of("r", "T4", broken=False), tmp_path / "replica")
    assert (tmp_path / "replica" / "bin" / "nvidia-smi").resolve() == real

    install_nvidia_smi(gpu_of("r", "T4", broken=True), tmp_path / "replica")
    assert "has failed" in (tmp_path / "replica" / "bin" / "nvidia-smi").read_text()
    assert real.read_text() == "#!/bin/sh\n"


def test_replicas_are_found_one_by_one_too(cloud: LocalCloud) -> None:
    replica = cloud.run_app("dbg-one")
    revision = cloud.app("dbg-one").properties.latest_revision_name

    found = cloud.sdk.container_apps_revision_replicas.get_replica(
        "devboxgpu-sessions", "dbg-one", revision, replica.name
    )

    container = found.properties.containers[0]
    assert found.name.startswith(f"{revision}-")
    assert container.exec_endpoint.startswith(cloud.exec.replace("http", "ws"))
    assert container.log_stream_endpoint.split("/subscriptions/")[0] == cloud.exec


def name_of(pid: int) -> str:
    """Return the process's name: the shell's, until it has become what it was told to run."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def test_what_was_started_in_a_container_ends_with_it(cloud: LocalCloud) -> None:
    word = f"96420{abs(hash(str(cloud.state))) % 10**8}"
    cloud.run_app("dbg-one", body(command=["sh", "-c", f"setsid sleep {word} & exec sleep infinity"]))
    wait_until(lambda: len(cloud.truth_of("dbg-one")["pids"]) == 2)
    pids = wait_until(lambda: [pid for pid in processes_with(word) if name_of(pid) == "sleep"])
    first = min(set(cloud.truth_of("dbg-one")["pids"]) - set(pids))

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: not any(map(is_running, pids)))
    wait_until(lambda: cloud.running_replica("dbg-one").properties.containers[0].restart_count == 1)
