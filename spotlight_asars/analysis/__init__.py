"""What a log looks like before any model: sizes, shares of the top items, repeats across sessions, dwell times.

``analyse`` computes all of it, ``plots.plot_analysis`` draws it, ``tables`` prints it, and other tables.
"""

from spotlight_asars.analysis.dwell import DwellHistogram, dwell_histogram
from spotlight_asars.analysis.log_analysis import Analysis, analyse
from spotlight_asars.analysis.shares import RepeatRates, TopShares, repeat_rates, top_shares
from spotlight_asars.analysis.summary import Summary, summarise

__all__ = [
    "Analysis",
    "DwellHistogram",
    "RepeatRates",
    "Summary",
    "TopShares",
    "analyse",
    "dwell_histogram",
    "repeat_rates",
    "summarise",
    "top_shares",
]
