"""What the benchmark and the ablations share; ``benchmark.py`` and ``ablations.py`` beside this folder tell the story.

===============  ========================================================================================
``competition``  all of it in turn
``logs``         a data set by its name, made into sessions to train, tune and test on
``contestants``  a model by its name: how to make it, and what there is to tune (``spaces.json``)
``changes``      sessions with the information of one channel taken away
``measuring``    one run: a model made, trained and evaluated, and what that cost; ``child``: its process
``runs``         many runs side by side, each written down at once, none done twice
``tuning``       the same number of trials for every model
``resampling``   bootstrap over sessions: intervals, and the difference of two models
``summary``      runs of several seeds become one line
``tables``       lines become Markdown; ``figures``: bars; ``report``: the page
===============  ========================================================================================
"""
