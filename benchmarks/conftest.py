"""Floors are those of one core; this is read before any benchmark loads numpy."""

import os

from one_core import ONE_CORE

os.environ.update(ONE_CORE)
