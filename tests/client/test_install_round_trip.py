"""What install puts on a machine, uninstall takes away, whatever has happened in between."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_machine import (
    ALL_PARTS,
    Crash,
    CrashingDisk,
    DiskWithReadOnly,
    FakePrograms,
    a_machine,
    install,
    tree,
    uninstall,
    wishes,
)

from devboxgpu.errors import DevBoxGpuError
from devboxgpu.install import performing
from devboxgpu.install.catalogue import NotHereError
from devboxgpu.install.layout import layout_of
from devboxgpu.install.machine import Machine, System
from devboxgpu.install.manifest import Record, UnreadableManifestError, digest, encoded
from devboxgpu.install.steps import Part

SYSTEMS = list(System)
SETTINGS = b'// mine\r\n{\r\n  "editor.tabSize": 2, // two\r\n}\r\n'


def with_own_files(machine: Machine) -> Machine:
    """With files of the person's own that the installation edits."""
    (machine.home / ".zshrc").write_bytes(b"setopt autocd\nexport A=\xff")  # no end of line, no UTF-8
    settings = machine.windows.roaming if machine.system is System.WINDOWS else machine.home / ".config"
    if machine.system is System.MACOS:
        settings = machine.home / "Library" / "Application Support"
    file = settings / "Code" / "User" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(SETTINGS)
    return machine


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("own_files", [False, True])
def test_uninstall_gives_back_every_byte(system: System, own_files: bool, tmp_path: Path) -> None:
    machine = a_machine(system, tmp_path)
    if own_files:
        with_own_files(machine)
    before = tree(tmp_path)

    assert install(machine, *ALL_PARTS[system]) == 0
    assert len(tree(tmp_path)) > len(before) + 4
    assert machine.programs.extensions == {"devboxgpu.devboxgpu": "0.1.0"}
    assert uninstall(machine) == 0

    assert tree(tmp_path) == before
    assert machine.programs.extensions == {}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_second_installation_changes_nothing(system: System, tmp_path: Path, capsys) -> None:
    machine = with_own_files(a_machine(system, tmp_path))
    install(machine, *ALL_PARTS[system])
    after_first = tree(tmp_path)
    capsys.readouterr()

    assert install(machine, *ALL_PARTS[system]) == 0

    told = capsys.readouterr().err.splitlines()
    assert told
    assert all(line.startswith("unchanged") for line in told)
    assert tree(tmp_path) == after_first


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_crash_at_any_change_leaves_nothing_that_uninstall_does_not_find(
    system: System, after: bool, tmp_path: Path
) -> None:
    counting = CrashingDisk(10_000)
    install(a_machine(system, tmp_path / "count", disk=counting), *ALL_PARTS[system])

    assert counting.changes > 4
    for at in range(counting.changes):
        root = tmp_path / str(at)
        machine = with_own_files(a_machine(system, root))
        before = tree(root)
        with pytest.raises(Crash):
            install(replace(machine, disk=CrashingDisk(at, after=after)), *ALL_PARTS[system])

        assert uninstall(machine) == 0
        assert tree(root) == before, f"crash at change {at}"


def test_an_interrupted_uninstall_is_finished_by_the_next(tmp_path: Path) -> None:
    for at in range(1, 12):
        root = tmp_path / str(at)
        machine = with_own_files(a_machine(System.LINUX, root))
        before = tree(root)
        install(machine, *ALL_PARTS[System.LINUX])
        with pytest.raises(Crash):
            uninstall(replace(machine, disk=CrashingDisk(at)))

        assert uninstall(machine) == 0
        assert tree(root) == before


def test_what_a_killed_write_leaves_goes_too(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)
    install(machine)
    fragments = layout_of(machine, for_everybody=False).fragments
    (fragments / ".devboxgpu.json.devboxgpu-new").write_bytes(b'{"prof')

    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_without_its_record_uninstall_finds_what_has_a_name_of_ours(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)
    install(machine, *ALL_PARTS[System.WINDOWS])
    layout_of(machine, for_everybody=False).manifest.unlink()

    assert uninstall(machine) == 0
    after = tree(tmp_path)
    assert not [name for name in after if "DevBoxGPU" in name]
    assert machine.programs.extensions == {}
    # Who made a file that is empty without our lines is not known, so it stays; and so do empty folders.
    left = {content.strip() for name, content in after.items() if content is not None and name not in before}
    assert left == {b"", b"{\n}"}


def test_a_record_that_cannot_be_read_stops_an_installation_and_not_its_end(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine)
    manifest = layout_of(machine, for_everybody=False).manifest
    manifest.write_bytes(b'{"version": 9}')

    with pytest.raises(DevBoxGpuError, match=r"manifest\.json.*cannot be read"):
        install(machine)
    assert uninstall(machine) == 0
    assert "Only the usual places" in capsys.readouterr().err
    assert not manifest.exists()


def test_what_was_moved_is_taken_from_its_old_place_and_from_the_new(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    install(machine, Part.COMPLETION)
    moved = replace(machine, environ={"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")})
    shutil.copytree(machine.home / ".config", tmp_path / "elsewhere")

    assert uninstall(moved) == 0
    assert not [name for name, content in tree(tmp_path).items() if content is not None]


def test_what_has_gone_already_is_no_trouble(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)
    install(machine)
    shutil.rmtree(machine.windows.local / "Microsoft")
    machine.programs.extensions.clear()

    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_what_somebody_edited_is_kept_as_a_copy_and_said(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine, Part.TERMINAL)
    layout = layout_of(machine, for_everybody=False)
    fragment = layout.fragments / "devboxgpu.json"
    fragment.write_bytes(fragment.read_bytes().replace(b"#2E7D32", b"#FF0000"))

    assert uninstall(machine) == 0

    (copy,) = layout.kept.iterdir()
    assert b"#FF0000" in copy.read_bytes()
    assert str(copy) in capsys.readouterr().err
    assert not layout.fragments.exists()


def test_a_later_installation_keeps_an_edited_version_too(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine, Part.TERMINAL)
    layout = layout_of(machine, for_everybody=False)
    fragment = layout.fragments / "devboxgpu.json"
    written = fragment.read_bytes()
    fragment.write_bytes(b"{}")

    assert install(machine, Part.TERMINAL) == 0

    assert fragment.read_bytes() == written
    assert [copy.read_bytes() for copy in layout.kept.iterdir()] == [b"{}"]


def test_only_a_part_goes_and_the_rest_stays(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)
    install(machine)

    assert uninstall(machine, Part.TERMINAL) == 0
    assert machine.programs.extensions
    assert not layout_of(machine, for_everybody=False).fragments.exists()

    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_nothing_to_take_away_is_said(tmp_path: Path, capsys) -> None:
    assert uninstall(a_machine(System.LINUX, tmp_path)) == 0
    assert "nothing of devboxgpu is installed" in capsys.readouterr().err


def test_without_a_terminal_and_without_yes_nothing_is_changed(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)

    code = performing.install(machine, wishes(), dry_run=False, yes=False, consent=lambda: None)

    assert code == 1
    assert tree(tmp_path) == before
    told = capsys.readouterr().err
    assert "nothing was changed" in told
    assert "--yes" in told


@pytest.mark.parametrize(("agreed", "code"), [(True, 0), (False, 1)])
def test_a_person_decides(agreed: bool, code: int, tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)

    assert performing.install(machine, wishes(), dry_run=False, yes=False, consent=lambda: agreed) == code
    assert (tree(tmp_path) == before) is not agreed


def test_a_dry_run_shows_paths_and_contents_and_changes_nothing(tmp_path: Path, capsys) -> None:
    machine = with_own_files(a_machine(System.WINDOWS, tmp_path))
    before = tree(tmp_path)

    assert performing.install(machine, wishes(*ALL_PARTS[System.WINDOWS]), dry_run=True, yes=True) == 0

    shown = capsys.readouterr().out
    assert tree(tmp_path) == before
    assert str(machine.windows.local / "Microsoft/Windows Terminal/Fragments/DevBoxGPU/devboxgpu.json") in shown
    assert '"name": "DevBoxGPU Shell"' in shown
    assert "--install-extension devboxgpu.vsix --force" in shown
    assert '+        "DevBoxGPU Shell": {' in shown  # the settings' difference


def test_a_read_only_folder_fails_its_part_alone_and_says_where(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)
    read_only = replace(machine, disk=DiskWithReadOnly(machine.windows.local / "Microsoft"))

    assert install(read_only) == 1

    assert "devboxgpu.png cannot be changed: Permission denied" in capsys.readouterr().err
    assert machine.programs.extensions
    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_where_nothing_can_be_recorded_nothing_is_changed(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)

    assert install(replace(machine, disk=DiskWithReadOnly(machine.user_data))) == 1

    assert "nothing was changed:" in capsys.readouterr().err
    assert tree(tmp_path) == before
    assert machine.programs.extensions == {}


def test_copies_of_a_persons_files_are_for_nobody_else(tmp_path: Path) -> None:
    machine = with_own_files(a_machine(System.LINUX, tmp_path))
    install(machine, *ALL_PARTS[System.LINUX])
    layout = layout_of(machine, for_everybody=False)
    (machine.home / ".config" / "fish" / "completions" / "devboxgpu.fish").write_bytes(b"mine")
    uninstall(machine, Part.COMPLETION)

    copies = [*layout.backups.iterdir(), *layout.kept.iterdir()]
    assert len(copies) == 2
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}


def test_what_is_for_everybody_can_be_read_by_everybody(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path, is_administrator=True)
    mask = os.umask(0o077)
    try:
        install(machine, Part.CONFIG, for_everybody=True, values={"project": "ml-research"})
    finally:
        os.umask(mask)

    assert machine.machine_config.stat().st_mode & 0o777 == 0o644
    assert machine.machine_config.parent.stat().st_mode & 0o777 == 0o755


def test_a_code_that_fails_is_said_with_what_it_said(tmp_path: Path, capsys) -> None:
    programs = FakePrograms({"code"}, fails=True)
    machine = a_machine(System.WINDOWS, tmp_path, programs=programs)
    before = tree(tmp_path)

    assert install(machine) == 1
    assert "EPERM: operation not permitted" in capsys.readouterr().err
    assert (layout_of(machine, for_everybody=False).fragments / "devboxgpu.json").exists()

    # Whether the extension is there is not known while `code` fails, so the record stays until it is.
    assert uninstall(machine) == 1
    assert layout_of(machine, for_everybody=False).manifest.exists()
    programs.fails = False
    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_an_extension_whose_vs_code_has_gone_is_not_forgotten(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    install(machine, Part.VSCODE)
    machine.programs.there.remove("code")
    left = machine.home / ".vscode" / "extensions" / "devboxgpu.devboxgpu-0.1.0"
    left.mkdir(parents=True)

    assert uninstall(machine) == 1
    assert str(left) in capsys.readouterr().err
    shutil.rmtree(left)
    assert uninstall(machine) == 0


def test_a_file_that_changes_while_the_person_thinks_is_not_overwritten(tmp_path: Path, capsys) -> None:
    machine = with_own_files(a_machine(System.LINUX, tmp_path))
    rc = machine.home / ".zshrc"

    def think() -> bool:
        rc.write_bytes(b"changed meanwhile\n")
        return True

    assert performing.install(machine, wishes(Part.COMPLETION), dry_run=False, yes=False, consent=think) == 1
    assert rc.read_bytes() == b"changed meanwhile\n"
    assert "was changed meanwhile" in capsys.readouterr().err


def test_lines_that_were_damaged_are_said_and_the_copy_of_the_file_stays_until_they_are_mended(
    tmp_path: Path, capsys
) -> None:
    machine = with_own_files(a_machine(System.LINUX, tmp_path))
    before = tree(tmp_path)
    rc = machine.home / ".zshrc"
    original = rc.read_bytes()
    install(machine, Part.COMPLETION)
    rc.write_bytes(rc.read_bytes().replace(b"# <<<", b"# "))

    assert uninstall(machine) == 1

    assert "by hand" in capsys.readouterr().err
    (copy,) = layout_of(machine, for_everybody=False).backups.iterdir()
    assert copy.read_bytes() == original
    rc.write_bytes(original)
    assert uninstall(machine) == 0
    assert tree(tmp_path) == before


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    dotfiles = tmp_path / "dotfiles"
    dotfiles.write_bytes(b"setopt autocd\n")
    dotfiles.chmod(0o600)
    (machine.home / ".zshrc").symlink_to(dotfiles)

    install(machine, Part.COMPLETION)

    assert (machine.home / ".zshrc").is_symlink()
    assert b">>> devboxgpu install >>>" in dotfiles.read_bytes()
    assert dotfiles.stat().st_mode & 0o777 == 0o600


def test_a_part_that_cannot_be_here_is_refused_when_asked_for_and_left_out_when_not(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.LINUX, tmp_path, programs=FakePrograms({"bash"}))

    with pytest.raises(NotHereError, match="Windows Terminal is not on Linux"):
        install(machine, Part.TERMINAL)
    with pytest.raises(NotHereError, match="'code'"):
        install(machine, Part.VSCODE)
    assert install(machine) == 0
    assert "VS Code extension: left out" in capsys.readouterr().err


def test_for_everybody_needs_an_administrator(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    before = tree(tmp_path)

    with pytest.raises(DevBoxGpuError, match="administrator"):
        install(machine, for_everybody=True, values={"project": "ml"})
    assert tree(tmp_path) == before


def test_for_everybody_writes_profiles_and_configuration_and_takes_them_away(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path, is_administrator=True)
    before = tree(tmp_path)
    values = {"endpoint": "https://gpu.contoso.com/api", "project": "ml-research", "tenant_id": "contoso.com"}

    assert install(machine, for_everybody=True, values=values, gpu_types=("T4", "A100")) == 0

    config = machine.windows.program_data / "DevBoxGPU" / "config.toml"
    assert (
        'endpoint = "https://gpu.contoso.com/api"\nproject = "ml-research"\ntenant_id = "contoso.com"\n'
        in config.read_text()
    )
    fragment = machine.windows.program_data / "Microsoft/Windows Terminal/Fragments/DevBoxGPU/devboxgpu.json"
    assert "DevBoxGPU Shell (A100)" in fragment.read_text()
    assert uninstall(machine, for_everybody=True) == 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize("where", ["Windows/system.ini", "ProgramData/DevBoxGPU/../../Windows/system.ini"])
def test_a_planted_record_leads_no_administrator_to_other_files(where: str, tmp_path: Path, capsys) -> None:
    machine = a_machine(System.WINDOWS, tmp_path, is_administrator=True)
    victim = tmp_path / "C" / "Windows" / "system.ini"
    victim.parent.mkdir()
    victim.write_bytes(b"x")
    layout = layout_of(machine, for_everybody=True)
    layout.folder.mkdir(parents=True)
    record = Record(part=Part.TERMINAL, kind="file", path=tmp_path / "C" / where, hashes=(digest(b"x"),))
    layout.manifest.write_bytes(encoded([record]))

    with pytest.raises(UnreadableManifestError, match="where nothing of ours belongs"):
        install(machine, for_everybody=True, values={"project": "ml-research"})
    assert uninstall(machine, for_everybody=True) == 0
    assert victim.read_bytes() == b"x"
    assert not layout.data.exists()


def test_an_administrators_own_configuration_keeps_its_words_and_comes_back(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path, is_administrator=True)
    machine.machine_config.parent.mkdir(parents=True)
    own = b'# ours\nproject = "old" # why\ngpu = "T4"\n'
    machine.machine_config.write_bytes(own)
    before = tree(tmp_path)

    assert install(machine, Part.CONFIG, for_everybody=True, values={"project": "new", "tenant_id": "a.b"}) == 0

    assert machine.machine_config.read_bytes() == b'# ours\nproject = "new"\ngpu = "T4"\ntenant_id = "a.b"\n'
    assert uninstall(machine, for_everybody=True) == 0
    assert tree(tmp_path) == before
