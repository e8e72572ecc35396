"""Commands and examples of a documentation page."""
import re

from lib.process import ROOT


class Page:
    """Page("docs/clients.md"): .text, and its blocks by language."""

    def __init__(self, path, text=None):
        self.path = path
        self.text = (ROOT / path).read_text() if text is None else text

    def section(self, title):
        """What stands below that heading of the second level, as a page of its own."""
        found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, re.S | re.M)
        assert found, f"{self.path} has no section '{title}'"
        return Page(self.path, found.group(1))

    def files(self):
        """(name, text) of its blocks that are files: a line that begins with `name` and ends with a colon, then the block."""
        return re.findall(r"^`([^`\n]+)`[^\n]*:\n\n```\w+\n(.*?)^```", self.text, re.S | re.M)

    def blocks(self, language):
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.S | re.M)

    def block(self, language, word):
        """The one block in `language` that contains `word`."""
        found = [b for b in self.blocks(language) if word in b]
        assert len(found) == 1, f"{self.path} has {len(found)} {language} blocks with '{word}'"
        return found[0]

    def links(self):
        """The files that it leads to."""
        links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", self.text)
        return [(ROOT / self.path).parent / link for link in links if not link.startswith("http")]
