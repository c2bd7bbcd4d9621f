"""Fixtures that the tests of the protocol share."""

import pytest

from dtao_gym.protocol import plugins


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of rules without those of other tests."""
    monkeypatch.setattr(plugins, "_RULES", {})
