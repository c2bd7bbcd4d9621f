"""Features that both roles observe."""

import pytest

from dtao_gym.envs.features import immunity_left


@pytest.mark.parametrize(
    ("block", "registered", "left"),
    [
        (1000.0, 1000.0, 1.0),
        (1250.0, 1000.0, 0.75),
        (2000.0, 1000.0, 0.0),
        (9000.0, 1000.0, 0.0),
        (900.0, 1000.0, 1.0),  # in replays a day's close is dated before the day's registrations
        (900.0, -1.0, 0.0),
    ],
)
def test_immunity_is_a_part_of_its_period(block, registered, left):
    assert immunity_left(block, registered, 1000.0) == left
