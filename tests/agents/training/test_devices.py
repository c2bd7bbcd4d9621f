"""Devices of training: what cannot use a GPU says why in one line."""

import json

import pytest
import torch
from dtao_agents.training.checkpoints import latest_checkpoint
from dtao_agents.training.devices import torch_device
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.ppo import train
from safetensors.torch import load_file

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import builder_settings, settings

with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_the_cpu_is_the_default_and_always_there():
    for made in (settings(), builder_settings(), MultiAgentConfig.make()):
        assert torch_device("cpu", made) == "cpu"


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("auto", settings()) == torch_device("cuda", settings()) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("auto", settings()) == "cpu"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (settings(), "finds no GPU"),
        (builder_settings(), "the critic of a builder is solved for on the CPU"),
        (MultiAgentConfig.make(), "learners that share their worlds are trained on the CPU"),
    ],
)
def test_what_cannot_use_a_gpu_says_why(monkeypatch, made, reason):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "GPU" not in reason)
    with pytest.raises(ConfigError, match=f"device: got 'cuda', allowed are cpu, auto: .*{reason}"):
        torch_device("cuda", made)
    assert torch_device("auto", made) == "cpu"


def test_unknown_devices_are_refused():
    with pytest.raises(ConfigError, match="device: got 'tpu', allowed are cpu, cuda, auto"):
        torch_device("tpu", settings())


def test_the_manifest_names_the_device(tmp_path):
    train(settings(), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text())["device"] == "cpu"


@with_gpu
def test_a_run_on_a_gpu_continues_bit_for_bit(tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    for folder in (whole, half):
        folder.mkdir()
    made = settings(anneal=False)
    train(made, whole, device="cuda")
    train(settings(anneal=False, total_timesteps=512), half, device="cuda")
    train(made, half, resume=True, device="cuda")
    one, other = (load_file(run / "policy.safetensors") for run in (whole, half))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert "cuda" in json.loads((half / "manifest.json").read_text())["device"]


@with_gpu
def test_a_run_on_a_gpu_continues_on_the_cpu(tmp_path):
    train(settings(anneal=False, total_timesteps=512), tmp_path, device="cuda")
    train(settings(anneal=False), tmp_path, resume=True, device="cpu")
    assert latest_checkpoint(tmp_path / "checkpoints").name == "step_000000001024.safetensors"
