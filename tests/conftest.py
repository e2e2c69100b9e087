"""Set before anything imports Ray, which reads its environment then; and MLflow's quiet."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

from tbar_ray.campaign.ray_environment import prepare

prepare("local")
