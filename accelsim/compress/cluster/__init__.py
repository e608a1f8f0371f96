"""Schemes that let weights share values."""
