"""The figures of a campaign: pure functions from trial records to matplotlib figures, one module per figure.

matplotlib is imported when a figure is drawn, not when this package is.
"""

from tbar_ray.report.figures.ablation import ablation_figure
from tbar_ray.report.figures.alpha import alpha_figure
from tbar_ray.report.figures.attacks import attacks_figure
from tbar_ray.report.figures.contact import Examples, contact_sheet
from tbar_ray.report.figures.disentanglement_figure import disentanglement_figure
from tbar_ray.report.figures.growth_figure import growth_figure
from tbar_ray.report.figures.growth_geometry import growth_geometry_figure
from tbar_ray.report.figures.methods import methods_figure
from tbar_ray.report.figures.rebound_figure import rebound_figure
from tbar_ray.report.figures.tradeoff import tradeoff_figure
from tbar_ray.report.figures.transfer import transfer_figure
from tbar_ray.report.figures.visibility import visibility_figure

__all__ = [
    "Examples",
    "ablation_figure",
    "alpha_figure",
    "attacks_figure",
    "contact_sheet",
    "disentanglement_figure",
    "growth_figure",
    "growth_geometry_figure",
    "methods_figure",
    "rebound_figure",
    "tradeoff_figure",
    "transfer_figure",
    "visibility_figure",
]
