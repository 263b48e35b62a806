"""Snippets of the README, the tutorial and the how-to pages print what the pages show, and a replay notices if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from replayed import PAGES, replay

pytest.importorskip("torch")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_shows(page: str) -> None:
    done = replay(PAGES[page])
    assert done.returncode == 0, done.stdout + done.stderr


def block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n\n"


SAME = block("python", "x = 3\nprint('took 0.12 s')\n\nif x:\n    print(x)") + block("text", "took ... s\n3")
SHELL = block("bash", "echo a | tr a b; touch made") + block("text", "b")
LATER = block("python", "import os\n\nprint(x, os.listdir())") + block("text", "3 ['made']")


def written(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(f"# A page\n\n{text}The end.\n")
    return page


def test_snippets_share_an_interpreter_and_a_folder(tmp_path: Path) -> None:
    done = replay(written(tmp_path, SAME + SHELL + LATER))
    assert done.stdout == "page.md: 3 snippets print what the page shows\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (block("python", "print(1)") + block("text", "2"), "+1"),
        (block("python", "print(1)"), "+1"),
        (block("python", "print(1)") + "And:\n\n" + block("text", "1"), "+1"),
        (block("python", "x = 1") + block("text", "1"), "-1"),
        (block("python", "print('1 2')") + block("text", "..."), "+1 2"),
        (block("bash", "echo 1") + block("text", "1\n2"), "-2"),
        (block("python", "import os\n\nos.system('echo 1')"), "+1"),
        (block("python", "1 / 0"), 'page.md", line 4, in <module>'),
        (block("python", "import warnings\n\nwarnings.warn('old')"), "UserWarning: old"),
        (block("bash", "false | true"), "page.md:4: exit code 1"),
    ],
)
def test_what_differs_is_found(tmp_path: Path, text: str, said: str) -> None:
    done = replay(written(tmp_path, text))
    assert done.returncode == 1
    assert said in (done.stdout + done.stderr).splitlines() or said in done.stderr


def test_outputs_are_written_and_marks_of_what_varies_stay(tmp_path: Path) -> None:
    page = written(tmp_path, SAME + block("python", "print(x + 1)") + block("bash", "echo 5") + block("text", "6"))
    assert replay(page, "--write").returncode == 0
    expected = (
        SAME + block("python", "print(x + 1)") + block("text", "4") + block("bash", "echo 5") + block("text", "5")
    )
    assert page.read_text() == f"# A page\n\n{expected}The end.\n"
    assert replay(page).returncode == 0


def test_what_changes_the_environment_runs_on_request_before_the_rest(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    text = block("python", f"import pathlib\n\nprint(pathlib.Path('{flag}').exists())") + block("text", "True")
    page = written(tmp_path, f"{text}<!-- run -->\n" + block("bash", f"ls scripts/replay.py; touch {flag}"))
    assert replay(page).returncode == 1
    assert not flag.exists()
    done = replay(page, "--environment")
    assert done.returncode == 0, done.stdout
    assert "scripts/replay.py" in done.stdout.splitlines()
