"""Who computes what and where: Ray, the coordinator of stages, locality."""
