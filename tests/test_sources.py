"""The import closures that caches are keyed by."""

import pytest

from dtao_gym.sources import fingerprint, import_closure


def names(module):
    return {"/".join(path.with_suffix("").parts[-2:]) for path in import_closure(module)}


def test_a_closure_holds_what_is_imported_directly_and_not_and_nothing_else():
    found = names("dtao_gym.world.day")
    assert {"world/day", "world/production", "economy/technology", "dtao_gym/__init__"} <= found
    assert not {"envs/single", "dtao_gym/comparison"} & found


def test_the_caches_of_the_probe_and_of_the_results_know_what_they_depend_on():
    cells, gates = names("dtao_agents.probe.cells"), names("dtao_agents.probe.gates")
    assert {"equilibrium/nash", "equilibrium/builder_game", "world/day"} <= cells
    assert {"oracles/closed", "oracles/markets", "oracles/simulated", "probe/controls"} <= gates
    assert "training/sb3_policy" in names("dtao_agents.training.ppo")
    assert "training/ppo" in names("dtao_agents.training.multi_agent_run")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package under a name of its own, since folders of packages are cached."""
    folder = tmp_path / f"package_{tmp_path.name}"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "rule": f"def f():\n    from {folder.name} import late\n    return late\n",
        "late": f"import numpy\nfrom {folder.name}.part import (\n    one,\n    two,\n)\n",
        "part": "one, two = 1, 2\n",
        "unused": "",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_imports_in_functions_and_over_several_lines_count(package):
    found = {path.stem for path in import_closure(f"{package.name}.rule")}
    assert found == {"__init__", "rule", "late", "part"}


def test_a_fingerprint_changes_with_any_file_of_the_closure_and_with_no_other(package):
    before = fingerprint(f"{package.name}.rule")
    (package / "unused.py").write_text("x = 1\n")
    assert fingerprint(f"{package.name}.rule") == before
    (package / "part.py").write_text("one, two = 1, 3\n")
    assert fingerprint(f"{package.name}.rule") != before


def test_a_module_without_a_source_file_is_refused():
    with pytest.raises(ModuleNotFoundError, match=r"dtao_gym\.nothing"):
        import_closure("dtao_gym.nothing")
