"""Schemes that put products of smaller matrices in the place of a layer."""
