"""Families of networks, one a file: what config.json may say, and which tensors it means."""
