"""Mutants of the rooms that plan, run, record and report a campaign; one line each."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CAMPAIGN: tuple[Mutant, ...] = ()
