"""`python -m tests.mutants`: exit code 0 only if every mutant is killed."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.campaign import CAMPAIGN
from tests.mutants.mutant import Mutant, StaleMutantError
from tests.mutants.numeric import NUMERIC
from tests.mutants.runner import Outcome, Tree

ROOT = Path(__file__).resolve().parents[2]


def say(line: str) -> None:
    """Print a line at once, also into a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def judged(mutants: list[Mutant], jobs: int) -> list[Outcome]:
    """Judge mutants in as many copies of the tree as jobs, and say of each what became of it."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(jobs):
            trees.put(Tree(ROOT, Path(folder) / str(number)))

        def judge(mutant: Mutant) -> Outcome:
            tree = trees.get()
            try:
                outcome = tree.judge(mutant)
            finally:
                trees.put(tree)
            say(f"{outcome.verdict:8} {outcome.seconds:6.1f} s  {mutant.name}")
            if outcome.verdict == "not run":
                say(outcome.output)
            return outcome

        return list(pool.map(judge, mutants))


def sound(tests: list[str]) -> bool:
    """Whether the tests pass on the tree as it is; else a red test would pass for one that noticed something."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        code, output = Tree(ROOT, Path(folder) / "whole").run(tests)
    if code:
        say(f"the tests do not pass without a mutant; fix that first:\n{output}")
    return code == 0


def changed_since(revision: str) -> set[str]:
    """Files of the repository that differ from a revision of git, relative to it."""
    command = ["git", "diff", "--name-only", revision, "--"]
    return set(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the mutants and check that their texts are there")
    parser.add_argument("--only", default="", metavar="PATTERN", help="regular expression on file and text")
    parser.add_argument("--since", metavar="REVISION", help="only those whose file or tests changed since then")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time, each in a copy of its own")
    options = parser.parse_args()
    mutants = [mutant for mutant in (*NUMERIC, *CAMPAIGN) if re.search(options.only, mutant.name)]
    if options.since:
        changed = changed_since(options.since)
        mutants = [mutant for mutant in mutants if changed & {mutant.file, *mutant.tests.split()}]
    stale = []
    for mutant in mutants:
        try:
            mutant.applied(ROOT)
        except StaleMutantError as error:
            stale.append(str(error))
    if stale or not mutants:
        say("\n".join(stale) or "no mutant is asked for")
        return 1
    if options.list:
        say("\n".join(f"{mutant.name}  ← {mutant.tests}" for mutant in mutants))
        return 0
    if not sound(sorted({test for mutant in mutants for test in mutant.tests.split()})):
        return 1
    outcomes = judged(mutants, max(1, options.jobs))
    left = [outcome for outcome in outcomes if outcome.verdict != "killed"]
    say(f"{len(outcomes) - len(left)} of {len(outcomes)} mutants killed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
