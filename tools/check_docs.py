"""`make lint`: what the Markdown files point at exists: relative links, headings, and `make` targets."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = {".venv", ".git", ".cache", "reports", "dist"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"`make ([a-z-]+)")


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives the headings of a page."""
    titles = re.findall(r"^#+\s+(.*?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def problems(page: Path, targets: set[str]) -> list[str]:
    found = []
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fenced ^= line.lstrip().startswith("```")
        place = f"{page.relative_to(ROOT)}:{number}"
        for link in [] if fenced else LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            if not target.exists():
                found.append(f"{place}: {link} does not exist")
            elif (
                anchor
                and target.suffix == ".md"
                and anchor not in anchors(target.read_text(encoding="utf-8"))
            ):
                found.append(f"{place}: {link}: no such heading")
        found += [f"{place}: there is no `make {name}`" for name in MAKE.findall(line) if name not in targets]
    return found


def main() -> int:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    pages = [p for p in sorted(ROOT.rglob("*.md")) if not SKIP.intersection(p.relative_to(ROOT).parts)]
    found = [problem for page in pages for problem in problems(page, targets)]
    print("\n".join(found) or f"documentation: {len(pages)} pages, nothing dangling", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
