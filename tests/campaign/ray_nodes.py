"""Clusters of real `ray start` processes on loopback addresses, and jobs on them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.campaign.tiny import MARK, kill_marked
from tests.ports import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
LONGEST = 900
"""Seconds that a part of a test may take on a busy machine."""
HEAD = "127.0.0.2"


def without_ray(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without settings of Ray and of this package."""
    return {name: value for name, value in environment.items() if not name.startswith(("RAY_", "TBAR_"))}


class Jobs:
    """Who submits jobs to a cluster.

    Args:
        environment: of `ray job`.
        sessions: folder of Ray's sessions, which hold the logs of jobs.
    """

    def __init__(self, environment: Mapping[str, str], sessions: Path) -> None:
        self.environment, self._sessions = environment, sessions

    def job(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ray", "job", *words],
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
        )

    def submit(self, name: str, home: Path, *words: str, wait: bool = True) -> subprocess.CompletedProcess[str]:
        environment = json.dumps({"env_vars": {"TBAR_HOME": str(home)}})
        options = ["--submission-id", name, "--working-dir", str(ROOT), "--runtime-env-json", environment]
        return self.job("submit", *options, *([] if wait else ["--no-wait"]), "--", *words)

    def log(self, name: str) -> str:
        file = self._sessions / "session_latest" / "logs" / f"job-driver-{name}.log"
        return file.read_text() if file.exists() else ""

    def wait_until_logged(self, name: str, text: str) -> None:
        """Wait until a job has said something."""
        deadline = time.monotonic() + LONGEST
        while text not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)


class RayNodes:
    """A head that runs no stages, and nodes of one CPU each.

    Attributes:
        address: of the head, for who joins.
        environment: of who joins, with the cluster's token.
        jobs: who submits to it.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark, self._folder = uuid.uuid4().hex, folder
        (folder / "token").write_text(uuid.uuid4().hex * 2)
        self._dashboard = free_port()
        self.address = f"{HEAD}:{free_port(HEAD)}"
        self.environment = {
            **environment,
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
        }
        self.jobs = Jobs(
            {**self.environment, "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{self._dashboard}"}, folder / "ray"
        )
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}

    def start_head(self) -> None:
        """Start the head."""
        port = self.address.rsplit(":", 1)[1]
        self._start(
            0, "--head", f"--port={port}", "--num-cpus=0", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self._dashboard}", f"--ray-client-server-port={free_port(HEAD)}",
            f"--temp-dir={self._folder / 'ray'}",
        )  # fmt: skip

    def start_node(self, place: int) -> None:
        """Start a node; places count from 1."""
        # with a folder of its own: nodes would unpack what a job brings at one place, over each other
        self._start(place, f"--address={self.address}", "--num-cpus=1", f"--temp-dir={self._folder / f'n{place}'}")

    def _start(self, place: int, *words: str) -> None:
        options = [
            f"--node-ip-address=127.0.0.{2 + place}", f"--dashboard-agent-listen-port={free_port()}",
            "--object-store-memory=200000000", "--block", *words,
        ]  # fmt: skip
        log = self._folder / f"node-{place}.log"
        with log.open("wb") as output:
            self._nodes[place] = node = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *options],
                env={**self.environment, MARK: self._mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_up() -> bool:
            assert node.poll() is None, log.read_text()
            return "Ray runtime started." in log.read_text()

        wait_until(is_up)  # two that start at a time write the same files of the session

    def processes(self, name: str, place: int | None = None) -> list[psutil.Process]:
        """Processes that are called so, of one node or of all."""
        chosen = [self._nodes[place]] if place is not None else list(self._nodes.values())
        found = []
        for node in chosen:
            try:
                children = psutil.Process(node.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                continue
            found += [child for child in children if _name_of(child).startswith(name)]
        return found

    def kill_node(self, place: int) -> None:
        """Kill a node's raylet, and wait until the rest of the node has ended."""
        for raylet in self.processes("raylet", place):
            raylet.kill()
        try:
            self._nodes[place].wait(60)
        except subprocess.TimeoutExpired:  # `ray start` notices it by itself
            os.killpg(self._nodes[place].pid, signal.SIGKILL)
            self._nodes[place].wait()

    def wait_until_ready(self, nodes: int) -> None:
        """Wait until jobs run and so many nodes are there beside the head."""
        deadline = time.monotonic() + LONGEST
        count = "import ray; ray.init(); print('nodes:', sum(n['Alive'] for n in ray.nodes()))"
        while f"nodes: {1 + nodes}" not in (said := self.jobs.job("submit", "--", "python", "-c", count).stdout):
            assert time.monotonic() < deadline, said
            time.sleep(1)

    def stop(self) -> None:
        for node in self._nodes.values():
            node.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        for node in self._nodes.values():
            try:
                node.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.kill()
        kill_marked(self._mark)


def _name_of(process: psutil.Process) -> str:
    try:
        first = "".join(process.cmdline()[:1])
        return first if first.startswith("ray::") else str(process.name())
    except psutil.Error:
        return ""


@contextmanager
def ray_nodes(environment: Mapping[str, str], nodes: int) -> Iterator[RayNodes]:
    """Run a head and so many nodes."""
    folder = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))  # short: Ray's sockets lie there
    made = RayNodes(folder, environment)
    try:
        made.start_head()
        for place in range(1, 1 + nodes):
            made.start_node(place)
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
