"""RLlib: the identifiers with the prefix `dtao_gym:`, which remote workers import."""

import numpy as np
import pytest

pytest.importorskip("ray.rllib")

import ray
from ray.rllib.algorithms.ppo import PPOConfig

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, scope="module")
def cluster():
    """A cluster of this test: not one that another program has left behind."""
    ray.init(address="local", num_cpus=1, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize("name", ["StakerSmall", "BuilderDiscrete"])
def test_ppo_trains(name):
    config = (
        PPOConfig()
        .environment(
            f"dtao_gym:dtao_gym/{name}-v0", env_config={"n_subnets": 4, "horizon_days": 20}
        )
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=200, minibatch_size=100, num_epochs=1)
    )
    algorithm = config.build_algo()
    try:
        found = algorithm.train()["env_runners"]
        assert found["episode_len_mean"] == 20
        assert np.isfinite(found["episode_return_mean"])
    finally:
        algorithm.stop()
