"""What the tests of the command line share: a log as a file, a small model, and one way to call a command."""

from __future__ import annotations

import json

import pandas as pd

from spotlight_asars.cli import main
from spotlight_asars.datasets.synthetic import generate_sessions

SMALL = [part for name in ("embedding_dim", "hidden_dim", "user_dim", "time_dim") for part in ("--set", f"{name}=8")]
SMALL += ["--set", "n_iter=1", "--quiet"]


def raw_frame():
    """A log of strings in the columns visitor, sku and t."""
    log = generate_sessions(num_users=20, num_items=30, num_sessions=300, random_state=0)
    return pd.DataFrame(
        {
            "visitor": [f"u{user}" for user in log.user_ids],
            "sku": [f"{item:03}" for item in log.item_ids],
            "t": log.timestamps,
            "shelf": log.item_ids % 3,
        }
    )


def call(capsys, *argv):
    """The JSON that a command answers, which must go well and be silent on stderr."""
    code = main([*map(str, argv), "--json", "--quiet"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return json.loads(out)


def refused(capsys, *argv, code=2):
    """The one line on stderr of a command that is refused, without the program's name."""
    try:
        found = main([*map(str, argv), "--quiet"])
    except SystemExit as error:
        found = error.code
    out, err = capsys.readouterr()
    assert (found, out) == (code, "")
    lines = [line for line in err.splitlines() if not line.startswith(("usage:", " "))]
    assert len(lines) == 1, err
    assert lines[0].startswith("spotlight-asars: error: ")
    return lines[0].removeprefix("spotlight-asars: error: ")
