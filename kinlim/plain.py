"""Words for terminals that know ASCII only: a sign that they lack is spelt, and no minus is lost."""

import codecs
import sys
import unicodedata

SIGNS = str.maketrans({"−": "-", "±": "+-", "×": "x", "·": "*", "→": "->", "≤": "<=", "≥": ">=", "≈": "~", "√": "sqrt"})
"""What has a spelling of its own."""


def spell(text: str) -> str:
    """The text in ASCII: Greek letters by their names, letters without their accents, what is left as "?".

    >>> spell("σ₀ = −0.1 ± 0.02")
    'sigma0 = -0.1 +- 0.02'
    """
    return "".join(map(_spell, text.translate(SIGNS)))


def _spell(sign: str) -> str:
    if sign.isascii():
        return sign
    name = unicodedata.name(sign, "")
    if name.startswith("GREEK"):
        return name.split(" LETTER ")[-1].split()[0].lower()
    return unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or "?"


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spell(error.object[error.start : error.end]), error.end


def let_streams_spell() -> None:
    """From now on the standard streams spell what their encoding lacks, instead of failing."""
    codecs.register_error("kinlim", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # there may be none, and tests put others in their place
            stream.reconfigure(errors="kinlim")
