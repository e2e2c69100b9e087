"""A campaign's report: results as JSON and CSV, figures, and a summary in Markdown."""

from tbar_ray.report.files import write_report
from tbar_ray.report.poisoned import examples_of

__all__ = ["examples_of", "write_report"]
