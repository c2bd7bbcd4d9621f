"""Speed of PPO and the time of its parts: `python benchmarks/ppo.py [--against CHECKOUT] [--quick]`.

Trains the quickstart of `configs/` without writing files, and prints steps per second of wall and of processor time,
then microseconds per step of each part. With another checkout both run in turns, a few rollouts each, so that a
temporary load on the machine slows both; the ratio is the median over turns. Finally, forward and backward passes of the
shared networks are timed, compiled and in torch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROLLOUT = 8192


class Trainer:
    """The quickstart's PPO in this process, with a clock around its parts."""

    def __init__(self, threads: int):
        import torch
        import yaml

        if Path("agents/dtao_agents").is_dir():
            from dtao_agents.training import ppo as learn
            from dtao_agents.training.settings import TrainConfig
        else:  # a checkout from before the package dtao_agents
            from agents.settings import TrainConfig

            from agents import learn

        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        content = yaml.safe_load(Path("configs/staker_quickstart.yaml").read_text())
        settings = TrainConfig.make(content | {"threads": threads, "torch_threads": 1})
        share = getattr(getattr(learn, "fused_networks", None), "set_threads", None)
        if share:  # older checkouts lack it
            share(threads)
        env = learn.TrainingEnv(settings)
        self.model, self.spent = learn.make_model(settings, env), {}
        for owner, name in (
            (env, "step"),
            (self.model.policy, "forward"),
            (self.model.policy, "predict_values"),
            (self.model.policy, "evaluate_actions"),
            (torch.Tensor, "backward"),
            (self.model.policy.optimizer, "step"),
            (self.model, "train"),
        ):
            self._watch(owner, name)
        self.learn(1)

    def _watch(self, owner, name):
        """Add up the processor time of a method in `spent`."""
        label = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
        method = getattr(owner, name)

        def timed(*args, **kwargs):
            start = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.spent[label] = self.spent.get(label, 0.0) + time.process_time() - start

        setattr(owner, name, timed)

    def learn(self, rollouts: int) -> dict:
        """Train for some rollouts; returns wall and processor seconds, and processor seconds of the parts."""
        self.spent.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        first = self.model.num_timesteps == 0
        steps = rollouts * ROLLOUT
        self.model.learn(steps, log_interval=2**62, reset_num_timesteps=first)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall": wall, "cpu": cpu, "parts": dict(self.spent)}


def serve(threads: int) -> None:
    """Train as many rollouts as each line of the input names, and print the times as a line of JSON."""
    trainer = Trainer(threads)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(trainer.learn(int(line))), flush=True)


class Worker:
    """A process that trains with the code of a checkout."""

    def __init__(self, checkout: Path, threads: int):
        # this script, with the package of the checkout
        paths = [str(checkout), str(checkout / "agents")]
        code = f"import sys; sys.path[:0] = {paths!r}; import runpy; sys.argv = ['ppo', '--serve', '{threads}']; "
        code += f"runpy.run_path({str(Path(__file__).resolve())!r}, run_name='__main__')"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", code], cwd=checkout, **pipes)
        assert self.process.stdout.readline() == "ready\n"

    def learn(self, rollouts: int) -> dict:
        """As `Trainer.learn`."""
        self.process.stdin.write(f"{rollouts}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def compare(checkouts: dict[str, Path], threads: int, turns: int, rollouts: int) -> None:
    """Measure checkouts in turns; prints speeds and the ratios of the first to the others."""
    workers = {name: Worker(path, threads) for name, path in checkouts.items()}
    times: dict[str, list[dict]] = {name: [] for name in workers}
    for _ in range(turns):
        for name, worker in workers.items():
            times[name].append(worker.learn(rollouts))
    steps = rollouts * ROLLOUT
    print(f"\nQuickstart PPO, {threads} thread(s), {turns} turns of {steps} steps; medians")
    for clock in ("wall", "cpu"):
        for name, runs in times.items():
            speeds = sorted(steps / run[clock] for run in runs)
            middle = statistics.median(speeds)
            print(
                f"  {name:10} {middle:9,.0f} steps/s of {clock:4} ({speeds[0]:,.0f} to {speeds[-1]:,.0f})"
            )
        first, *others = times
        for other in others:
            pairs = zip(times[first], times[other], strict=True)
            ratio = statistics.median(theirs[clock] / mine[clock] for mine, theirs in pairs)
            print(f"  {first} is {ratio:.2f} times as fast as {other} by {clock} time")
    print("  us of processor time per step, in")
    for name, runs in times.items():
        total = statistics.median(run["cpu"] for run in runs)
        print(f"    {name:10} {1e6 * total / steps:7.2f} all")
        for part in runs[0]["parts"]:
            seconds = statistics.median(run["parts"][part] for run in runs)
            print(f"    {'':10} {1e6 * seconds / steps:7.2f} {part}")
    for worker in workers.values():
        worker.close()


def networks(repeats: int) -> None:
    """Time forward and backward passes, in torch and compiled, and print them."""
    import torch
    from dtao_agents.training.architecture import Architecture

    def fastest(run, *arguments) -> float:
        run(*arguments)
        times = []
        for _ in range(repeats):
            start = time.process_time()
            run(*arguments)
            times.append(time.process_time() - start)
        return 1e6 * min(times)

    def forward_and_backward(run, observations) -> None:
        run(observations).sum().backward()

    torch.set_num_threads(1)
    print(
        "\nShared networks, 16 subnets, hidden 16: us per sample of processor time, torch / compiled"
    )
    shape = Architecture("shared", 16, 16)
    for name, module in (("actor", shape.actor()), ("critic", shape.critic())):
        for rows in (1, 256, 4096):
            observations = torch.rand(rows, shape.observation_size)
            passes = (module.reference, module)
            with torch.no_grad():
                forward = [fastest(run, observations) / rows for run in passes]
            both = [fastest(forward_and_backward, run, observations) / rows for run in passes]
            print(
                f"  {name:6} {rows:5} rows: forward {forward[0]:8.3f} /{forward[1]:7.3f}, "
                f"and backward {both[0]:8.3f} /{both[1]:7.3f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, to run in turns")
    parser.add_argument("--threads", type=int, default=2, help="threads of the training")
    parser.add_argument("--quick", action="store_true", help="a few seconds only")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    checkouts = {"this": ROOT}
    if options.against:
        checkouts["other"] = options.against.resolve()
    turns, rollouts = (2, 2) if options.quick else (15, 6)
    compare(checkouts, options.threads, turns, rollouts)
    networks(20 if options.quick else 200)


if __name__ == "__main__":
    main()
