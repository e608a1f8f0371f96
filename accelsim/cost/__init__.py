"""What a simulation costs: joules from counters, and where it stands below the roofs."""
