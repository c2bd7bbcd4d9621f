# `make train` from a clean image: trains the quickstart staker, compares it with the baselines, and plays it on real prices.
#
#   docker build --tag dtao-gym .
#   docker run --rm --volume dtao-runs:/home/gym/dtao-gym/runs dtao-gym
#   docker run --rm dtao-gym dtao rules mainnet-2026-09-06
#
# The default wheel of torch for Linux on x86-64 brings CUDA, some gigabytes that are not used here. To install its CPU build, give the
# address of PyTorch's index of CPU wheels: docker build --build-arg PIP_EXTRA_INDEX_URL=... --tag dtao-gym .
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home gym \
    && install --directory --owner gym --group gym /home/gym/dtao-gym /home/gym/dtao-gym/runs
USER gym
WORKDIR /home/gym/dtao-gym
ENV PATH=/home/gym/dtao-gym/.venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1

COPY --chown=gym:gym Makefile constraints.txt hatch_build.py pyproject.toml LICENSE README.md ./
COPY --chown=gym:gym evaluate.py probe.py train.py ./
COPY --chown=gym:gym agents ./agents
COPY --chown=gym:gym configs ./configs
COPY --chown=gym:gym dtao_gym ./dtao_gym
COPY --chown=gym:gym policies ./policies
COPY --chown=gym:gym tests/golden ./tests/golden

ARG PIP_EXTRA_INDEX_URL
RUN make .venv/.installed-to-learn

# A short training compiles what `make train` uses. A processor of another kind compiles it again at its first run.
RUN python train.py configs/staker_quickstart.yaml --total-timesteps 8192 --run-dir /tmp/first \
    && python evaluate.py /tmp/first --episodes 2 \
    && python evaluate.py /tmp/first --replay \
    && rm -r /tmp/first

CMD ["make", "train"]
