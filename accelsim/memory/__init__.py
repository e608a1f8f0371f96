"""Memories: which words, banks and bursts an access touches, and when they are served."""
