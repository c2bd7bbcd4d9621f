"""User-written emission rules by name, id and import path, also in another process."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dtao_gym.protocol.allocation import ALLOCATIONS, USER_RULE
from dtao_gym.protocol.plugins import RuleError, allocation_id, allocation_rule, resolve
from tests.protocol.user_rules import square_root

pytestmark = pytest.mark.usefixtures("empty_registry")


REPOSITORY = Path(__file__).parents[2]


def test_allocation_ids():
    rule = allocation_rule("square_root")(square_root)
    assert allocation_id("square_root") == (USER_RULE, rule.address)
    assert {name: allocation_id(name) for name in ALLOCATIONS} == {
        name: (number, 0) for name, number in ALLOCATIONS.items()
    }
    assert rule.address != 0


MODULE = """\
import numpy as np
import dtao_gym

@dtao_gym.allocation_rule("{name}")
def decorated(market):
    return np.ones(market.votes.size) / market.votes.size

def plain(market):
    return np.zeros(market.votes.size)

def broken(market):
    return market.nothing

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module on the path, fresh for each test."""
    name = f"rules_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(name="equal_parts"))
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_import_path_finds_rules_and_functions(module):
    rule = resolve(f"{module}:decorated")
    assert rule.name == "equal_parts"
    assert resolve("equal_parts") is rule
    assert resolve(rule.import_path) is rule
    plain = resolve(f"{module}:plain")
    assert plain.name == f"{module}:plain"
    assert resolve(f"{module}:plain") is plain
    assert allocation_id(f"{module}:plain") == (USER_RULE, plain.address)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "nope",
            r"unknown emission rule 'nope'; allowed are uniform, .*root_vote, or the import path",
        ),
        (
            "nowhere.at.all:f",
            r"importing nowhere.at.all failed: ModuleNotFoundError: No module named",
        ),
        ("{}:nothing", r"module .* has no 'nothing'"),
        ("{}:number", r"got a int; a function is needed"),
        ("{}:broken", r"does not compile: .*\.py:12: Unknown attribute 'nothing'"),
        ("{}:", r"an import path is package.module:function"),
        (":f", r"an import path is package.module:function"),
        ("a b:f", r"an import path is package.module:function"),
    ],
)
def test_wrong_import_path_is_refused(module, path, message):
    with pytest.raises(RuleError, match=message) as caught:
        allocation_id(path.format(module))
    assert "\n" not in str(caught.value)


def test_module_that_fails_when_it_is_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "fails_at_import.py").write_text("raise OSError('no\\nroom')")
    with pytest.raises(RuleError, match="importing fails_at_import failed: OSError: no room"):
        resolve("fails_at_import:f")
    (tmp_path / "refused_at_import.py").write_text(MODULE.format(name="price"))
    with pytest.raises(RuleError, match=r"^rule 'price' is built in"):
        resolve("refused_at_import:plain")


def test_other_process_finds_the_rule_by_its_import_path(module, tmp_path):
    program = f"""
        import numpy as np
        from dtao_gym.protocol.allocation import NO_REST, Market
        from dtao_gym.protocol.plugins import allocation_id, apply_user_rule
        number, address = allocation_id("{module}:decorated")
        out = np.empty(4)
        assert apply_user_rule(address, Market(*np.ones((11, 4))), NO_REST, out) == 0
        print(number, out.tolist())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY}:{tmp_path}", "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == f"{USER_RULE} [0.25, 0.25, 0.25, 0.25]", done.stderr
