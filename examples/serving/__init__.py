"""Of ``serve.py``: ``visits`` are its sessions, ``requests`` what it is asked, ``metrics`` what it tells.

``connections`` are the sockets of several workers.
"""
