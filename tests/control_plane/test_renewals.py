"""A renewal costs one write where this process wrote the row last, and sees whatever others have written since (I8)."""

from __future__ import annotations

from tests.control_plane.plane import Plane


async def renewed(one: Plane) -> tuple[int, dict]:
    said = {"activeSecondsAgo": 0, "gpuUtilizationPercent": 55, "busyProcesses": 2}
    status, answer, _ = await one.call("alice", "RenewLease", said, shell="shell-one")
    return status, answer


def test_from_the_second_renewal_on_nothing_is_read(played_exactly, monkeypatch):
    async def story(one: Plane):
        await one.opened()
        assert (await renewed(one))[0] == 200
        reads: list[str] = []
        read = one.tables.read
        monkeypatch.setattr(one.tables, "read", lambda *place: reads.append(place[2]) or read(*place))
        before = one.tables.commits

        status, answer = await renewed(one)

        assert (status, one.tables.commits - before) == (200, 1)
        assert [key for key in reads if key.startswith("h-")] == []
        assert answer["leaseExpiresAt"] == f"{one.shell_row().lease_expires_at:%Y-%m-%dT%H:%M:%SZ}"

    played_exactly(story)


def test_what_another_process_has_written_meanwhile_is_seen(played_exactly):
    async def story(one: Plane):
        view = await one.opened()
        await renewed(one)
        this = one.world
        one.start_process()  # another one renews, as when two serve one app
        await one.run_for(30)
        await renewed(one)
        one.world = this
        assert (await renewed(one))[0] == 200
        one.start_process()
        await one.call("alice", "StopSession", session=view["session"])
        await one.run_for(60)
        one.world = this
        status, refused = await renewed(one)
        assert (status, refused["error"]["code"]) == (409, "ShellEnded")
        assert one.shell_row().stop_reason == "StoppedByUser"

    played_exactly(story)


def test_a_shell_whose_row_is_gone_is_not_found(played_exactly):
    async def story(one: Plane):
        view = await one.opened()
        await renewed(one)
        await one.call("alice", "StopSession", session=view["session"])
        await one.run_for(60)
        one.keeps_house_every_s = 1_000_000.0
        await one.run_for(one.world.settings.retention.total_seconds())
        await one.sweep()
        assert not [key for _, _, key in one.tables._rows if key.startswith("h-")], "retired"
        assert (await renewed(one))[0] == 404

    played_exactly(story)
