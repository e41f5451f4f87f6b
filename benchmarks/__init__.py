"""Measures how much faster the lesson's way is than the usual one."""

import going_modular  # noqa: F401  before any package that it keeps from reporting
