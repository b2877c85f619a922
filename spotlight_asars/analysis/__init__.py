"""What a log looks like before any model: how often items come again, who has most events, how long people look."""

from spotlight_asars.analysis.dwell import DwellHistogram, dwell_histogram
from spotlight_asars.analysis.log_analysis import (
    Analysis,
    RepeatRates,
    Summary,
    TopShares,
    analyse,
    repeat_rates,
    summarise,
    top_shares,
)

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
