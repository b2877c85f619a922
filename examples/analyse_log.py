"""What is in a click log: its size, how sessions repeat within and across themselves, and how long users look.

    python examples/analyse_log.py
    python examples/analyse_log.py --events clicks.csv.gz --category department --plot analysis.png

Without ``--events`` the log is synthetic. The figure needs matplotlib.
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy

from spotlight_asars import EventLog
from spotlight_asars.analysis import analyse
from spotlight_asars.analysis.plots import plot_analysis
from spotlight_asars.datasets.synthetic import generate_sessions


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--user", default="user_id", metavar="COL", help="who; a session id where users are unknown")
    parser.add_argument("--item", default="item_id", metavar="COL", help="what")
    parser.add_argument("--timestamp", default="timestamp", metavar="COL", help="when: seconds, or dates and times")
    parser.add_argument("--dwell", metavar="COL", help="measured seconds on the item; else the gap to the next event")
    parser.add_argument("--category", metavar="COL", help="category of the item")
    parser.add_argument("--inactivity", type=float, default=3600, metavar="SECONDS", help="what ends a session")
    parser.add_argument(
        "--session-support", type=int, default=1, metavar="N", help="leave out sessions of fewer events"
    )
    parser.add_argument(
        "--earlier", type=int, default=1, metavar="N", help="repeats: sessions with N or more before them"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw the figure into this file: png, pdf, svg")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic log")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.events is None:
        log = generate_sessions(random_state=args.seed)
        print(f"synthetic log, seed {args.seed}")
    else:
        log = EventLog.read(args.events, args.user, args.item, args.timestamp, args.dwell, args.category)
        print(f"read {args.events}")
    print(f"sessions end where a user is idle for {args.inactivity:g} s", end="")
    if args.session_support > 1:
        log = log.filter_support(item=0, session=args.session_support, inactivity=args.inactivity)
        print(f"; those of fewer than {args.session_support} events are left out", end="")
    analysis = analyse(log, args.inactivity, earlier=args.earlier)
    print(f"; numpy {np.__version__}, scipy {scipy.__version__}\n\n{analysis}")
    if args.plot:
        plot_analysis(analysis).savefig(args.plot)
        print(f"\nfigure in {args.plot}")


if __name__ == "__main__":
    main()
