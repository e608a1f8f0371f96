"""Engines that execute programs: one timeline, instruction by instruction."""
