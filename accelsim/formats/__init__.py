"""Storage formats: how a tensor becomes bytes and comes back, exactly."""
