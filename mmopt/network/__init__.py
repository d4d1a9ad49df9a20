"""Metabolic networks: read from files, checked, and changed into variants."""
