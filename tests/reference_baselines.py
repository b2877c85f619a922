"""The baselines' equations as loops over dictionaries, one event at a time: no sparse products."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

BY_STEP = {
    "same": lambda x: 1.0,
    "div": lambda x: 1 / x,
    "linear": lambda x: max(0.0, 1 - x / 10),
    "log": lambda x: 1 / math.log10(x + 1.7),
    "quadratic": lambda x: 1 / x**2,
}
BY_POSITION = {
    "same": lambda p, length: 1.0,
    "div": lambda p, length: p / length,
    "linear": lambda p, length: max(0.0, 1 - (length - p) / 10),
    "log": lambda p, length: 1 / math.log10(length - p + 1.7),
    "quadratic": lambda p, length: (p / length) ** 2,
}


def popularity(train):
    return Counter(item for session in train for item in session)


def association_rules(train, prefix):
    scores, total = defaultdict(float), 0
    for session in train:
        for x, one in enumerate(session):
            if one == prefix[-1]:
                total += len(session) - 1
                for y, other in enumerate(session):
                    if y != x:
                        scores[other] += 1
    return {item: score / total for item, score in scores.items()}


def sequential_rules(train, prefix, steps, weighting):
    scores = defaultdict(float)
    for session in train:
        for y, one in enumerate(session):
            for x in range(y + 1, min(len(session), y + steps + 1)):
                if one == prefix[-1]:
                    scores[session[x]] += BY_STEP[weighting](x - y)
    total = sum(scores.values())
    return {item: score / total for item, score in scores.items() if total}


def markov(train, prefix):
    follows = [b for session in train for a, b in pairwise(session) if a == prefix[-1]]
    return {item: count / len(follows) for item, count in Counter(follows).items()}


def item_knn(train, prefix, shrinkage, alpha):
    inside = defaultdict(set)
    for number, session in enumerate(train):
        for item in session:
            inside[item].add(number)
    last = inside[prefix[-1]]
    return {
        item: len(last & those) / ((len(those) + shrinkage) ** (1 - alpha) * (len(last) + shrinkage) ** alpha)
        for item, those in inside.items()
        if item != prefix[-1] and last & those
    }


def last_positions(session):
    """Position of each item, from 1, where it occurs last."""
    return {item: position for position, item in enumerate(session, start=1)}


def neighbours(train, started, weights, k, sample_size, compare, factor):
    """(similarity, session) of the k nearest among the most recent; ties go to the more recent."""
    order = sorted(range(len(train)), key=lambda number: (started[number], number), reverse=True)
    weights = {item: weight for item, weight in sorted(weights.items()) if weight > 0}
    sharing = [number for number in order if set(train[number]) & set(weights)][:sample_size]
    pairs = []
    for number in sharing:
        shared = sum(weight for item, weight in weights.items() if item in train[number])
        pairs.append((compare(shared, len(set(train[number]))) * factor(number), number))
    return sorted(pairs, key=lambda pair: -pair[0])[:k]  # sorted is stable


def steps_ago(prefix, session):
    """How long ago the prefix viewed the latest item in common; 1 is its last."""
    return next(step for step, item in enumerate(reversed(prefix), start=1) if item in session)


def cosine_to(prefix):
    return lambda shared, size: shared / math.sqrt(len(set(prefix)) * size)


def idf(train, item):
    return math.log(len(train) / sum(item in session for session in train))


def session_knn(train, started, prefix, k, sample_size, factor=lambda n: 1.0):
    scores = defaultdict(float)
    ones = dict.fromkeys(prefix, 1.0)
    for similarity, number in neighbours(train, started, ones, k, sample_size, cosine_to(prefix), factor):
        for item in set(train[number]):
            scores[item] += similarity
    return scores


def vsknn_weights(prefix, weighting, dwell=None):
    weights = {item: BY_POSITION[weighting](p, len(prefix)) for item, p in last_positions(prefix).items()}
    if dwell is not None:
        known = [None if math.isnan(d) else d for d in dwell[:-1]] + [None]
        at_last = {item: known[p - 1] or 0.0 for item, p in last_positions(prefix).items()}
        longest = max(at_last.values())
        weights = {item: w * (1 + (at_last[item] / longest if longest else 0)) for item, w in weights.items()}
    return weights


def vsknn(train, started, prefix, k, sample_size, weighting, weighting_score, rarity, dwell=None, factor=lambda n: 1.0):
    scores = defaultdict(float)
    weights = vsknn_weights(prefix, weighting, dwell)
    for similarity, number in neighbours(train, started, weights, k, sample_size, lambda shared, size: shared, factor):
        step = steps_ago(prefix, train[number])
        for item in set(train[number]):
            scores[item] += similarity * BY_STEP[weighting_score](step) * (1 + rarity * idf(train, item))
    return scores


def stan(train, started, prefix, k, sample_size, l1, l2, l3, l4=math.inf, rarity=0.0, factor=lambda n: 1.0):
    """STAN, and with l4 and rarity VSTAN; `started` in days."""
    scores = defaultdict(float)
    weights = {item: math.exp(-(len(prefix) - p) / l1) for item, p in last_positions(prefix).items()}

    newest = max((started[n] for n in range(len(train)) if set(train[n]) & set(prefix)), default=0)

    def recency(number):
        return math.exp(-(newest - started[number]) / l2) * factor(number)

    for similarity, number in neighbours(train, started, weights, k, sample_size, cosine_to(prefix), recency):
        positions = last_positions(train[number])
        step = steps_ago(prefix, train[number])
        for other, position in positions.items():
            near = math.exp(-abs(position - positions[prefix[-step]]) / l3) * math.exp(-(step - 1) / l4)
            scores[other] += similarity * near * (1 + rarity * idf(train, other))
    return scores


def session_aware(
    score, train, started, users, prefix, user, extend, boost, reminders=0.0, remind_sessions=1, similar=0.0
):
    """`score(prefix, factor)` of a session kNN, with the extensions for returning users."""
    mine = sorted((n for n in range(len(train)) if users[n] == user and user >= 0), key=lambda n: (started[n], n))
    past = [item for n in mine for item in train[n]]
    missing = max(0, extend - len(prefix))
    factor = {n: 1 + boost * (n in mine) for n in range(len(train))}
    scores = score((past[-missing:] if missing else []) + prefix, factor.get)
    if not reminders and not similar:
        return scores
    scores = defaultdict(float, over_highest(scores))
    ago, alike = {}, defaultdict(float)
    for distance, n in enumerate(reversed(mine[-remind_sessions:]), start=1):
        shared = len(set(prefix) & set(train[n]))
        for item in set(train[n]):
            ago.setdefault(item, distance)
            alike[item] += shared / math.sqrt(len(set(prefix)) * len(set(train[n])))
    for item, distance in ago.items():
        scores[item] += reminders / distance
    for item, part in over_highest(alike).items():
        scores[item] += similar * part
    return scores


def over_highest(scores):
    highest = max(scores.values(), default=0.0) or 1.0
    return {item: score / highest for item, score in scores.items()}


def slist(train, started, prefix, items, alpha, regularization, l1, l2, l3, min_support=1):
    """SLIST by a dense solve, one row of the regression at a time; `started` in days."""
    gram, shared = regularization * np.eye(items), np.zeros((items, items))
    solved = np.array([sum(item in session for session in train) >= min_support for item in range(items)])
    for session, start in zip(train, started, strict=True):
        age = math.exp(-(max(started) - start) / l1)
        viewed = np.zeros(items)
        viewed[session] = 1
        rows = [(viewed, viewed, alpha)]
        for t in range(len(session) - 1):
            past, future = np.zeros(items), np.zeros(items)
            for p, item in enumerate(session):
                if p <= t:
                    past[item] += math.exp(-(t - p) / l2)
                else:
                    future[item] += math.exp(-(p - t - 1) / l2)
            rows.append((past, future, 1 - alpha))
        for inputs, targets, share in rows:
            inputs, targets = inputs * solved, targets * solved
            inputs = inputs / (inputs.sum() or 1.0)
            gram += share * age * np.outer(inputs, inputs)
            shared += share * age * np.outer(inputs, targets)
    weights = np.linalg.inv(gram) @ shared
    return sum(math.exp(-(len(prefix) - j) / l3) * weights[item] for j, item in enumerate(prefix, start=1))
