"""Surrogates that ship with mmopt, each in a folder of its own."""
