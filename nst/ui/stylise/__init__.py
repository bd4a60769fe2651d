"""The tab on which a photo is repainted."""
