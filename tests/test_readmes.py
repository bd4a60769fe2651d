"""READMEs: their links and pictures exist, the first one is short, and CI finds its command there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_BYTES = 8192
ROOMS = ("batch", "bench", "film", "objective", "ui")


def pages() -> list[Path]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*README.md", "*CREDITS.md"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in found.splitlines() if (ROOT / line).exists()]


def anchors(text: str) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """Relative links and pictures of a page whose target does not exist."""
    text = re.sub(r"^```.*?^```|\$[^$\n]+\$", "", text, flags=re.DOTALL | re.MULTILINE)  # no code, no formulas
    wrong = []
    for link in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text):
        target, _, anchor = "".join(link).partition("#")
        if re.match(r"https?:", target):
            continue
        place = page.parent / target if target else page
        if not place.exists() or (anchor and anchor not in anchors(place.read_text())):
            wrong.append("".join(link))
    return wrong


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


def test_the_check_sees_links_that_lead_nowhere() -> None:
    text = (
        '[a](README.md) [b](gone.md) [c](README.md#run-it) [d](README.md#gone) <img src="x.jpg"> [e](https://a.example)'
    )
    assert broken(ROOT / "README.md", text) == ["gone.md", "README.md#gone", "x.jpg"]


def test_the_first_readme_is_short_and_leads_to_every_other() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= LONGEST_BYTES
    for place in ("examples", "nst", *(f"nst/{room}" for room in ROOMS)):
        assert f"({place}/README.md)" in text


def test_ci_finds_the_test_command() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    start = lines.index("<!-- test command -->")
    assert lines[start + 1] == lines[start + 3] == "```"
    assert "pytest" in lines[start + 2]


def test_every_source_file_has_its_line() -> None:
    rows = re.findall(r"^\| `(\w+\.py)` \|", (ROOT / "nst" / "README.md").read_text(), re.MULTILINE)
    described_elsewhere = {ROOT / "nst" / room for room in ("bench", "ui")}
    sources = [
        path.name
        for path in (ROOT / "nst").rglob("*.py")
        if path.name != "__init__.py" and not described_elsewhere & set(path.parents)
    ]
    assert sorted(rows) == sorted(["__init__.py", *sources])
