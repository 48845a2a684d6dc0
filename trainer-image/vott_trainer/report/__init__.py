"""The report and the other files that describe a model (docs/results.md)."""

from vott_trainer.report.files import not_written, write
from vott_trainer.report.result import Result

__all__ = ["Result", "not_written", "write"]
