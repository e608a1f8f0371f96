"""What graphs mean, in plain numpy, which every run is held against; nothing here knows of a machine's units."""
