"""Schemes that change the number of bits."""
