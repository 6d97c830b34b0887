"""A MkDocs hook: pages that lie outside docs/ (README, detectors', datasets', results') become pages of the site.

Each keeps its path below the root of the repository; links of all pages are turned to where the site has them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "detectors/*/README.md",
    "datasets/*/README.md",
    "results/*/README.md",
    "examples/*.py",
)


def outside() -> list[str]:
    """Return the files outside docs/ that the site shows or links to, by their path in the repository."""
    return sorted(path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the site."""
    for name in outside():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository into links that hold in the site, where docs/ is the root."""
    name = page.file.src_uri
    inside = not page.file.generated_by
    here = posixpath.dirname(f"docs/{name}" if inside else name)

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, link["path"])).removeprefix("docs/")
        return f"]({posixpath.relpath(target, posixpath.dirname(name) or '.')}{link['anchor'] or ''})"

    return re.sub(r"\]\((?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)", turned, markdown)
