"""The lead of a builder over its twin: what a critic needs where rewards are differences of two worlds."""

import numpy as np

from dtao_gym.world.batch import Batch

TWIN_FEATURES = (
    "lead_short_stock",  # own less the twin's stock / 20, cut at -1 and 1
    "lead_knowledge",  # / 50
    "lead_pipeline_early",  # / 5
    "lead_pipeline_middle",
    "lead_pipeline_late",
    "lead_influence_stock",  # / 10
)
"""Names of the features that `twin_world` adds at the end of an observation; no policy needs them."""
_SCALES = (20.0, 50.0, 5.0, 5.0, 5.0, 10.0)


def lead(batch: Batch, slot: int) -> np.ndarray:
    """Return `TWIN_FEATURES` `(n_worlds, 6)` float32 of a slot.

    The twins are the second half of the batch; their own features are 0.
    """
    state, stages = batch.state, batch.layout.pipeline_stages
    pipeline = np.zeros((3, batch.n_worlds))
    for k in range(stages):
        pipeline[3 * k // stages] += state.section("pipeline")[:, k, slot]
    stocks = (
        state.row("short_stock")[:, slot],
        state.row("knowledge")[:, slot],
        *pipeline,
        state.row("influence_stock")[:, slot],
    )
    half = batch.n_worlds // 2
    features = np.zeros((batch.n_worlds, len(TWIN_FEATURES)), np.float32)
    for k, (stock, scale) in enumerate(zip(stocks, _SCALES, strict=True)):
        features[:half, k] = np.clip((stock[:half] - stock[half:]) / scale, -1.0, 1.0)
    return features
