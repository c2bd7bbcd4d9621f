"""Files are written whole or not at all."""

import os

import pytest
from dtao_agents.files import remove_leftovers, write_atomically


def test_content_is_replaced(tmp_path):
    path = tmp_path / "a.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"one")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_leftovers_of_some_files_are_removed_and_nothing_else(tmp_path):
    for name in (".a.json.x1", ".a.json.x2", ".b.json.x", "a.json", ".a.json", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".a.json.folder").mkdir()
    remove_leftovers(tmp_path, ("a.json",))
    remove_leftovers(tmp_path / "nowhere", ("a.json",))
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert left == [".a.json", ".b.json.x", ".hidden", "a.json"]
