"""Hostile folders of policies: nothing of theirs is run or followed, and each is refused with one clear error."""

import json
import os
import pickle
import socket
import struct
import sys
import zipfile

import numpy as np
import pytest
import torch
from dtao_agents.evaluation.policy_files import (
    CARD_NAME,
    MAX_CARD_BYTES,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_NAME,
    Card,
    PolicyError,
    load_policy,
    save_policy,
)
from dtao_agents.training.architecture import Architecture
from safetensors.torch import save

ARCHITECTURE = Architecture("shared", 4, 8)


@pytest.fixture
def saved(tmp_path):
    """Folder of a good policy."""
    folder = tmp_path / "run"
    folder.mkdir()
    torch.manual_seed(0)
    save_policy(folder, ARCHITECTURE.actor(), Card(ARCHITECTURE, "0" * 64, 10))
    return folder


def _tensors(**changes):
    tensors = dict(ARCHITECTURE.actor().state_dict())
    tensors.update(changes)
    return save(tensors)


def _without(name):
    tensors = dict(ARCHITECTURE.actor().state_dict())
    del tensors[name]
    return save(tensors)


class _Creates:
    """What unpickles to a call that makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def refusal(folder, message):
    """The error of loading: it holds the message, is short, and nothing in it moves a terminal's cursor."""
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(folder)
    told = str(caught.value)
    assert told.isprintable()
    assert len(told) < 1000
    return told


def _header(change, data=None):
    """The good file with another header: `change` takes it as a dict, to a dict or to text."""
    content = _tensors()
    size = int.from_bytes(content[:8], "little")
    made = change(json.loads(content[8 : 8 + size]))
    text = (made if isinstance(made, str) else json.dumps(made)).encode()
    return struct.pack("<Q", len(text)) + text + (content[8 + size :] if data is None else data)


def _entry(**changes):
    """The good file with another entry for one tensor."""
    return _header(lambda made: made | {"logit.bias": made["logit.bias"] | changes})


def _twice(made):
    again = json.dumps({"logit.bias": made["logit.bias"]})
    return json.dumps(made)[:-1] + ", " + again[1:]


HOSTILE_WEIGHTS = {
    "empty": (b"", "0 bytes"),
    "truncated": (_tensors()[:-4], "not a safetensors file"),
    "cut in the header": (_tensors()[:20], "header"),
    "not finite": (_tensors(**{"logit.bias": torch.tensor([float("nan")])}), "logit.bias: got NaN"),
    "infinite": (
        _tensors(**{"logit.bias": torch.tensor([float("inf")])}),
        "logit.bias: got NaN or inf",
    ),
    "absurd": (
        _tensors(**{"logit.bias": torch.tensor([1e30])}),
        r"logit.bias: got 1e\+30, allowed is -1000 to 1000",
    ),
    "absurdly negative": (
        _tensors(**{"logit.bias": torch.tensor([-1001.0])}),
        "logit.bias: got -1001, allowed is -1000 to 1000",
    ),
    "wrong shape": (
        _tensors(**{"logit.bias": torch.zeros(2)}),
        r"logit.bias: got 'F32' of shape \[2\], allowed is 'F32' of shape \[1\]",
    ),
    "wrong type": (
        _tensors(**{"logit.bias": torch.zeros(1, dtype=torch.float64)}),
        "got 'F64' of shape",
    ),
    "extra tensor": (_tensors(extra=torch.zeros(1)), "'extra': unknown tensor"),
    "missing tensor": (_without("logit.bias"), "logit.bias: is missing"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "header of 4611686018427387904"),
    "header without end": (struct.pack("<Q", 10) + b"{" * 10, "not a safetensors file"),
    "large header": (struct.pack("<Q", 100_000) + b" " * 100_000, "header of 100000"),
    "large file": (b"\0" * (MAX_WEIGHTS_BYTES + 1), "more than"),
    "gigantic tensor": (_entry(shape=[2**62]), r"got 'F32' of shape \[4611686018427387904\]"),
    "number without end": (_entry(shape=[10**400]), r"got 'F32' of shape \[1000+\.\.\.0+\]"),
    "number beyond Python": (
        _header(lambda made: json.dumps(made)[:-1] + ', "x": ' + "9" * 5000 + "}"),
        "not a safetensors file",
    ),
    "many dimensions": (_entry(shape=[1] * 1000), "logit.bias: got 'F32' of shape"),
    "negative shape": (_entry(shape=[-1]), r"of shape \[-1\]"),
    "bool for a length": (_entry(shape=[True]), "not a safetensors file"),
    "shape of another kind": (_entry(shape="1"), "of shape '1'"),
    "unknown type": (_entry(dtype="../F32"), "got '../F32'"),
    "entry of another kind": (
        _header(lambda made: made | {"logit.bias": [1]}),
        "logit.bias: got None of shape None",
    ),
    "offsets beyond the file": (_entry(data_offsets=[0, 2**60]), "not a safetensors file"),
    "offsets without end": (_entry(data_offsets=[0, 10**400]), "not a safetensors file"),
    "offsets that descend": (_entry(data_offsets=[4, 0]), "not a safetensors file"),
    "negative offsets": (_entry(data_offsets=[-4, 0]), "not a safetensors file"),
    "overlapping offsets": (
        _header(lambda made: made | {"logit.bias": made["logit.bias"] | {"data_offsets": [2, 6]}}),
        "not a safetensors file",
    ),
    "one place for two": (
        _header(lambda made: made | {"second.bias": made["encoder.local.bias"]}),
        "not a safetensors file",
    ),
    "bytes that belong to none": (_tensors() + b"\0" * 4, "not a safetensors file"),
    "a name twice": (_header(_twice), "'logit.bias' is there twice"),
    "not a number": (_entry(shape=[float("nan")]), "NaN is no number of JSON"),
    "a list for a header": (_header(lambda made: [made]), "got list, allowed is an object"),
    "deep header": (_header(lambda made: "[" * 60_000), "not a safetensors file"),
    "deep entry": (
        _header(lambda made: json.dumps(made)[:-1] + ', "x": ' + "[" * 400 + "]" * 400 + "}"),
        "'x': unknown tensor",
    ),
    "metadata of another kind": (
        _header(lambda made: made | {"__metadata__": {"run": ["x"]}}),
        "not a safetensors file",
    ),
    "a name that points outside": (
        _tensors(**{"../../../x": torch.zeros(1)}),
        "'../../../x': unknown tensor",
    ),
    "a name for terminals": (
        _tensors(**{"\x1b[2Jx\u202e": torch.zeros(1)}),
        r"'\\x1b\[2Jx\\u202e': unknown tensor",
    ),
    "a long name": (_tensors(**{"x" * 50_000: torch.zeros(1)}), "xxx.*: unknown tensor"),
}


@pytest.mark.parametrize("name", HOSTILE_WEIGHTS)
def test_hostile_weights_are_refused(saved, name):
    content, message = HOSTILE_WEIGHTS[name]
    (saved / WEIGHTS_NAME).write_bytes(content)
    assert WEIGHTS_NAME in refusal(saved, message)


def test_large_weights_within_the_range_load_and_act_finitely(saved):
    largest = {
        name: torch.full_like(t, 1000.0) for name, t in ARCHITECTURE.actor().state_dict().items()
    }
    (saved / WEIGHTS_NAME).write_bytes(save(largest))
    policy = load_policy(saved)
    action = policy.act(np.full((2, ARCHITECTURE.observation_size), 100.0, np.float32))
    assert np.isfinite(action).all()


def test_metadata_of_other_tools_is_no_harm(saved):
    content = _header(lambda made: {"__metadata__": {"format": "pt"}} | made)
    (saved / WEIGHTS_NAME).write_bytes(content)
    assert load_policy(saved).card.timesteps == 10


HOSTILE_CARDS = {
    "missing entry": ({"role": None}, "role is missing"),
    "unknown entry": ({"weights": "../../x"}, "'weights': unknown entry"),
    "wrong kind": ({"hidden": "8"}, "hidden: got str, allowed is int"),
    "bool for a number": ({"hidden": True}, "hidden: got bool"),
    "unknown network": ({"network": "os.system"}, "network: got 'os.system'"),
    "unknown role": ({"role": "../staker"}, "role: got '../staker'"),
    "role of another file": ({"role": "replay"}, "role: got 'replay'"),
    "role to import": ({"role": "os:path"}, "role: got 'os:path'"),
    "no subnets": ({"n_subnets": 0}, "n_subnets: got 0, allowed is 1 to 128"),
    "gigantic layer": ({"hidden": 10**9}, "hidden: got 1000000000, allowed is 1 to 1024"),
    "other subnets": ({"n_subnets": 5}, "observation_size: got 55, allowed is 67"),
    "other features": ({"global_features": []}, "global_features: got"),
    "other format": ({"format": 1}, "format: got 1"),
    "other width": ({"hidden": 4}, "of shape"),
    "number without end": (
        {"n_subnets": 10**400},
        r"n_subnets: got 10+\.\.\.0+, allowed is 1 to 128",
    ),
    "float for a number": ({"hidden": 8.0}, "hidden: got float, allowed is int"),
    "bool for subnets": ({"n_subnets": True}, "n_subnets: got bool"),
    "not a number": ({"timesteps": float("nan")}, "NaN is no number of JSON"),
    "infinite": ({"timesteps": float("-inf")}, "-Infinity is no number of JSON"),
    "negative timesteps": ({"timesteps": -1}, "timesteps: got -1, allowed is 0 to"),
    "endless timesteps": ({"timesteps": 10**400}, "timesteps: got 1000"),
    "endless size": ({"observation_size": 10**4000}, "observation_size: got 1000"),
    "endless actions": ({"role": "builder", "action_size": 10**400}, "features: got"),
    "text for terminals": ({"config_hash": "\x1b[2J"}, r"config_hash: got '\\x1b\[2J'"),
    "long text": ({"package_version": "1" * 60_000}, "package_version: got '111"),
    "path for a version": ({"package_version": "../../x"}, "package_version: got '../../x'"),
    "name for terminals": ({"\x1b]0;x\x07": 1}, r"'\\x1b\]0;x\\x07': unknown entry"),
    "long name": ({"x" * 60_000: 1}, "unknown entry"),
    "deep list": (
        {"subnet_features": json.loads("[" * 500 + "]" * 500)},
        r"subnet_features: got \[\[\[\[\[\[\[\.\.\.",
    ),
    "long list": ({"global_features": ["x" * 100] * 500}, "global_features: got"),
}


@pytest.mark.parametrize("name", HOSTILE_CARDS)
def test_hostile_cards_are_refused(saved, name):
    changes, message = HOSTILE_CARDS[name]
    content = json.loads((saved / CARD_NAME).read_text()) | changes
    (saved / CARD_NAME).write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    refusal(saved, message)


HOSTILE_TEXTS = {
    "empty": (b"", "is not JSON"),
    "a list": (b"[]", "got list"),
    "deep": (b"[" * 50_000, "is not JSON"),
    "not UTF-8": (b"\xff\xfe{", "is not JSON"),
    "large": (b" " * (MAX_CARD_BYTES + 1), "more than"),
    "a name twice": (b'{"role": "staker", "role": "builder"}', "'role' is there twice"),
    "a name twice within": (b'{"x": {"y": 1, "y": 2}}', "'y' is there twice"),
    "number beyond Python": (b'{"n_subnets": ' + b"9" * 5000 + b"}", "is not JSON"),
    "other encoding": ('{"role": 1}'.encode("utf-16"), "is not JSON"),
    "deep objects": (b'{"a":' * 10_000, "is not JSON"),
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_texts_that_are_no_card_are_refused(saved, name):
    content, message = HOSTILE_TEXTS[name]
    (saved / CARD_NAME).write_bytes(content)
    refusal(saved, message)


def _as_pickle(path, harm):
    path.write_bytes(pickle.dumps(harm))


def _as_torch_file(path, harm):
    torch.save({"log_std": harm}, path)


def _as_array(path, harm):
    with path.open("wb") as file:
        np.save(file, np.array([harm], object), allow_pickle=True)


def _as_zip(path, harm):
    """As Stable-Baselines3 saves models."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("policy.pth", pickle.dumps(harm))
        file.writestr("data", pickle.dumps(harm))


def _unpickle(path):
    """What a careless reader would do."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if name.endswith(("data.pkl", "policy.pth"))]
            pickle.loads(file.read(names[0]))
    else:
        np.load(path, allow_pickle=True)


PICKLES = [_as_pickle, _as_torch_file, _as_array, _as_zip]


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("write", PICKLES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the file that unpickling opens
def test_pickles_are_refused_and_not_run(saved, tmp_path, name, write):
    marker = tmp_path / "marker"
    write(saved / name, _Creates(marker))
    told = refusal(saved, "is not JSON" if name == CARD_NAME else "allowed is a safetensors file")
    assert name in told
    assert not marker.exists()
    _unpickle(saved / name)
    assert marker.exists()  # it would have been run


_events: list[tuple[str, str]] | None = None


def _watch(event, arguments):
    if _events is not None:
        _events.append((event, str(arguments[0]) if arguments else ""))


@pytest.fixture
def events():
    """Pairs (event, first argument) of what the interpreter is asked to do, by its audit hook, which stays."""
    global _events
    if not hasattr(sys, "_watched_by_hostile_policies"):
        sys.addaudithook(_watch)
        sys._watched_by_hostile_policies = True
    _events = []
    yield _events
    _events = None


def test_other_files_of_the_folder_are_never_opened(saved, tmp_path, events):
    load_policy(saved)  # imports what it needs
    harm = _Creates(tmp_path / "marker")
    for name in ("policy.pkl", "policy.pt", "policy.zip", "data", "optimizer.pth"):
        _as_pickle(saved / name, harm)
    for name in ("__init__.py", "policy.py", "json.py", "torch.py", "sitecustomize.py"):
        (saved / name).write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    os.mkfifo(saved / "policy.bin")
    del events[:]
    assert load_policy(saved).card.timesteps == 10
    seen = list(events)
    opened = {path for event, path in seen if event == "open"}
    assert opened == {str(saved / CARD_NAME), str(saved / WEIGHTS_NAME)} | {
        path
        for path in opened
        if path.isdigit()  # descriptors of the two
    }
    kinds = {event for event, _ in seen}
    assert not kinds & {"pickle.find_class", "subprocess.Popen", "os.system", "exec", "import"}
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("inside", [True, False])
def test_links_are_not_followed(saved, tmp_path, name, inside):
    target = (saved if inside else tmp_path) / "elsewhere"
    (saved / name).rename(target)  # a good file
    (saved / name).symlink_to(target)
    refusal(saved, f"{name}: got a symbolic link, allowed is a regular file")


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "../nowhere", CARD_NAME])
def test_links_to_anything_are_refused(saved, name, target):
    (saved / name).unlink()
    (saved / name).symlink_to(target)
    refusal(saved, f"{name}: got a symbolic link" if name != target else "got a symbolic link")


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
def test_pipes_and_sockets_are_refused_at_once(saved, name, monkeypatch):
    (saved / name).unlink()
    os.mkfifo(saved / name)
    refusal(saved, f"{name}: got a named pipe, allowed is a regular file")
    (saved / name).unlink()
    monkeypatch.chdir(saved)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(name)
        refusal(saved, f"{name}: got a socket, allowed is a regular file")


def test_devices_are_refused(saved):
    (saved / CARD_NAME).unlink()
    try:
        os.mknod(saved / CARD_NAME, 0o600 | 0o020000, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")
    refusal(saved, "got a device, allowed is a regular file")


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_files_that_are_swapped_after_the_first_look_are_refused(
    saved, tmp_path, name, kind, monkeypatch
):
    good = tmp_path / "good"
    (saved / name).rename(good)
    if kind == "link":
        (saved / name).symlink_to(good)
    else:
        os.mkfifo(saved / name)
    monkeypatch.setattr(type(saved), "lstat", lambda path: os.lstat(good))
    refusal(saved, f"{name}: cannot be read" if kind == "link" else f"{name}: got a named pipe")


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
def test_missing_files_and_folders_in_their_place_are_refused(saved, name):
    (saved / name).unlink()
    refusal(saved, f"{name}: no such file")
    (saved / name).mkdir()
    refusal(saved, f"{name}: got a folder, allowed is a regular file")


def test_a_file_in_place_of_the_folder_is_refused(saved):
    refusal(saved / CARD_NAME, "cannot be read: Not a directory")
    refusal(saved / ("x" * 300), "cannot be read: File name too long")
