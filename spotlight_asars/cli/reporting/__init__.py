"""The page of ``report``: ``contents`` has the numbers, ``figures`` the curves, ``page`` the html."""
