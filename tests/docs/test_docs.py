"""The documentation names what there is: codes, operations, settings, switches, make targets, pages."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest

from api.operations import OPERATIONS
from devboxgpu import errors
from devboxgpu.errors import SIGNAL_EXIT_BASE
from devboxgpu.shell_life import EXIT_OUTPUT_CLOSED
from devboxgpu.verbs import VERBS
from localcloud.container_apps.faults import MEANINGS as CONTAINER_APP_FAULTS
from localcloud.durable.faults import Faults
from localcloud.event_grid.faults import MEANINGS as EVENT_FAULTS
from localcloud.identity import people
from scripts import access_matrix, reference
from shared.domain.access import Who
from shared.domain.effective import effective
from shared.domain.errors import ErrorCode
from shared.domain.governance import Governance
from shared.domain.settings import BudgetSettings, GpuSettings
from shared.domain.states import EndReason
from shared.ports import settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([README, *DOCS.rglob("*.md")])

WHO_IN_WORDS = {
    Who.ANYONE: "anyone",
    Who.ANYONE_SIGNED_IN: "owner or admin",
    Who.SELF: "self",
    Who.SELF_OR_ADMIN: "self or admin",
    Who.MEMBER: "member",
    Who.ADMIN: "admin",
    Who.OPERATOR: "operator",
}


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def table_rows(text):
    """Return the cells of every table row, header rows and rulers included."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def names_in_first_cells(text):
    return {name for row in table_rows(text) for name in re.findall(r"`([^`]+)`", row[0])}


def test_every_error_code_is_explained():
    explained = names_in_first_cells(page("troubleshooting.md"))

    assert {str(code) for code in ErrorCode} - explained == set()


def test_every_error_code_has_one_row_with_meaning_and_remedy():
    rows = [row for row in table_rows(page("troubleshooting.md")) if len(row) == 4 and row[0].startswith("`")]

    assert sorted(row[0].strip("`") for row in rows) == sorted(str(code) for code in ErrorCode)
    assert all(all(row) for row in rows)


def test_every_exit_code_of_the_command_has_one_row_with_meaning_and_remedy():
    section = page("troubleshooting.md").partition("## Exit codes")[2].partition("\n## ")[0]
    rows = [row for row in table_rows(section) if row[0].startswith("`")]
    in_code = {
        *(value for name, value in vars(errors).items() if name.startswith("EXIT_")),
        EXIT_OUTPUT_CLOSED,
        *(SIGNAL_EXIT_BASE + number for number in (SIGHUP, SIGTERM)),
    }

    assert len(in_code) >= 7, "the constants have other names now: this test no longer finds them"
    assert {str(code) for code in in_code} - {row[0].strip("`") for row in rows} == set()
    assert all(len(row) == 3 and all(row) for row in rows)


def test_the_reference_of_the_command_is_current():
    assert reference.page() == page("reference.md"), "run: make reference"


def test_the_reference_has_every_verb_and_every_option():
    written = page("reference.md")
    verbs = [verb.name for verb in VERBS if not verb.is_hidden]

    assert re.findall(r"^## devboxgpu (\S+)$", written, flags=re.MULTILINE) == verbs
    assert all(option in written for option in ("--wait-timeout", "--paste", "--max-concurrent"))


def test_every_end_reason_is_explained():
    assert {str(reason) for reason in EndReason} - names_in_first_cells(page("troubleshooting.md")) == set()


def test_the_table_of_operations_is_the_one_in_the_code():
    written = [row for row in table_rows(page("api.md")) if len(row) == 5 and row[1].isupper()]

    in_code = [
        [entry.name, entry.method, f"`{entry.route}`", WHO_IN_WORDS[entry.who], entry.summary] for entry in OPERATIONS
    ]
    assert written == in_code


def test_every_setting_of_the_app_is_explained_and_none_that_is_gone():
    source = (ROOT / "shared" / "ports" / "settings.py").read_text(encoding="utf-8")
    in_code = set(re.findall(r'"(DEVBOXGPU_[A-Z_]+)"', source))

    assert in_code, "no settings were found: the pattern no longer fits the code"
    explained = {name for name in names_in_first_cells(page("settings.md")) if name.startswith("DEVBOXGPU_")}
    assert explained == in_code


def test_defaults_and_bounds_of_settings_are_those_in_the_code():
    written = {
        row[0].strip("`"): tuple(float(cell) for cell in row[1:4])
        for row in table_rows(page("settings.md"))
        if len(row) == 5 and row[0].startswith("`")
    }

    assert written == settings._NUMBERS


def test_every_setting_of_a_project_is_explained():
    section = page("api.md").partition("## A project's settings")[2].partition("\n## ")[0]
    governed = effective(GpuSettings(budget=BudgetSettings(monthly_amount=Decimal(1))), Governance(), stored=True)

    assert names_in_first_cells(section) == set(governed.sources)


def test_every_required_setting_is_under_needed():
    needed = page("settings.md").partition("## Needed")[2].partition("## Optional")[0]

    assert set(settings._REQUIRED) - names_in_first_cells(needed) == set()


@pytest.mark.parametrize(
    ("heading", "switches"),
    [
        ("### Container apps", set(CONTAINER_APP_FAULTS)),
        ("### Event Grid", set(EVENT_FAULTS)),
        ("### The durable engine", set(Faults().shown()["meaning"])),
    ],
)
def test_the_fault_switches_are_those_that_the_stand_in_knows(heading, switches):
    section = re.split(r"^##", page("local-cloud.md").partition(heading)[2], flags=re.MULTILINE)[0]

    explained = names_in_first_cells(section)
    assert (switches - explained, explained - switches) == (set(), set()), "(to explain, gone from the code)"


def test_every_made_up_user_is_introduced():
    introduced = names_in_first_cells(page("local-cloud.md").partition("## Made-up users")[2].partition("##")[0])

    assert set(people.NAMED) | {"load-1", f"load-{people.LOAD_USERS}"} == introduced


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_that_are_named_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))

    named = {target for code in code_in(path) for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)}
    assert named - targets == set()


def test_the_readme_names_the_two_commands_first():
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:12])

    assert "make shell" in first_screen
    assert "make test" in first_screen


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, heading = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (heading and heading not in headings_of(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path):
    """Paths of the repository in code style, such as `shared/domain/names.py`."""
    folders = "activities|api|client|docs|localcloud|orchestrators|scripts|shared|tests"
    named = {
        name
        for code in code_in(path)
        for name in re.findall(rf"(?<![\w/.{{}}*-])((?:{folders})/[\w/.-]*\w\.\w+)", code)
        if name != "api/openapi.json"  # an address, not a file
    }

    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_are_named_exist(path):
    named = {name for code in code_in(path) for name in re.findall(r"\btest_\w+\b(?!\.py)", code)}
    if not named:
        return
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert named - there == set()


def test_every_decision_has_its_page_in_the_list_and_all_four_parts():
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", page("decisions/README.md"))

    assert [found.name for found in pages] == listed
    assert [int(found.name[:4]) for found in pages] == list(range(1, len(pages) + 1))
    for found in pages:
        text = found.read_text(encoding="utf-8")
        assert text.startswith(f"# {found.name[:4]} ")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
            "What would change our mind",
        ]


def test_pinned_versions_are_those_of_the_requirements():
    pins = {}
    for name in ("runtime", "dev", "node"):
        text = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8")
        pins |= dict(re.findall(r"^([A-Za-z0-9-]+)(?:\[\w+\])?==(\S+)", text, flags=re.MULTILINE))
    written = {row[0].strip("`"): row[1] for row in table_rows(page("support.md")) if len(row) == 2}

    assert {name: version for name, version in written.items() if name in pins} == {
        name: pins[name] for name in written if name in pins
    }
    runtime = re.findall(
        r"^([A-Za-z0-9-]+)", (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert set(runtime) - set(written) == set()


def code_in(path):
    """Return what stands in code blocks and code spans."""
    text = path.read_text(encoding="utf-8")
    fenced = re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}\S.*$", text, flags=re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", text)
    return [*fenced, *indented, *spans]


def headings_of(path):
    """Return the anchors that a page's headings make, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_access_matrix_on_the_page_is_the_one_in_the_code():
    written = page("security.md")

    assert access_matrix.page_with(access_matrix.matrix(), written) == written, (
        "run: python -m scripts.access_matrix --write"
    )


def test_every_test_that_the_security_page_names_exists():
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", page("security.md")))
    there = {
        (path.name, test)
        for path in (ROOT / "tests").rglob("test_*.py")
        for test in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }

    assert len(named) > 30
    assert named - there == set()


def test_every_threat_has_an_answer_and_a_test_and_no_risk_of_the_ten_is_left_out():
    threats = table_rows(page("security.md").partition("## Threats")[2].partition("\n## ")[0])[2:]
    risks = table_rows(page("security.md").partition("## OWASP")[2].partition("\n## ")[0])[2:]

    assert {row[0][2] for row in threats} == set("STRIDE")
    assert [row[0].split()[0] for row in risks] == [f"API{number}" for number in range(1, 11)]
    assert all(len(row) == 3 and row[1] and row[2].startswith("`test_") for row in [*threats, *risks])
