"""`devboxgpu usage`, `project usage`, `project activity`: what is asked, and how sums, bars and changes are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from conftest import Terminal

from devboxgpu.chart import Bar, lines

TOTALS = {"seconds": 5400, "estimated": True, "sessions": 2, "unpricedSeconds": 0, "cost": "2.338200"}
DAYS = [
    {"start": "2026-11-03", "seconds": 3600, "estimated": False, "sessions": 1, "cost": "1.558800"},
    {"start": "2026-11-05", "seconds": 1800, "estimated": True, "sessions": 2, "cost": "0.779400"},
]


def asked(terminal: Terminal, ending: str = "/usage") -> dict[str, str]:
    """The query of the one question that was asked."""
    (call,) = terminal.plane.made("GET", ending)
    return {name: values[0] for name, values in call.query.items() if name != "api-version"}


@pytest.fixture
def used(terminal: Terminal) -> Terminal:
    terminal.plane.usage.lines = [dict(line) for line in DAYS]
    terminal.plane.usage.totals = dict(TOTALS)
    return terminal


def test_own_usage_is_a_table_with_its_sums(used: Terminal) -> None:
    done = used.run("usage")

    assert done.stdout.decode().splitlines() == [
        "START       GPU TIME    SESSIONS  EST. COST",
        "2026-11-03  1 h 0 min   1         1.56 USD",
        "2026-11-05  30 min 0 s  2         0.78 USD so far",
        "",
        "2026-11-01 to 2026-11-21 · 2 sessions · 1 h 30 min of GPU time · est. 2.34 USD so far",
    ]
    assert (done.returncode, done.stderr) == (0, b"")
    assert asked(used) == {"user": "me"}


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["--month", "2028-02"], {"from": "2028-02-01", "to": "2028-02-29"}),
        (["--from", "2026-10-01", "--to", "2026-11-05", "--by", "month"], {
            "from": "2026-10-01", "to": "2026-11-05", "interval": "month",
        }),
        (["--by", "total", "--group-by", "gpuType,label:team"], {"interval": "total", "groupBy": "gpuType,label:team"}),
    ],
)  # fmt: skip
def test_days_and_groups_are_asked_for(terminal: Terminal, words: list[str], query: dict[str, str]) -> None:
    assert terminal.ask("usage", *words).returncode == 0

    assert asked(terminal) == {**query, "user": "me"}


def test_a_projects_usage_is_asked_for_with_its_filters(terminal: Terminal) -> None:
    words = ["--user", "me", "--gpu", "T4", "--region", "westus3", "--label", "team=vision"]

    assert terminal.ask("project", "usage", "demo", *words).returncode == 0

    assert asked(terminal) == {"user": "me", "gpuType": "T4", "region": "westus3", "label": "team=vision"}
    assert terminal.ask("project", "usage", "nobodys").returncode == 3


@pytest.mark.parametrize(
    "words",
    [
        ["usage", "--month", "2026-11", "--from", "2026-11-01"],
        ["usage", "--month", "November"],
        ["usage", "--from", "2026-02-30"],
        ["usage", "--by", "hour"],
        ["usage", "-o", "csv", "--query", "value"],
        ["project", "usage", "-o", "csv", "--chart"],
        ["project", "usage", "--reconcile", "--by", "month"],
        ["project", "usage", "--reconcile", "-o", "csv"],
        ["project", "activity", "--since", "lately"],
        ["project", "activity", "--limit", "0"],
        ["project", "activity", "--actor", ""],
        ["project", "usage", "--region", ""],
        ["project", "usage", "--label", " "],
        ["project", "activity", "--expect", "1:a"],
        ["project", "activity", "--verify", "--actor", "me"],
    ],
)
def test_words_that_do_not_go_together_are_refused_before_anything_is_asked(terminal: Terminal, words) -> None:
    done = terminal.ask(*words)

    assert (done.returncode, done.stdout) == (2, b"")
    assert terminal.plane.calls == []


def test_groups_have_columns_and_unknown_prices_are_said(terminal: Terminal) -> None:
    terminal.plane.usage.lines = [
        {"start": "2026-11-01", "user": "a-1", "userName": "alice@demo.example", "gpuType": "T4", "label": "vision",
         "seconds": 60, "estimated": False, "sessions": 1, "unpricedSeconds": 60},
        {"start": "2026-11-01", "user": "b-2", "gpuType": "A100",
         "seconds": 90, "estimated": True, "sessions": 1, "unpricedSeconds": 30, "cost": "0.1", "bundled": True},
    ]  # fmt: skip

    shown = terminal.ask("project", "usage", "--by", "total", "--group-by", "user,gpuType,label:team").stdout.decode()

    rows = [line.split("  ") for line in shown.splitlines()]
    assert [cell.strip() for cell in rows[0] if cell.strip()] == [
        *("WHOLE TIME", "USER", "GPU", "TEAM", "GPU TIME", "SESSIONS", "EST. COST"),
    ]
    assert [cell.strip() for cell in rows[1] if cell.strip()] == [
        *("2026-11-01 to 2026-11-21", "alice@demo.example", "T4", "vision", "1 min 0 s", "1", "1 min 0 s unpriced"),
    ]
    assert shown.splitlines()[2].endswith("0.10 USD so far, at bundled prices, 30 s unpriced")
    assert "none" in shown.splitlines()[2]


def test_programs_get_the_whole_answer_lines_or_a_part(used: Terminal) -> None:
    told = json.loads(used.run("usage", "-o", "json").stdout)

    assert (told["value"], told["totals"]) == (DAYS, TOTALS)
    assert used.run("usage", "--query", "totals.cost", "-o", "tsv").stdout == b"2.338200\n"
    assert used.run("usage", "-o", "tsv").stdout.decode().splitlines() == [
        "2026-11-03\t1 h 0 min\t1\t1.56 USD",
        "2026-11-05\t30 min 0 s\t2\t0.78 USD so far",
    ]


def test_csv_is_handed_on_byte_by_byte(terminal: Terminal) -> None:
    terminal.plane.usage.csv = 'start,label\r\n2026-11-01,"ü, \'=1"\r\n'

    done = terminal.ask("project", "usage", "-o", "csv", "--group-by", "label:team")

    assert done.stdout == terminal.plane.usage.csv.encode()
    assert asked(terminal) == {"groupBy": "label:team", "format": "csv"}


def test_nothing_used_is_said_beside_the_data(terminal: Terminal) -> None:
    done = terminal.ask("usage", "--chart")

    assert (done.stdout, done.stderr) == (b"", b"devboxgpu: nothing was used in this time\n")


# bars


def test_bars_are_drawn_where_they_are_asked_for_with_days_without_use(used: Terminal) -> None:
    shown = used.run("project", "usage", "--from", "2026-11-03", "--to", "2026-11-06", "--chart", COLUMNS="60")

    assert shown.stdout.decode().splitlines()[:5] == [
        f"2026-11-03  {'█' * 38}  1.56 USD",
        "2026-11-04",
        f"2026-11-05  {'█' * 19}{' ' * 19}  0.78 USD",
        "2026-11-06",
        "",
    ]


def test_bars_are_of_plain_signs_where_the_terminal_has_no_others(used: Terminal) -> None:
    shown = used.run("project", "usage", "--chart", "--by", "month", COLUMNS="60", PYTHONIOENCODING="ascii:replace")

    assert shown.stdout.decode().splitlines()[0].startswith("2026-11  ##########")
    assert b"\xe2" not in shown.stdout
    assert "#" in used.run("usage", "--chart", TERM="dumb").stdout.decode()


@pytest.mark.parametrize(("words", "bars"), [([], True), (["--no-chart"], False), (["-o", "tsv"], False)])
def test_bars_are_for_terminals(used: Terminal, words: list[str], bars: bool) -> None:
    screen = used.spawn("project", "usage", *words)

    shown = screen.read().decode()

    assert ("█" in shown) is bars
    assert "█" not in used.run("project", "usage", *words).stdout.decode()


def test_bars_are_by_time_where_a_price_is_not_known(used: Terminal) -> None:
    used.plane.usage.lines[1] |= {"unpricedSeconds": 1800}

    shown = used.run("usage", "--chart", "--by", "total", "--group-by", "session").stdout.decode()

    assert shown.splitlines()[1].endswith("30 min 0 s")


@pytest.mark.parametrize("width", [10, 60, 200])
@pytest.mark.parametrize("blocks", [True, False])
def test_a_chart_keeps_to_its_width_and_to_proportions(width: int, blocks: bool) -> None:
    bars = [Bar(label=f"row {number}", amount=Decimal(number), text=f"{number} USD") for number in (0, 1, 500, 1000)]

    none, least, half, most = (
        line[5:].partition(" USD")[0].strip(" 01568") for line in lines(bars, width=width, blocks=blocks)
    )

    assert none == ""
    assert len(least) == 1, "what is more than nothing can be seen"
    assert 0 < len(half) <= len(most) // 2 + 1
    assert all(len(line) <= max(width, 40) for line in lines(bars, width=width, blocks=blocks))


def test_labels_from_elsewhere_are_cut_and_cannot_steer_the_terminal() -> None:
    (line,) = lines([Bar(label="x\x1b[2J" + "y" * 90, amount=Decimal(1), text="1")], width=80, blocks=False)

    assert "\x1b" not in line
    assert "..." in line
    assert lines([], width=80, blocks=True) == []


# reconciliation


def test_estimates_stand_beside_the_bill(terminal: Terminal) -> None:
    terminal.plane.usage.reconciliation = {
        "from": "2026-11-01", "to": "2026-11-21", "currency": "USD",
        "value": [
            {"session": "s-1", "estimated": "1.558800", "actual": "1.500000", "difference": "-0.058800"},
            {"session": "s-2", "estimated": "1.000000", "missing": "actual"},
            {"session": "s-3", "actual": "7.000000", "missing": "estimated"},
            {"session": "s-4", "estimated": "1.000000", "actual": "0.900000", "actualCurrency": "EUR"},
            {"session": "s-5", "actual": "0.400000"},
        ],
        "totals": {
            "estimated": "1.558800", "actual": "1.500000", "difference": "-0.058800",
            "compared": 1, "missingActual": 1, "missingEstimated": 1,
        },
    }  # fmt: skip

    shown = terminal.ask("project", "usage", "--reconcile", "--month", "2026-11").stdout.decode().splitlines()

    assert shown[0].split() == ["SESSION", "ESTIMATED", "ACTUAL", "DIFFERENCE", "NOTE"]
    assert shown[1].split() == ["s-1", "1.56", "USD", "1.50", "USD", "-0.0588", "USD"]
    assert shown[2].endswith("not billed yet")
    assert shown[3].endswith("billed, and not in our books")
    assert "0.90 EUR" in shown[4]
    assert shown[4].endswith("billed in another currency")
    assert shown[5].endswith("no price was known")
    assert shown[7] == (
        "1 compared: estimated 1.56 USD · actual 1.50 USD · difference -0.0588 USD · "
        "1 not billed yet · 1 not in our books"
    )
    assert asked(terminal, "/reconciliation") == {"from": "2026-11-01", "to": "2026-11-30"}
    told = terminal.ask("project", "usage", "--reconcile", "--query", "totals.difference", "-o", "tsv")
    assert told.stdout == b"-0.058800\n"


def test_where_nothing_can_be_compared_no_sums_are_shown(terminal: Terminal) -> None:
    terminal.plane.usage.reconciliation = {
        "from": "2026-11-01", "to": "2026-11-21", "currency": "USD",
        "value": [{"session": "s-2", "estimated": "1.000000", "missing": "actual"}],
        "totals": {
            "estimated": "0.000000", "actual": "0.000000", "difference": "0.000000",
            "compared": 0, "missingActual": 1, "missingEstimated": 0,
        },
    }  # fmt: skip

    shown = terminal.ask("project", "usage", "--reconcile").stdout.decode().splitlines()

    assert shown[-1] == "nothing can be compared yet · 1 not billed yet · 0 not in our books"


# activity


def entry(number: int, **data: object) -> dict[str, object]:
    return {
        "id": f"demo.o-{number}", "time": "2026-11-21T22:00:00Z", "type": "DevBoxGpu.Session.Ended",
        "actor": "control-plane", "subject": f"sessions/s-{number}", "data": data,
    }  # fmt: skip


def test_activity_is_listed_with_its_facts(terminal: Terminal) -> None:
    data = {"session": "s-1", "endReason": "Idle", "meteredSeconds": 90, "cost": {"amount": "1"}, "note": "a\x1b[2Jb"}
    terminal.plane.usage.activity = [entry(1, **data)]

    shown = terminal.ask("project", "activity").stdout.decode().splitlines()

    assert shown[0].split() == ["TIME", "WHAT", "BY", "ON", "FROM", "FACTS"]
    assert shown[1].split()[:4] == ["2026-11-21T22:00:00Z", "Session.Ended", "control-plane", "sessions/s-1"]
    assert shown[1].endswith("endReason=Idle, meteredSeconds=90, note=a [2Jb")
    assert asked(terminal, "/activity") == {"maxpagesize": "50"}


def test_activity_is_asked_for_with_its_filters(terminal: Terminal) -> None:
    words = ["--since", "2h", "--type", "Session.Ended", "--actor", "me", "--session", "s-1", "--limit", "7"]

    assert terminal.ask("project", "activity", "demo", *words).returncode == 0

    query = asked(terminal, "/activity")
    since = datetime.fromisoformat(query.pop("from"))
    assert abs(datetime.now(UTC) - timedelta(hours=2) - since) < timedelta(minutes=2)
    assert query == {"type": "Session.Ended", "actor": "me", "session": "s-1", "maxpagesize": "7"}


def test_activity_since_a_day_begins_with_that_day(terminal: Terminal) -> None:
    assert terminal.ask("project", "activity", "--since", "2026-11-21").returncode == 0

    assert asked(terminal, "/activity")["from"] == "2026-11-21"


def test_no_more_pages_are_asked_for_than_the_limit_needs(terminal: Terminal) -> None:
    terminal.plane.page_size = 3
    terminal.plane.usage.activity = [entry(number) for number in range(20)]

    done = terminal.ask("project", "activity", "--limit", "5", "-o", "json")

    assert [one["id"] for one in json.loads(done.stdout)] == [f"demo.o-{number}" for number in range(5)]
    assert len(terminal.plane.made("GET", "/activity")) == 2


def test_no_activity_is_said_beside_the_data(terminal: Terminal) -> None:
    done = terminal.ask("project", "activity")

    assert (done.stdout, done.stderr) == (b"", b"devboxgpu: nothing has happened that fits\n")


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("words", [["project", "activity"], ["usage", "--group-by", "session,region", "--no-chart"]])
def test_no_line_is_wider_than_the_terminal(used: Terminal, words: list[str], width: int) -> None:
    facts = {"endReason": "ShellsClosed", "gpuType": "T4", "region": "westus3", "meteredSeconds": 5, "note": "x" * 90}
    used.plane.usage.activity = [entry(number, **facts) for number in range(3)]

    screen = used.spawn(*words, COLUMNS=str(width), NO_COLOR="1").read().decode()
    piped = used.run(*words, COLUMNS=str(width)).stdout.decode().splitlines()

    assert "\x1b" not in screen
    assert max(map(len, screen.splitlines())) <= width
    assert max(map(len, piped)) > 40, "a pipe has whole lines"


def test_a_row_that_is_too_wide_is_a_block_with_what_it_has(terminal: Terminal) -> None:
    terminal.plane.usage.activity = [entry(number, endReason="Idle", note="x" * 90) for number in range(2)]

    shown = terminal.spawn("project", "activity", COLUMNS="60", NO_COLOR="1").read().decode().splitlines()

    assert shown[:4] == [
        "TIME   2026-11-21T22:00:00Z",
        "WHAT   Session.Ended",
        "BY     control-plane",
        "ON     sessions/s-0",
    ]
    assert shown[4].startswith("FACTS  endReason=Idle, note=")
    assert shown[shown.index("") + 1] == shown[0]


# verification


HEAD = {"number": 7, "hash": "ab" * 32, "sealedAt": "2026-11-21T22:00:00Z"}


def test_an_audit_that_is_intact_is_said_so_with_the_seal_to_note(terminal: Terminal) -> None:
    terminal.plane.usage.verification = {
        "from": "2026-11-14", "to": "2026-11-21", "intact": True, "sealed": 41, "waiting": 3, "seals": 9,
        "head": HEAD, "found": 0, "findings": [],
    }  # fmt: skip

    done = terminal.ask("project", "activity", "--verify", "--since", "2026-11-14", "--expect", "7:" + "ab" * 32)

    assert (done.returncode, done.stderr) == (0, b"devboxgpu: nothing was altered, removed or added\n")
    assert done.stdout.decode().splitlines() == [
        "Intact from 2026-11-14 to 2026-11-21: 41 entries sealed, 3 not sealed yet",
        f"Newest seal, to be noted elsewhere and given to --expect: 7:{'ab' * 32}",
    ]
    assert asked(terminal, "/activity/verification") == {"from": "2026-11-14", "expect": "7:" + "ab" * 32}


def test_what_was_tampered_with_is_listed_and_ends_with_1(terminal: Terminal) -> None:
    terminal.plane.usage.verification = {
        "from": "2026-11-14", "to": "2026-11-21", "intact": False, "sealed": 41, "waiting": 0, "seals": 9,
        "head": None, "found": 102, "findings": [
            {"kind": "Altered", "day": "2026-11-20", "entry": "demo.o-1", "detail": "it is not what\x1b[2J was sealed"},
            {"kind": "SealMissing", "day": "2026-11-20", "seal": 4, "detail": "seal 5 comes after seal 3"},
        ],
    }  # fmt: skip

    done = terminal.ask("project", "activity", "--verify")

    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1
    assert lines[0].split() == ["WHAT", "DAY", "ENTRY", "WHY"]
    assert lines[1].split()[:3] == ["Altered", "2026-11-20", "demo.o-1"]
    assert lines[2].split()[:4] == ["SealMissing", "2026-11-20", "seal", "4"]
    assert lines[3].startswith("NOT intact from 2026-11-14")
    assert lines[3].endswith("; 2 of 102 findings are shown")
    assert b"\x1b" not in done.stdout
    assert terminal.ask("project", "activity", "--verify", "-o", "json").returncode == 1


def test_the_platforms_own_activity_is_asked_for_without_a_project(terminal: Terminal) -> None:
    terminal.plane.usage.activity = [entry(1)]
    terminal.plane.usage.verification = {"intact": True, "from": "a", "to": "b"}

    assert terminal.ask("project", "activity", "--platform").returncode == 0
    assert terminal.ask("project", "activity", "--platform", "--verify").returncode == 0

    assert [call.path for call in terminal.plane.calls] == ["/api/activity", "/api/activity/verification"]
