"""A mutation check: known places are broken one by one, and the tests named for each must fail.

    python -m tests.mutants [--list] [--only PATTERN] [--jobs N]

It is no test of the suite, since it takes minutes. A mutant is one line in `numeric.py` or `campaign.py`.
"""
