"""Commands and examples of a documentation page."""
import re

from lib.process import ROOT


class Page:
    """Page("docs/clients.md"): .text, and its blocks by language."""

    def __init__(self, path):
        self.path = path
        self.text = (ROOT / path).read_text()

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
