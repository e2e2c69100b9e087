"""From a spec to trials and the stages that answer them: axes, trial, graph, checks before the run, plan."""
