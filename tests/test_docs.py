"""The documentation: no dead link, image or anchor, a short README, every room in the table of rooms."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
FILES = [*sorted(ROOT.glob("*.md")), ROOT / "clusters" / "README.md", ROOT / "mlruns" / "README.md", *PAGES]
README_BYTES = 9_000
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def links(file: Path) -> list[tuple[bool, str]]:
    """Return (is an image, target) of every link outside code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [(bool(mark), target) for mark, target in LINK.findall(text)]


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_every_link_leads_somewhere(file: Path) -> None:
    for is_image, target in links(file):
        if target.startswith("https://"):
            assert not is_image, f"{target}: images are shipped, not loaded from other hosts"
            continue
        path, _, anchor = target.partition("#")
        page = (file.parent / path).resolve() if path else file
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_links_within_the_site(page: Path) -> None:
    for _, target in links(page):
        if not target.startswith("https://"):
            resolved = (page.parent / target.partition("#")[0]).resolve()
            assert resolved.is_relative_to(ROOT / "docs"), f"{target}: the site holds docs/ alone"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert [page for page in PAGES if f'"{page.relative_to(ROOT / "docs").as_posix()}"' not in navigation] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


def test_every_room_is_in_the_table_of_rooms() -> None:
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    modules = {path.stem for path in (ROOT / "tbar_ray").glob("*.py") if path.stem != "__init__"}
    rooms = {path.parent.name for path in (ROOT / "tbar_ray").glob("*/__init__.py")}
    assert listed == rooms | modules
