"""What every data set must pass: its true format in every packing, and a sentence for whatever is wrong with it."""

from __future__ import annotations

import inspect
import re
import zipfile

import numpy as np
import pytest
from samples import PACKINGS, SAMPLES, write

from spotlight_asars import EventLog
from spotlight_asars.datasets import DATASETS, fetch
from spotlight_asars.events import reading

pytestmark = pytest.mark.parametrize("name", DATASETS)


def refuses(message, error=ValueError):
    """Expect exactly this message."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def check(log, sample):
    assert isinstance(log, EventLog)
    assert log.user_vocabulary.decode(log.user_ids).tolist() == sample.users
    assert log.item_vocabulary.decode(log.item_ids).tolist() == sample.items
    assert log.timestamps.tolist() == sample.timestamps
    assert log.item_ids.min() == 1
    assert (None if log.categories is None else log.categories.tolist()) == sample.categories
    if sample.dwell is not None:
        assert log.dwell_times().tolist() == sample.dwell


def test_it_has_a_sample_and_says_what_it_is(name):
    assert name in SAMPLES
    dataset = DATASETS[name]
    assert dataset.page.startswith("https://")
    assert (dataset.url is None) == (dataset.checksum is None) == bool(dataset.by_hand)
    parameters = inspect.signature(dataset.load).parameters
    assert next(iter(parameters)) == "path"
    assert parameters["partial"].kind is inspect.Parameter.KEYWORD_ONLY
    words = inspect.getdoc(dataset.load)
    for heading in ("Parameters", "References"):
        assert heading in words
    for parameter in parameters:
        assert re.search(rf"^{parameter} : ", words, re.MULTILINE)


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_gives_the_same_log(name, packing, tmp_path):
    sample = SAMPLES[name]
    path = write(tmp_path, sample.name, sample.text, packing)
    check(DATASETS[name](str(path), partial=True), sample)


@pytest.mark.parametrize("library", reading.LIBRARIES)
def test_every_library_gives_the_same_log(name, library, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LIBRARIES", (library,))
    check(DATASETS[name](write(tmp_path, SAMPLES[name].name, SAMPLES[name].text), partial=True), SAMPLES[name])


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_folder_is_searched(name, packing, tmp_path):
    sample = SAMPLES[name]
    inner = tmp_path / "some" / "folder"
    inner.mkdir(parents=True)
    write(inner, "README", "not this\n")
    write(inner, sample.name, sample.text, packing)
    check(DATASETS[name](tmp_path, partial=True), sample)


@pytest.mark.parametrize("change", ["windows", "no newline", "blank end", "mark"])
def test_line_ends_and_marks_change_nothing(name, change, tmp_path):
    text = SAMPLES[name].text
    changed = {
        "windows": text.replace("\n", "\r\n"),
        "no newline": text.rstrip("\n"),
        "blank end": text + "\n\r\n",
        "mark": "\ufeff" + text,
    }[change]
    check(DATASETS[name](write(tmp_path, SAMPLES[name].name, changed), partial=True), SAMPLES[name])


def test_another_number_of_lines_is_refused_unless_asked_for(name, tmp_path):
    sample = SAMPLES[name]
    path = write(tmp_path, sample.name, sample.text)
    message = r"must have the [\d,]+ events published; got 3\. A file cut off has fewer; partial=True reads a part"
    with pytest.raises(ValueError, match=f"^'{re.escape(sample.name)}' {message}"):
        DATASETS[name](path)


def test_a_bad_line_is_named(name, tmp_path):
    sample = SAMPLES[name]
    path = write(tmp_path, sample.name, sample.text + sample.bad + sample.text.splitlines(keepends=True)[-1])
    with refuses(sample.message.format(line=sample.text.count("\n") + 1)):
        DATASETS[name](path, partial=True)


def test_a_blank_line_between_lines_is_a_bad_one(name, tmp_path):
    first, rest = SAMPLES[name].text.split("\n", 1)
    path = write(tmp_path, SAMPLES[name].name, f"{first}\n\n{rest}")
    with pytest.raises(ValueError, match=rf"^line 2 of '{re.escape(SAMPLES[name].name)}' must .*; got ''$"):
        DATASETS[name](path, partial=True)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_refused(name, text, tmp_path):
    path = write(tmp_path, SAMPLES[name].name, text)
    with refuses(f"{path.name!r} must have at least one line; got 'an empty file'"):
        DATASETS[name](path, partial=True)


@pytest.mark.parametrize("packing", [".gz", ".zip", ".tar.gz"])
def test_a_file_cut_off_is_refused(name, packing, tmp_path):
    sample = SAMPLES[name]
    noise = np.random.RandomState(0).randint(10**6, size=3000)  # too long for the last bytes to hold all of it
    path = write(tmp_path, sample.name, sample.text + "\n".join(map(str, noise)), packing)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(
        ValueError, match=rf"^'{re.escape(path.name)}' must be a whole file; got one cut off or damaged: "
    ):
        DATASETS[name](path, partial=True)


def test_a_wrong_separator_is_named(name, tmp_path):
    text = re.sub(r"\t|::|,|;", "|", SAMPLES[name].text)
    with pytest.raises(
        ValueError, match=rf"^(the first line|line 1) of '{re.escape(SAMPLES[name].name)}' must "
    ) as info:
        DATASETS[name](write(tmp_path, SAMPLES[name].name, text), partial=True)
    assert repr(text.splitlines()[0])[1:20] in str(info.value)


def test_what_is_not_there_is_named(name, tmp_path):
    path = tmp_path / "nowhere"
    with refuses(f"path must name an existing file or folder; got {str(path)!r}", FileNotFoundError):
        DATASETS[name](path)
    (tmp_path / "README").write_text("not this\n")
    with pytest.raises(FileNotFoundError, match=r"^path must hold .*, plain, gzipped or in an archive; got '"):
        DATASETS[name](tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^path must hold .*, plain, gzipped or in an archive; got '"):
        DATASETS[name](write(tmp_path, "other", "text\n", ".zip"))


def test_fetch_finds_a_file_that_is_there(name, tmp_path):
    path = write(tmp_path, DATASETS[name].file, "put here by hand\n")
    assert fetch(name, tmp_path) == path


@pytest.mark.parametrize("packing", ["", ".zip"])
def test_two_files_of_one_name_are_not_chosen_from(name, packing, tmp_path):
    if name == "kuairand":
        pytest.skip("two standard logs are what it has")
    if packing:
        path = tmp_path / "both.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for folder in ("a", "b"):
                archive.writestr(f"{folder}/{SAMPLES[name].name}", SAMPLES[name].text)
    else:
        path = tmp_path
        for folder in ("a", "b"):
            (path / folder).mkdir()
            write(path / folder, SAMPLES[name].name, SAMPLES[name].text)
    places = [str(path / folder / SAMPLES[name].name) for folder in ("a", "b")]
    with pytest.raises(
        ValueError, match=rf"^path must hold one .*; got {re.escape(repr(places))}\. Give its own path$"
    ):
        DATASETS[name](path, partial=True)
