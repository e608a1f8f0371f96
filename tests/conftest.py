"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

# kernels compile inside the first example, and some machines do not hold a network: neither is a fault
settings.register_profile("default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
# while one works: the first failing example as it comes, at once
settings.register_profile("hasty", parent=settings.get_profile("default"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
