"""`python -m cnnlab lines`: what cannot be written is said before anything is drawn."""

import os

import pytest

from cnnlab import __main__ as main
from cnnlab import lines
from cnnlab.command_line import options


@pytest.fixture
def undrawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lines, "generate", lambda *_: pytest.fail("lines were drawn"))


@pytest.mark.parametrize(("option", "file"), [("--sheet", "a.png"), ("--video", "a.mp4")])
def test_a_file_that_cannot_be_written_is_noticed_early(option, file, undrawn, monkeypatch, capsys):
    def refuse(**options):
        raise OSError(30, os.strerror(30), "/some/.cnnlab-trying-abc")

    monkeypatch.setattr(options.tempfile, "NamedTemporaryFile", refuse)
    assert main.main(["lines", option, file]) == 2
    error = capsys.readouterr().err
    assert f"{option}: {file} cannot be written: Read-only file system" in error
    assert ".cnnlab-trying" not in error and error.count("\n") == 1


@pytest.mark.parametrize(("option", "file"), [("--sheet", "a.png"), ("--video", "a.mp4")])
def test_a_folder_in_its_place_is_noticed_early(option, file, undrawn, tmp_path, capsys):
    (tmp_path / file).mkdir()
    assert main.main(["lines", option, file]) == 2
    assert f"{option}: {file} is a folder" in capsys.readouterr().err


def test_missing_folders_are_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["lines", "--per-class", "1", "--sheet", "new/folder/a.png"]) == 0
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.png"]
