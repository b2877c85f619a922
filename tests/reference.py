"""The paper's equations as scalar loops: float64, no torch layer, nothing vectorised over events or sessions."""

from __future__ import annotations

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


def asars_state(net, items, dwell, user):
    """State of an ``ASARSNet`` after viewing `items`, one event at a time (eqs. 3, 10, 15-17, section 2.3).

    `user` is a row of the user embedding. Where the last dwell is unknown it is taken away first.
    """
    w = weights_of(net)
    size = net.item_rnn.hidden_size
    hidden, cell, states = np.zeros(size), np.zeros(size), []
    for item in items:
        hidden, cell = lstm_step(w["item_embeddings.weight"][item], hidden, cell, rnn_weights(w, "item_rnn"))
        states.append(hidden)
    out = np.array(states[-1]) if states else np.zeros(size)

    if net.dwell_encoder is not None and states:
        dwell = list(dwell)
        if net.last_dwell == "unknown":
            dwell[-1] = np.nan
        time = np.zeros(net.attention.in_features)
        scores = []
        for state, seconds in zip(states, dwell, strict=True):
            embedded = w["dwell_encoder.bins.weight"][dwell_bin(seconds, w["dwell_encoder.edges"])]
            time = gru_step(embedded, time, rnn_weights(w, "dwell_encoder.rnn"))
            scores.append(np.tanh(w["attention.weight"] @ time + w["attention.bias"]) @ state)
        attended = sum(weight * state for weight, state in zip(softmax(scores), states, strict=True))
        out = out + attended if net.residual else attended

    if net.user_embeddings is not None:
        out = np.concatenate([out, w["user_embeddings.weight"][user]])
    return w["output.weight"] @ out + w["output.bias"]


def item_scores(net, state):
    """Eq. 20 for every item."""
    w = weights_of(net)
    return [e @ state + b[0] for e, b in zip(w["item_embeddings.weight"], w["item_biases.weight"], strict=True)]
