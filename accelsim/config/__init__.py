"""Machines and technologies: frozen, checked values read from YAML."""
