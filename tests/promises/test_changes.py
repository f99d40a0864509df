"""A change is a file in changes/; a release joins them into the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest
from join_changes import HEADINGS, join

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "README.md").write_text("how to")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 0.1.0, 2026-12-01\n\n- The first.\n")
    return tmp_path


def fragment(folder: Path, name: str, text: str) -> None:
    (folder / "changes" / name).write_text(text)


def test_fragments_are_grouped_and_sorted_above_earlier_releases(folder: Path) -> None:
    fragment(folder, "12.feature.md", "Two lines\nof one thing.\n")
    fragment(folder, "9.feature.md", "- One.\n- Another.\n")
    fragment(folder, "3.fix.md", "A fix.")
    fragment(folder, "20.breaking.md", "Gone.")
    join(folder, "0.2.0", "2027-01-31")
    assert (folder / "CHANGELOG.md").read_text() == (
        "# Changes\n\n## 0.2.0, 2027-01-31\n\n### Breaking\n\n- Gone.\n\n"
        "### New\n\n- One.\n- Another.\n- Two lines\n  of one thing.\n\n"
        "### Fixed\n\n- A fix.\n\n## 0.1.0, 2026-12-01\n\n- The first.\n"
    )
    assert [path.name for path in (folder / "changes").iterdir()] == ["README.md"]


def test_a_name_that_is_no_change_stops_it_before_anything_is_written(folder: Path) -> None:
    fragment(folder, "9.feature.md", "One.")
    fragment(folder, "idea.md", "No number.")
    with pytest.raises(SystemExit, match=r"idea\.md"):
        join(folder, "0.2.0", "2027-01-31")
    assert "0.2.0" not in (folder / "CHANGELOG.md").read_text()
    assert (folder / "changes" / "9.feature.md").exists()


def test_a_release_without_a_change_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match="no change"):
        join(folder, "0.2.0", "2027-01-31")


def test_the_fragments_of_this_checkout_can_be_joined() -> None:
    kinds = {path.name: path.name.split(".") for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"}
    assert all(parts[0].isdigit() and parts[1] in HEADINGS and len(parts) == 3 for parts in kinds.values()), kinds
