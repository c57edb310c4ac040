"""Two recorded runs, or a baseline and a run, compared: pure functions of what was recorded."""

from reports.compare.baseline import Baseline, load_baseline, parse_share, save_baseline
from reports.compare.comparable import Difference
from reports.compare.comparison import Comparison, Judgement, Outcome, Row, Rules, compare
from reports.compare.subject import Subject, subject_of

__all__ = [
    "Baseline",
    "Comparison",
    "Difference",
    "Judgement",
    "Outcome",
    "Row",
    "Rules",
    "Subject",
    "compare",
    "load_baseline",
    "parse_share",
    "save_baseline",
    "subject_of",
]
