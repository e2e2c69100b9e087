"""The exit codes of `tbar`, for scripts: in one place, and the same for every command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    """All went well. Of `campaign run`: each of the launch's trials has a result; `infeasible` is one."""
    PROBLEMS = 1
    """The command did its work, and something is not well: a trial failed, a sample or an artifact is broken, a model
    is infected."""
    ERROR = 2
    """The command could not do its work, for a reason that one line on stderr gives: wrong words, a wrong spec, missing
    data, a store, tracking server or cluster that is lost, a campaign that another launch runs."""
    BUDGET = 3
    """Of `campaign run`: the next stage would have gone past --budget; the same command with more goes on."""
    INCONCLUSIVE = 3
    """Of `scan`: the scores neither show a backdoor nor speak against one, or a search did not converge."""
    NO_BACKDOOR = 4
    """Of `unlearn`: no backdoor was found under the given trigger, so that nothing was changed."""
    DEFECT = 70
    """A mistake of this program, with a traceback; to run the command again does not help."""
    INTERRUPTED = 130
    """Ended by Ctrl-C, SIGTERM or SIGHUP; the same command goes on where it was."""
    HUNG = 142
    """The same, of a process in which nothing got to run any more, so that the system ended it by SIGALRM."""
