"""Compression schemes: one file a scheme, applied by recipes."""
