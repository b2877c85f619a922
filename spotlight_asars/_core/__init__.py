"""The built-in Spotlight, for machines on which the original cannot be installed.

- Module for module under upstream's names, so that it can stand in for the package ``spotlight``.
- Same signatures, shapes, numbers and order of random draws: same seed, same scores. Upstream's
  quirks are therefore kept, and named where they stand.
- Only what upstream has: features of this package do not belong here.
"""

__version__ = "v0.1.6"  # the upstream release whose contract this follows
