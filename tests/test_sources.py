"""The import closures that caches are keyed by."""

import importlib

import pytest

from dtao_gym.sources import fingerprint, import_closure


def names(module):
    return {"/".join(path.with_suffix("").parts[-2:]) for path in import_closure(module)}


def test_a_closure_holds_what_is_imported_directly_and_not_and_nothing_else():
    closure = names("dtao_gym.world.day")
    assert {"world/day", "world/production", "economy/technology", "dtao_gym/__init__"} <= closure
    assert not {"envs/single", "dtao_gym/comparison"} & closure


def test_the_caches_of_the_probe_and_of_the_results_know_what_they_depend_on():
    cells, gates = names("dtao_agents.equilibrium.feedback_game"), names("dtao_agents.probe.gates")
    assert {"equilibrium/first_order", "equilibrium/slot_game", "world/day"} <= cells
    assert not any(name.startswith("probe/") for name in cells)
    assert {"oracles/closed", "oracles/markets", "oracles/simulated", "probe/controls"} <= gates
    assert "training/sb3_policy" in names("dtao_agents.training.ppo")
    assert "training/ppo" in names("dtao_agents.training.multi_agent_run")


def test_every_kernel_depends_on_the_rules_that_it_calls():
    kernels = names("dtao_agents.training.network_kernels")
    assert {"training/float_vectors", "training/vector_loops", "dtao_gym/compiling"} <= kernels
    assert not {"training/fused_networks", "training/networks"} & kernels


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "toy_sources"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "rule": "def f():\n    from toy_sources import late\n    return late\n",
        "late": "import numpy\nfrom toy_sources.part import (\n    one,\n    two,\n)\n",
        "part": "from .other import three\none, two = 1, 2\n",
        "other": "import math, toy_sources.second as s\nfrom . import \\\n    third  # (x\nthree = 3\n",
        "second": "from toy_sources import (  # all (of them)\n    fourth,\n)\n",
        "third": "",
        "fourth": "",
        "unused": "",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def test_imports_in_functions_over_several_lines_and_relative_ones_count(package):
    stems = {path.stem for path in import_closure("toy_sources.rule")}
    assert stems == {"__init__", "rule", "late", "part", "other", "second", "third", "fourth"}


def test_a_fingerprint_changes_with_any_file_of_the_closure_and_with_no_other(package):
    before = fingerprint("toy_sources.rule")
    (package / "unused.py").write_text("x = 1\n")
    assert fingerprint("toy_sources.rule") == before
    (package / "part.py").write_text("one, two = 1, 3\n")
    assert fingerprint("toy_sources.rule") != before


def test_a_module_without_a_source_file_is_refused():
    with pytest.raises(ModuleNotFoundError, match=r"dtao_gym\.nothing"):
        import_closure("dtao_gym.nothing")
