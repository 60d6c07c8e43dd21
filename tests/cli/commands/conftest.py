"""The people commands on a library of made-up faces."""

from __future__ import annotations

import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.settings import ServerAddress
from tests.cli.commands.made_up_people import fill


@pytest.fixture
def at_home(home, tmp_path, monkeypatch):
    """The commands of this process know where the library is."""
    monkeypatch.chdir(tmp_path)
    if isinstance(home, ServerAddress):
        monkeypatch.setenv("CAPTION_LIBRARY", home.url)
        monkeypatch.setenv("CAPTION_COLLECTION", home.collection)
    return home


@pytest.fixture
def people(at_home, capsys):
    """Run a command in a folder with a filled library: exit code, stdout, stderr."""
    fill(at_home)

    def run(*arguments):
        code = execute(["people", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    assert run("cluster")[0] == 0
    return run
