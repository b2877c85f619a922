"""The page of ``report``: its numbers are those of the library, its text is escaped, and a browser shows it."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from commands import SMALL, call, refused

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.cli.reporting import contents
from spotlight_asars.evaluation import compare, evaluate, holm

NASTY = ["<script>alert('1')</script>", "a&b", "'quoted'", '"twice"', "日本", "<b>", "{brace}", "x" * 300, "&lt;"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def frame(sessions=60, items=NASTY):
    draw = np.random.RandomState(0)
    rows = [
        (user, items[draw.randint(len(items))], 10**5 * session + 30 * step, f"<k{step % 3}>")
        for session, user in enumerate(f"<u{number}>" for number in draw.randint(0, 9, sessions))
        for step in range(4)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "kind"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with train and test files of odd names, the page of them, and what the command answered."""
    folder = tmp_path_factory.mktemp("report")
    table = frame()
    for name, part in (("train", table[:200]), ("test", table[200:])):
        part.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def page(shop):
    from spotlight_asars.cli import main

    given = [str(shop / "train.csv"), str(shop / "test.csv"), "--output", str(shop / "page.html"), *SMALL]
    assert main(["report", *given, "-k", "5", "--category", "kind", "--title", "<Shop> & more"]) == 0
    return (shop / "page.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Tags that are open at the end, all addresses, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.text, self.names = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_needs_nothing_else_and_takes_no_id_for_a_tag(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.addresses) == 4
    assert all(address.startswith("data:image/svg+xml;base64,") for address in tags.addresses)
    assert "script" not in tags.names
    assert tags.names.count("article") == 10
    text = " ".join(tags.text)
    assert "<Shop> & more" in text
    shown = [item for item in NASTY if item in text]
    assert len(shown) >= 6, "ids are there as they are"
    assert 'name="viewport"' in page
    assert not re.search(r"https?://", re.sub(r"base64,[^\"]*", "", page))


def test_its_numbers_are_those_of_the_library(shop, capsys):
    given = ["report", shop / "train.csv", shop / "test.csv", "--output", shop / "again.html", *SMALL[:-1]]
    answer = call(capsys, *given, "-k", 5, "--baselines", "markov,most_popular")
    train = to_sessions(EventLog.read(shop / "train.csv"))
    small = {"embedding_dim": 8, "hidden_dim": 8, "user_dim": 8, "time_dim": 8, "n_iter": 1, "random_state": 0}
    test = to_sessions(EventLog.read(shop / "test.csv").encode_like(train))
    models = {"ASARS": ASARSSequenceModel(**small)} | {name: BASELINES[name]() for name in ("markov", "most_popular")}
    reports = {name: evaluate(model.fit(train), test, 5, lists=True) for name, model in models.items()}
    assert answer["metrics"] == {name: dict(report) for name, report in reports.items()}
    compared = {name: compare(reports["ASARS"], reports[name], "mrr@5") for name in ("markov", "most_popular")}
    p = holm({name: one.p for name, one in compared.items()})
    for name, one in compared.items():
        wanted = {"difference": one.difference, "interval": list(one.interval), "p": p[name]}
        assert answer["comparisons"][name] == wanted
    page = (shop / "again.html").read_text(encoding="utf-8")
    for report in reports.values():
        assert all(f"{report[name]:.4f}" in page for name in ("mrr@5", "recall@5", "ndcg@5"))
    for weight in models["ASARS"].memory_weights().values():
        assert f"{weight:+.3f}" in page


def test_a_model_that_is_there_is_not_trained_again(shop, capsys):
    given = [shop / "train.csv", "--model", shop / "model", *SMALL[:-1]]
    call(capsys, "train", *given)
    by_file = ["--output", shop / "model.html", "--model", shop / "model", "--baselines", "markov"]
    answer = call(capsys, "report", shop / "train.csv", shop / "test.csv", *by_file)
    metrics = call(capsys, "evaluate", shop / "test.csv", "--model", shop / "model", "-k", 20, "--lists")["metrics"]
    assert answer["metrics"]["ASARS"] == metrics


def test_what_it_cannot_do_is_refused_before_work(shop, capsys):
    given = ["report", shop / "train.csv", shop / "test.csv", "--output"]
    assert "--baselines must be of" in refused(capsys, *given, shop / "no.html", "--baselines", "magic")
    assert "--output" in refused(capsys, *given, shop / "no.pdf")
    assert not (shop / "no.html").exists()


def test_curves_are_means_over_groups_of_targets():
    sessions = SessionInteractions([[0, 1, 2, 3], [4, 1, 1, 2], [0, 0, 0, 1]], num_items=5)
    assert contents._targets(sessions).tolist() == [2, 3, 1, 1, 2]
    position = contents._position(np.array([0, 0, 1, 1, 1]))
    assert position.tolist() == [2, 3, 2, 3, 4]
    values = {"a": np.array([1.0, 0.0, 0.5, 0.25, 0.125])}
    by_position = contents._by_position(position, values)
    assert by_position == (["2", "3", "4"], [2, 2, 1], {"a": [0.75, 0.125, 0.125]})
    by_popularity = contents._by_popularity(np.array([7, 1, 9, 9, 7]), values)
    assert by_popularity == (["1", "7", "9"], [1, 2, 2], {"a": [0.0, 0.5625, 0.375]})
    late = contents._by_position(np.array([2, 12, 30]), {"a": np.array([1.0, 0.0, 0.5])})
    assert late == (["2", "12+"], [1, 2], {"a": [1.0, 0.25]})


def test_examples_say_what_came_and_at_which_rank():
    log = EventLog.from_frame(frame(items=list("abcdefgh")))
    sessions = to_sessions(log)
    model = ASARSSequenceModel(n_iter=1, embedding_dim=4, hidden_dim=4, random_state=0).fit(sessions)
    shown = contents.examples(model, sessions, evaluate(model, sessions, 20, lists=True))
    assert len(shown) == contents.SHOWN
    raw = [log.item_vocabulary.decode(row[row > 0]).tolist() for row in np.asarray(sessions.sequences)]
    for one in shown:
        assert [*one.viewed, one.came] in raw
        best = model.recommend([one.viewed], 8, raw=True).items[0].tolist()
        assert len(one.recommended) == 8
        assert set(one.recommended) == set(best)
        assert one.recommended.index(one.came) == one.rank - 1


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_all_of_it_in_wide_and_narrow_windows(page, tmp_path, width):
    probe = """<script>addEventListener("load", () => {
      const images = [...document.images].map(image => image.naturalWidth > 100 && image.complete);
      document.title = JSON.stringify({fits: document.documentElement.scrollWidth <= innerWidth, images,
        scripts: document.scripts.length, articles: document.querySelectorAll("article").length});
    });</script>"""
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    size = [f"--window-size={width},2000", "--virtual-time-budget=5000", "--dump-dom"]
    command = [CHROMIUM, *quiet, *size, (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = html.unescape(re.search(r"<title>(.*?)</title>", shown).group(1))
    assert found == '{"fits":true,"images":[true,true],"scripts":1,"articles":10}'
