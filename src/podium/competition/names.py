"""Names in archives and tables, whose accents may be encoded in two ways."""

import unicodedata


def nfc(text: str) -> str:
    """Convert to Unicode's composed form: macOS writes file names decomposed (NFD)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
