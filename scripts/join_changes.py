"""Joins the files of changes/ into CHANGELOG.md at a release: python scripts/join_changes.py VERSION [DATE]

Each NNN.{breaking,feature,fix}.md becomes a bullet under its heading, in order of NNN, and is removed.
"""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADINGS = {"breaking": "Breaking", "feature": "New", "fix": "Fixed"}
_NAME = re.compile(rf"(\d+)\.({'|'.join(HEADINGS)})\.md")


def join(root: Path, version: str, date: str) -> str:
    """Move all fragments below `root` into a new section of its changelog, and return that section."""
    fragments = [path for path in (root / "changes").glob("*.md") if path.name != "README.md"]
    if wrong := sorted(path.name for path in fragments if not _NAME.fullmatch(path.name)):
        raise SystemExit(f"changes/ holds {', '.join(wrong)}: a name is NNN.{{{','.join(HEADINGS)}}}.md")
    if not fragments:
        raise SystemExit("changes/ holds no change")
    lines = [f"## {version}, {date}", ""]
    for kind, heading in HEADINGS.items():
        chosen = [path for path in fragments if path.name.split(".")[1] == kind]
        if chosen:
            lines += [f"### {heading}", ""]
            lines += [_bullets(path) for path in sorted(chosen, key=lambda path: int(path.name.split(".")[0]))] + [""]
    section = "\n".join(lines)
    changelog = root / "CHANGELOG.md"
    title, _, earlier = changelog.read_text(encoding="utf-8").partition("\n\n")
    changelog.write_text(f"{title}\n\n{section}\n{earlier}", encoding="utf-8")
    for path in fragments:
        path.unlink()
    return section


def _bullets(path: Path) -> str:
    """Return a fragment as list items: it holds such items already, or one paragraph."""
    text = path.read_text(encoding="utf-8").strip()
    return text if text.startswith("- ") else "- " + text.replace("\n", "\n  ")


def main(arguments: list[str]) -> int:
    if not arguments:
        raise SystemExit(__doc__)
    version, *rest = arguments
    sys.stdout.write(join(ROOT, version, rest[0] if rest else datetime.datetime.now(datetime.UTC).date().isoformat()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
