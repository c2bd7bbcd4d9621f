"""Negative controls hold at a small size and fail under a technology that they do not assume."""

import pytest
from dtao_agents.probe.checks import Check, failures, from_records, to_records
from dtao_agents.probe.controls import CONTROLS, INSTITUTIONS
from dtao_agents.probe.gates import GATES, GateError, checks_of, control_gate, inputs_of_gate
from dtao_agents.probe.size import GATE

from tests.agents.probe.tiny import BROKEN

SMALL = GATE._replace(seeds=4, cap_days=400)


@pytest.mark.parametrize("id", ["NC1", "NC5", "NC6", "NC8"])
def test_exact_controls_hold_with_four_seeds(id):
    size = SMALL._replace(seeds=2) if id in ("NC1", "NC8") else SMALL
    checks = CONTROLS[id](size, {})
    assert checks
    assert failures(checks) == []


@pytest.mark.slow
@pytest.mark.parametrize("id", CONTROLS)
def test_controls_hold_at_the_size_of_the_gates(id):
    assert failures(CONTROLS[id](GATE, {})) == []


def test_identical_technologies_cover_all_arms_except_constant_pay():
    checks = CONTROLS["NC1"](SMALL._replace(seeds=2, cap_days=50), {})
    assert len(checks) == 2 * (2 * len(INSTITUTIONS) - 1)
    assert not any(check.institution.startswith("uniform, direct") for check in checks)


def test_constant_pay_is_never_a_number():
    (check,) = CONTROLS["NC6"](SMALL, {})
    assert check.got == "indeterminate"
    assert check.low is None


@pytest.mark.parametrize("technology", [BROKEN, {"knowledge_half_life_days": 1e9}])
@pytest.mark.parametrize("id", ["NC1", "NC4"])
def test_a_broken_technology_fails_a_control(technology, id):
    assert failures(CONTROLS[id](SMALL._replace(seeds=2), technology))


def test_checks_of_a_gate_are_records_that_depend_on_the_technology():
    gate = control_gate("NC4")
    assert failures(from_records(checks_of(gate, {}, {}))) == []
    assert [check.id for check in failures(from_records(checks_of(gate, BROKEN, {})))] == ["NC4"]
    inputs = [inputs_of_gate(gate, *given) for given in (({}, {}), (BROKEN, {}), ({}, BROKEN))]
    assert inputs[0] != inputs[1] != inputs[2] != inputs[0]


def test_the_message_of_failed_gates_names_each_once():
    error = GateError([Check(id, "", 0.0, 1.0, False) for id in ("NC4", "NC4", "POT")])
    assert str(error) == "gates: NC4, POT failed; no answer is given"


def test_all_controls_and_the_oracles_are_gates():
    assert [gate.name for gate in GATES] == [*CONTROLS, "oracles"]


def test_checks_survive_the_disk():
    checks = [
        Check("a", "b", 1.0, "indeterminate", False, 0.0, 2.0, "exact"),
        Check("c", "d", 1.0, 1.0, True),
    ]
    assert from_records(to_records(checks)) == checks
