"""Of ``serve.py``: ``visits`` are its sessions, ``requests`` what it is asked, ``metrics`` what it tells.

``connections`` is how its answers leave.
"""
