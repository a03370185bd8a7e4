"""Text that came from outside, before it is shown or signed."""


def printable(text: str) -> str:
    """The text with what evidence and terminals cannot carry escaped: `\\x1b`, `\\udce9`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
