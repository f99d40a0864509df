"""Results as sections of one Markdown file: each benchmark replaces its own and leaves the others as they are."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")
OPENING = "# Results\n\nWritten by the benchmarks beside this file; README.md says how, and what to make of it.\n"


def write_section(title: str, text: str, file: Path = FILE) -> None:
    """Put a section under its title, at the end where there is none of that name."""
    whole = file.read_text(encoding="utf-8") if file.exists() else OPENING
    opening, *sections = whole.split("\n## ")
    written = f"{title}\n\n{text.strip()}\n"
    for number, section in enumerate(sections):
        if section.partition("\n")[0] == title:
            sections[number] = written
            break
    else:
        sections.append(written)
    file.write_text("\n## ".join([opening, *sections]), encoding="utf-8")
