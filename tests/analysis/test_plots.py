"""The figure of an analysis: its panels, words and data."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from spotlight_asars import EventLog
from spotlight_asars.analysis import analyse
from spotlight_asars.analysis.plots import plot_analysis
from spotlight_asars.datasets.synthetic import generate_sessions


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


def categorised():
    log = generate_sessions(num_users=20, num_items=30, num_sessions=200, random_state=0)
    return EventLog(log.user_ids, log.item_ids, log.timestamps, categories=log.item_ids % 4)


def written_on(panel):
    return [text.get_text() for text in panel.texts]


def legend_of(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


@pytest.mark.usefixtures("matplotlib")
def test_three_panels_name_their_axes_with_units():
    within, across, dwell = plot_analysis(analyse(categorised())).axes
    titles = [panel.get_title(loc="left").strip() for panel in (within, across, dwell)]
    assert titles == ["Within a session", "Across sessions", "Dwell time"]
    assert (within.get_xlabel(), within.get_ylabel()) == (
        "n-th most frequent of the session",
        "share of the session's clicks [%]",
    )
    assert (across.get_xlabel(), across.get_ylabel()) == (
        "k, number of the user's previous sessions",
        "clicks repeated from them [%]",
    )
    assert (dwell.get_xlabel(), dwell.get_ylabel()) == ("dwell time [s]", "density [1/s]")
    assert written_on(within) == ["mean of 200 sessions, 0 % of one event"]
    assert written_on(across) == ["mean of 180 sessions with at least 1 before"]


@pytest.mark.usefixtures("matplotlib")
def test_the_panels_show_the_numbers_of_the_analysis():
    found = analyse(categorised(), top=7, back=5)
    within, across, dwell = plot_analysis(found).axes
    heights = [[bar.get_height() for bar in bars] for bars in within.containers]
    np.testing.assert_allclose(heights, 100 * np.array([found.top_categories.share, found.top_items.share]))
    lines = [line.get_ydata() for line in across.lines]
    np.testing.assert_allclose(lines, 100 * np.array([found.repeated_categories.rate, found.repeated_items.rate]))
    assert across.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    observed, fitted = (steps.get_data() for steps in dwell.patches)
    np.testing.assert_array_equal(observed.values, found.dwell.density)
    np.testing.assert_array_equal(fitted.values, found.dwell.fitted)
    np.testing.assert_array_equal(observed.edges, found.dwell.edges)
    assert legend_of(within) == legend_of(across) == ["category", "item"]
    assert legend_of(dwell)[1].startswith(f"gamma, shape {found.dwell.shape:.2f}, scale ")


@pytest.mark.usefixtures("matplotlib")
def test_one_series_needs_no_legend():
    found = analyse(generate_sessions(num_users=20, num_items=30, num_sessions=200, random_state=0))
    within, across, _ = plot_analysis(found).axes
    assert within.get_legend() is across.get_legend() is None
    assert within.get_xlabel() == "n-th most frequent item of the session"
    assert len(within.containers) == len(across.lines) == 1


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize(
    ("times", "across_says", "dwell_says"),
    [
        ([5], ["no session has 1 before it"], ["no dwell time is known and above zero"]),
        ([0, 30, 60], ["no session has 1 before it"], []),
        ([0, 9000], [], ["no dwell time is known and above zero"]),
        ([5, 5, 5], ["no session has 1 before it"], ["no dwell time is known and above zero"]),
    ],
)
def test_a_panel_without_data_says_so_and_the_figure_is_drawn(tmp_path, times, across_says, dwell_says):
    log = EventLog(np.zeros(len(times)), np.ones(len(times)), times)
    figure = plot_analysis(analyse(log))
    _, across, dwell = figure.axes
    assert written_on(across)[1:] == across_says
    assert written_on(dwell)[1:] == dwell_says
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_pyplot_stays_out_of_it(matplotlib, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # to import it would fail
    assert len(plot_analysis(analyse(categorised())).axes) == 3


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"^plot_analysis needs matplotlib; pip install 'spotlight-asars\[plots\]' "):
        plot_analysis(analyse(categorised()))


def test_a_broken_matplotlib_is_not_hidden(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "matplotlib":
                raise ModuleNotFoundError("No module named 'kiwisolver'", name="kiwisolver")

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="kiwisolver"):
        plot_analysis(analyse(categorised()))
