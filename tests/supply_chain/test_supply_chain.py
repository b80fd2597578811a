"""What we are made of, and what is not in the tree: hashed locks, known licences, a bill of materials, no secrets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scripts.sbom import LICENCES, bill_of_materials, licence_of, licence_page, may_be_used, pinned
from scripts.secrets_scan import ROOT, findings, new_findings, tree

LOCKS = ["requirements.txt", *(f"requirements/{name}.txt" for name in ("dev", "tools", "node"))]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_is_pinned_and_has_hashes_and_no_index_is_named(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())

    assert [entry.splitlines()[0] for entry in entries if not re.match(r"[\w.-]+(?:\[\w+\])?==\S+", entry)] == []
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "index-url" not in text


def test_the_list_of_licences_is_current_and_every_licence_on_it_may_be_used():
    packages = pinned()
    licences = {name: licence_of(name) for name, _ in packages}

    assert len(packages) > 30
    assert {name: licence for name, licence in licences.items() if not may_be_used(licence)} == {}
    assert LICENCES.read_text(encoding="utf-8") == licence_page(packages, licences), "run: make sbom"


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("Apache-2.0 AND MIT", True),
        ("(MIT) AND (BSD-3-Clause)", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-only", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_a_licence_that_is_not_on_the_list_may_not_be_used(licence, may):
    assert may_be_used(licence) is may


def test_the_bill_of_materials_holds_every_package_with_its_version_hashes_and_licence():
    licences = {name: licence_of(name) for name, _ in pinned()}

    told = bill_of_materials(licences)

    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert {(one["name"], one["version"]) for one in told["components"]} == set(pinned())
    for component in told["components"]:
        assert component["licenses"] == [{"expression": licences[component["name"]]}]
        assert component["purl"].startswith("pkg:pypi/")
        assert any(reference.get("hashes") for reference in component["externalReferences"])


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow==",
        "connection = 'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "Zm9vYmFyYmF6" * 7 + "QUJD=='",
        "github = 'ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7" + "cF0hL3nR6'",
        "password = 'hunter2-" + "correct-horse'",
        "url = 'https://admin:" + "opensesame@registry.example'",
    ],
    ids=["private key", "storage key", "token", "password", "password in a URL"],
)
def test_a_secret_in_a_file_is_found(tmp_path, planted):
    place = tmp_path / "settings.py"
    place.write_text(planted + "\n")

    assert findings([str(place)])
    assert new_findings([str(place)], {(str(tmp_path / "other.py"), found.secret_hash) for found in findings([place])})
    assert not new_findings([str(place)], {(str(place), found.secret_hash) for found in findings([str(place)])})


def test_the_scan_reads_what_is_ours_and_nothing_that_was_brought():
    names = {str(path.relative_to(ROOT)) for path in tree(ROOT)}

    assert {"function_app.py", "shared/ports/tokens.py", "tests/ports/test_tokens.py", ".ci/run", "README.md"} <= names
    assert not [name for name in names if name.startswith((".venv", ".git/")) or "node_modules" in name]


def test_the_security_rules_of_the_linter_hold_for_all_that_is_deployed():
    config = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]

    assert "S" in config["select"]
    assert [rule for rule in config["ignore"] if rule.startswith("S1") or rule.startswith("S6")] == []
    deployed = ("api/", "activities/", "orchestrators/", "shared/", "function_app")
    exempt = {place: rules for place, rules in config["per-file-ignores"].items() if place.startswith(deployed)}
    assert [rule for rules in exempt.values() for rule in rules if re.fullmatch(r"S\d*", rule)] == []
