"""The tab on which a clip is repainted."""
