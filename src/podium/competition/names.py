"""Unicode normalization of names in archives and tables."""

import unicodedata


def nfc(text: str) -> str:
    """Convert to composed form (NFC): macOS writes file names decomposed (NFD)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
