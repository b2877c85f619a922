"""The paper's equations as scalar loops: float64, no torch layer, nothing vectorised over events or sessions."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(scores):
    weight = np.exp(np.array(scores) - max(scores))
    return weight / weight.sum()


def lstm_step(x, hidden, cell, weights):
    """One step of an LSTM (eq. 3), weights named as torch names them."""
    w_ih, w_hh, b_ih, b_hh = weights
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ hidden + b_hh, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru_step(x, hidden, weights):
    """One step of a GRU (eq. 10)."""
    w_ih, w_hh, b_ih, b_hh = weights
    r_x, z_x, n_x = np.split(w_ih @ x + b_ih, 3)
    r_h, z_h, n_h = np.split(w_hh @ hidden + b_hh, 3)
    z = sigmoid(z_x + z_h)
    return (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * hidden


def prefix_softmax(score, value, mask):
    """Eqs. 16-18, one row of the triangle after the other: (time,), (time, dim), (time,) -> (time, dim)."""
    out = np.zeros_like(value)
    for i in range(len(score)):
        seen = [j for j in range(i + 1) if mask[j]]
        if seen:
            for weight, j in zip(softmax([score[j] for j in seen]), seen, strict=True):
                out[i] += weight * value[j]
    return out


def dwell_bin(dwell, edges):
    """0 is unknown; the first bin lies below the first edge."""
    return 0 if np.isnan(dwell) else 1 + sum(dwell >= edge for edge in edges)


def weights_of(net):
    """The net's weights by name, float64."""
    return {name: tensor.detach().double().numpy() for name, tensor in net.state_dict().items()}


def rnn_weights(weights, name):
    return tuple(weights[f"{name}.{part}_l0"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


def dwell_vector(w, seconds):
    """A dwell time as the net's time encoding sees it: an embedding of its bin, or a point on a curve."""
    if "dwell.edges" in w:
        return w["dwell.embedding.weight"][dwell_bin(seconds, w["dwell.edges"])]
    if np.isnan(seconds):
        return w["dwell.unknown"]
    mean, deviation = w["dwell.moments"]
    inner = w["dwell.curve.0.weight"] @ [(np.log(1 + seconds) - mean) / deviation] + w["dwell.curve.0.bias"]
    return w["dwell.curve.2.weight"] @ np.tanh(inner) + w["dwell.curve.2.bias"]


def hidden_states(net, items, dwell):
    """States of the item RNN, one event at a time (eq. 3); ``time_cat`` feeds it dwell times, too.

    Where the last dwell is unknown, each step takes the dwell of the event before it.
    """
    w = weights_of(net)
    hidden = cell = np.zeros(net.item_rnn.hidden_size)
    known = [np.nan, *dwell[:-1]] if net.last_dwell == "unknown" else dwell
    states = []
    for item, seconds in zip(items, known, strict=True):
        x = w["item_embeddings.weight"][item]
        if net.dwell_in_rnn:
            x = np.concatenate([x, dwell_vector(w, seconds)])
        if type(net.item_rnn).__name__ == "LSTM":
            hidden, cell = lstm_step(x, hidden, cell, rnn_weights(w, "item_rnn"))
        else:
            hidden = gru_step(x, hidden, rnn_weights(w, "item_rnn"))
        states.append(hidden)
    return states


def attend_by_time(net, states, dwell):
    """Eqs. 10, 15-17 for the last row of the triangle; the last dwell is taken away first where it is unknown."""
    w = weights_of(net)
    dwell = [*dwell[:-1], np.nan] if net.last_dwell == "unknown" else dwell
    time = np.zeros(net.time_attention.key.in_features)
    scores = []
    for state, seconds in zip(states, dwell, strict=True):
        time = gru_step(dwell_vector(w, seconds), time, rnn_weights(w, "time_attention.encoder.rnn"))
        p = np.tanh(w["time_attention.key.weight"] @ time + w["time_attention.key.bias"])
        scores.append(p @ (states[-1] if net.time_attention.attention == "causal" else state))
    return sum(weight * state for weight, state in zip(softmax(scores), states, strict=True))


def attend_by_user(net, states, user):
    """Eq. 19 for the last row of the triangle."""
    w = weights_of(net)
    scores = [np.tanh(w["user_attention.key.weight"] @ h + w["user_attention.key.bias"]) @ user for h in states]
    return sum(weight * state for weight, state in zip(softmax(scores), states, strict=True))


def session_states(net, items, dwell):
    """What every prefix of the session is read as, before the user comes in."""
    states = []
    for end in range(1, len(items) + 1):
        hidden = hidden_states(net, items[:end], dwell[:end])
        state = hidden[-1]
        if net.time_attention is not None:
            attended = attend_by_time(net, hidden, dwell[:end])
            state = state + attended if net.residual else attended
        states.append(state)
    return states


def asars_state(net, items, dwell, row=0, drift=0.0):
    """State of an ``ASARSNet`` after viewing `items`: sections 2.1 to 2.3, one event at a time.

    `row` is the user's in the user embedding, `drift` what eq. 11 adds to it.
    """
    w = weights_of(net)
    states = session_states(net, items, dwell)
    out = states[-1] if states else np.zeros(net.item_rnn.hidden_size)
    if net.users is not None:
        user = w["users.embedding.weight"][row] + drift
        if net.user_attention is not None and states:
            attended = attend_by_user(net, states, user)
            out = out + attended if net.residual else attended
        out = np.concatenate([out, user])
    q = w["output.weight"] @ out + w["output.bias"]
    if net.dwell is not None and states:
        known = [np.nan, *dwell] if net.last_dwell == "unknown" else [*dwell]
        q = q + w["bin_bias.weight"] @ dwell_vector(w, known[len(items) - 1])
    if net.mean is not None:
        bias = w["user_biases.weight"][row] if net.user_biases is not None else 0.0
        q = np.concatenate([q, w["mean"] + bias])
    return q


def deviation(started, mean):
    """dev_u(t) of TimeSVD++, in days."""
    days = (started - mean) / 86400
    return np.sign(days) * abs(days) ** 0.4


def drifts(net, row, sessions, mean):
    """alpha_u h_u(t) of each of one user's sessions, one session after the other (eqs. 11, 14).

    `sessions` are (items, dwell, started) in the order of time.
    """
    w = weights_of(net)
    state, final, values = np.zeros(net.drift.rnn.hidden_size), np.zeros(net.item_rnn.hidden_size), []
    for items, dwell, started in sessions:
        state = gru_step(
            final * (1 + w["drift.strength"] * deviation(started, mean)), state, rnn_weights(w, "drift.rnn")
        )
        values.append(w["drift.alpha.weight"][row] * state)
        final = session_states(net, items, dwell)[-1]
    return values


def item_scores(net, state):
    """Eq. 20 for every item."""
    w = weights_of(net)
    query, offset = state[: net.embedding_dim], sum(state[net.embedding_dim :])
    return [
        e @ query + b[0] + offset for e, b in zip(w["item_embeddings.weight"], w["item_biases.weight"], strict=True)
    ]


def memory_terms(net, state, viewed, history):
    """What the memory adds to the score of every item: {item: sum}, item by item.

    `viewed` are the items of this session so far, `history` is {item: (times, sessions ago, seconds ago, dwell)}.
    """
    w = net.weights()
    gate = weights_of(net)["terms.0.gates.weight"] @ state
    added = {}
    for item, (times, sessions_ago, seconds_ago, dwell) in history.items():
        term = gate[1] + w["seen"] + w["times"] * np.log(1 + times)
        term += w["sessions_ago"] * sessions_ago ** -w["decay of sessions_ago"]
        if not np.isnan(seconds_ago):
            term += w["time_ago"] * (1 + seconds_ago / 86400) ** -w["decay of time_ago"]
        if not np.isnan(dwell):
            term += w["dwell"] * np.log(1 + dwell)
        added[item] = term
    for item in set(viewed):
        ago = viewed[::-1].index(item)
        term = gate[0] + w["here"] + w["steps_ago"] * (1 + ago) ** -w["decay of steps_ago"]
        if ago == 0:
            term += w["last"]
        added[item] = added.get(item, 0.0) + term
    return added


def transition_counts(sessions, window, left_out=None):
    """The counts F and G by two loops over each session: {(kind, item, candidate): count}."""
    occurrences = Counter(item for items in sessions for item in items)
    counts = defaultdict(float)
    for number, items in enumerate(sessions):
        for (p, one), (q, other) in product(enumerate(items), repeat=2):
            if one != other and abs(p - q) <= window and number != left_out:
                counts["together", one, other] += 1 / np.sqrt(occurrences[one])
                if p < q:
                    counts["follows", one, other] += 1 / (q - p)
    return counts


def candidates_after(counts, viewed, latest):
    """The counts of the candidates of each of the `latest` events of `viewed`: {(kind, d, candidate): count}.

    d is 1 for the last event, 2 for the one before.
    """
    return {
        (kind, d, candidate): count
        for d, item in enumerate(viewed[::-1][:latest], start=1)
        for (kind, one, candidate), count in counts.items()
        if one == item and count > 1e-6
    }


def transition_terms(net, state, counts, viewed, latest, weight_of=lambda d: 1):
    """What the transitions add to the score of every item: {item: sum}, event by event and candidate by candidate."""
    w = weights_of(net)
    gate = (w["terms.0.gate.weight"] @ state)[0]
    added = defaultdict(float)
    for (kind, d, candidate), count in candidates_after(counts, viewed, latest).items():
        row = ("follows", "together").index(kind)
        beta = np.exp(w["terms.0.log_beta"][row])
        weight = weight_of(d) * (w["terms.0.place"][d - 1] + gate / d)
        added[candidate] += weight * w["terms.0.kind"][row] * np.log(1 + beta * count)
    return added
