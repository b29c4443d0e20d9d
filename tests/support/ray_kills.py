"""Kills what belongs to a run on a Ray cluster of this machine: its actors, its driver, or a whole node.

    python tests/support/ray_kills.py actors|driver|node [--kills 20] [--pictures 300]

A cluster of two nodes with one CPU each is started, one process answers the pictures for comparison, then the command
runs on the cluster, and is given again until it ends by itself; all that again until so many kills are done. Each time
`unprompt merge` must write what the one process wrote, byte for byte. Actors and drivers are killed with SIGKILL at
random moments while answers come, so that a busy machine does not have them killed as they start, and a quarter of the
drivers before that; the second node is taken away once, when the first answers are written.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import kills
import tiny_models

COMMAND = (sys.executable, "-m", "unprompt")
PAUSE_S = (0.0, 1.0)
EARLY_S = (0.5, 8.0)
EARLY = 0.25
"""Of the drivers, how many are killed before their first answers, or at least without a look whether there are any."""


def processes(title: bytes, below: set[int]) -> Iterator[int]:
    """Processes of this title among the children of some."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(words[1]) in below and (folder / "cmdline").read_bytes().startswith(title):
                yield int(folder.name)
        except OSError:
            continue  # it has just ended


def raylets(cluster: Any) -> set[int]:
    """The processes of the nodes that start the actors."""
    nodes = [cluster.head_node, *cluster.worker_nodes]
    return {info.process.pid for node in nodes for info in node.all_processes["raylet"]}


class Proof:
    """One cluster, the pictures, and what one process makes of them."""

    def __init__(self, place: Path, pictures: int, seed: int) -> None:
        from unprompt.scale.ray.cluster import imported

        os.environ.update(RAY_worker_niceness="0")  # Ray's own 15 lets nothing happen on a busy machine
        imported()
        from ray.cluster_utils import Cluster

        self.chance = random.Random(seed)
        self.place, self.out = place, place / "out"
        kills.make_pictures(place / "pictures", pictures, side=400)
        self.preset = tiny_models.preset(place / "tiny.toml", tiny_models.regressor(place / "linear.tiny"))
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.second = self.cluster.add_node(num_cpus=1)
        self.run("-o", str(place / "one.jsonl"))

    def command(self, *options: str) -> list[str]:
        """The command line."""
        pictures = str(self.place / "pictures")
        return [*COMMAND, pictures, "--preset", str(self.preset), "--no-text", "--embedding", "--quiet", *options]

    def run(self, *options: str) -> None:
        """Run the command to its end."""
        said = subprocess.run(self.command(*options), capture_output=True, text=True, check=False)
        if said.returncode not in (0, 3):
            sys.exit(f"exit code {said.returncode}: {said.stderr[-2000:]}")

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command on the cluster."""
        options = ("-o", str(self.out), "--cluster", "ray", "--actors", "2", "--chunk-pictures", "8")
        environment = {**os.environ, "RAY_ADDRESS": self.cluster.address}
        return subprocess.Popen(self.command(*options), env=environment, stderr=subprocess.DEVNULL)

    def until_done(self, kill: Any, count: int, *, early: float) -> int:
        """Run it again and again, killing so often at most; returns how often that was."""
        killed = 0
        while True:
            run = self.start()
            while run.poll() is None:
                self.wait(run, early=self.chance.random() < early)
                if killed < count and run.poll() is None and kill(run):
                    killed += 1
            if run.returncode in (0, 3):
                return killed
            if run.returncode != -signal.SIGKILL:
                sys.exit(f"exit code {run.returncode}")

    def wait(self, run: subprocess.Popen[bytes], *, early: bool) -> None:
        """Wait for a random moment: `early`, after now; otherwise after the next answers are written."""
        before = self.answered()
        while not early and run.poll() is None and self.answered() <= before:
            time.sleep(0.02)
        time.sleep(self.chance.uniform(*(EARLY_S if early else PAUSE_S)))

    def answered(self) -> int:
        """Bytes of the logs of what is written."""
        return sum(path.stat().st_size for path in (self.out / ".work").glob("*.log"))

    def kill_actor(self, _run: subprocess.Popen[bytes]) -> bool:
        """Kill one of the actors."""
        actors = list(processes(b"ray::Answerer", raylets(self.cluster)))
        if actors:
            os.kill(self.chance.choice(actors), signal.SIGKILL)
        return bool(actors)

    def kill_driver(self, run: subprocess.Popen[bytes]) -> bool:
        """Kill the command."""
        run.kill()
        return True

    def remove_node(self, _run: subprocess.Popen[bytes]) -> bool:
        """Take the second node away."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        return True

    def check(self) -> bool:
        """Whether the merged answers are those of the one process."""
        merged = self.place / "merged.jsonl"
        subprocess.run([*COMMAND, "merge", str(self.out), "-o", str(merged), "--quiet"], check=False)
        return merged.read_bytes() == (self.place / "one.jsonl").read_bytes()


def main() -> None:
    """Run the proof and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["actors", "driver", "node"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unprompt-ray-kills-") as folder:
        proof = Proof(Path(folder), given.pictures, given.seed)
        how = {"actors": proof.kill_actor, "driver": proof.kill_driver, "node": proof.remove_node}[given.what]
        wanted = 1 if given.what == "node" else given.kills
        killed = rounds = equal = 0
        while killed < wanted:
            shutil.rmtree(proof.out, ignore_errors=True)
            killed += proof.until_done(how, wanted - killed, early=EARLY if given.what == "driver" else 0.0)
            rounds, equal = rounds + 1, equal + proof.check()
        proof.cluster.shutdown()
        print(f"{given.what}: {killed} killed in {rounds} runs of {given.pictures} pictures, {equal} equal", flush=True)
        sys.exit(equal < rounds)


if __name__ == "__main__":
    main()
