from .summary import RunSummary as RunSummary
from .summary import read_summary as read_summary
from .write import write_report as write_report
