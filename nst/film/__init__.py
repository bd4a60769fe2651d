"""Clips: moving pictures painted frame by frame without flicker (Ruder, Dosovitskiy & Brox 2016)."""
