"""YAML files: what is refused before it costs memory or time, and that plain files mean what they say."""

import os
import tracemalloc

import pytest

from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.yaml_files import MAX_BYTES, read_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
"""Nine to the eighth texts in a few hundred bytes."""


def written(folder, text: str):
    path = folder / "world.yaml"
    path.write_text(text)
    return path


def refusal(path, aliases: bool = True) -> str:
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, aliases)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


def test_a_world_has_no_aliases(tmp_path):
    path = written(tmp_path, "tao_weight: &w 0.1\nowner_cut: *w\n")
    with pytest.raises(
        ConfigError, match=r"world\.yaml: got an alias \(\*name\), allowed are plain"
    ):
        Config.make(path)


def test_other_files_may_name_a_value_and_use_it_again(tmp_path):
    assert read_yaml(written(tmp_path, "a: &a {x: 1}\nb: {<<: *a, x: 2}\n")) == {
        "a": {"x": 1},
        "b": {"x": 2},
    }


def test_aliases_of_aliases_are_counted_before_they_are_made(tmp_path):
    path = written(tmp_path, LAUGHS)
    assert len(LAUGHS) < 400
    tracemalloc.start()
    assert "got more than 100000 values, aliases counted" in refusal(path)
    with pytest.raises(ConfigError) as caught:
        Config.make(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert len(str(caught.value)) < 1000


def test_a_value_that_holds_itself_is_refused(tmp_path):
    assert "a value that holds itself" in refusal(written(tmp_path, "a: &a [*a]\n"))


@pytest.mark.parametrize(
    "text", ["era: launch\nera: subsidy\n", "a: {b: 1, b: 2}\n", "1: 2\n1: 3\n"]
)
def test_a_key_is_there_once(tmp_path, text):
    assert "is there twice" in refusal(written(tmp_path, text))


def test_an_endless_nesting_is_refused(tmp_path):
    assert "cannot be read as YAML" in refusal(written(tmp_path, "[" * 100_000))


def test_a_large_file_is_refused(tmp_path):
    path = written(tmp_path, "#" * (MAX_BYTES + 1))
    assert f"got more than {MAX_BYTES} bytes" in refusal(path)
    path.write_text("#" * MAX_BYTES)
    assert read_yaml(path) is None


def test_a_device_a_pipe_and_a_folder_are_no_files(tmp_path):
    assert "got a folder, allowed is a file" in refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "got no regular file" in refusal(tmp_path / "pipe")
    if os.path.exists("/dev/zero"):
        assert "got no regular file" in refusal(type(tmp_path)("/dev/zero"))


def test_a_missing_file_is_named(tmp_path):
    assert "none.yaml: is missing" in refusal(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 1e-3), ("2E5", 2e5), ("-1.5e+2", -150.0), (".5e1", 5.0), ("1_0e1", 100.0)],
)
def test_numbers_with_an_exponent_are_numbers(tmp_path, text, number):
    assert read_yaml(written(tmp_path, f"x: {text}\n")) == {"x": number}


@pytest.mark.parametrize("text", ["e5", "1e", "0x1e5z", "1.2.3e4", "'1e3'"])
def test_other_texts_stay_texts(tmp_path, text):
    assert read_yaml(written(tmp_path, f"x: {text}\n")) == {"x": text.strip("'")}


def test_a_world_may_write_a_number_with_an_exponent(tmp_path):
    assert Config.make(written(tmp_path, "wealth_tao: 1e4\n")).wealth_tao == 10_000.0
