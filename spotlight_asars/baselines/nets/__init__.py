"""Baselines that are trained: NARM and other settings of our own model, Spotlight's factorization, RecTools' SASRec."""
