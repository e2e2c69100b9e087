"""How often a stage is tried again after a loss. A loss says nothing of the stage: its errors are never tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tbar_ray.stages.lost import Cause

MOST: Mapping[Cause, int] = {"process": 3, "node": 20}
"""Further attempts, by what was lost. A process may end because of its stage (too little memory, a crash of a
library), so that few are worth while. A node that is taken away has nothing to do with it, and that happens often.
"""


class Attempts:
    """The attempts at one stage."""

    def __init__(self) -> None:
        self._lost: Counter[Cause] = Counter()

    def again(self, cause: Cause) -> str | None:
        """Count a loss, and say so in one line; None if the stage is not to be tried again."""
        self._lost[cause] += 1
        if self._lost[cause] > MOST[cause]:
            return None
        return f"lost with its {cause}; it is tried again ({self._lost[cause]} of at most {MOST[cause]} times)"
