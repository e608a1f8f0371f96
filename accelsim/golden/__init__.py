"""The networks in plain numpy that every run is held against; nothing here knows of a machine."""
