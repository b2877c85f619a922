"""One event at a time: the net's states are those of the whole session, for every setting of its switches."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from contracts import BLUEPRINT, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars.representations import REPRESENTATIONS, ASARSNet, build
from spotlight_asars.representations.stepping import Stepper, choose
from spotlight_asars.sessions.channels import Channels

CHANNELS = [
    {"user": user, "time": time, "drift": drift}
    for user, time, drift in product((None, "cat", "att"), (None, "att", "cat"), (False, True))
    if user or not drift
]
READINGS = [{}, {"last_dwell": "observed"}, {"attention": "causal"}, {"attention": "causal", "last_dwell": "observed"}]
OTHERS = [
    {"cell": "gru"},
    {"residual": False},
    {"time_encoding": "continuous", "dwell_scale": [3.0, 1.5]},
    {"offset": True},
]
CASES = [
    {**channels, **reading} for channels, reading in product(CHANNELS, READINGS) if channels["time"] or not reading
] + [{"user": "att", "time": "att", "drift": True, **other} for other in OTHERS]


def make_net(**options):
    """A net in float64 in which every weight is at work and users are known, with a past."""
    blueprint = {**BLUEPRINT._asdict(), **options}
    torch.manual_seed(0)
    net = ASARSNet(**blueprint).double().eval()
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.5)
    if net.users is not None:
        net.users.met[:] = True
    if net.drift is not None:
        nn.init.normal_(net.drift.state)
        nn.init.normal_(net.drift.final)
        net.drift.mean_time[:] = 1e5
    return net


def batch_of(seed=0):
    items, channels = random_batch(seed=seed)
    return items, channels._replace(started=torch.tensor([3e5, torch.nan], dtype=torch.float64))


def walk(net, items, channels):
    """State after each event, with the dwell of the event itself still open; then what is left behind."""
    stepper = Stepper(net, channels.user_ids, channels.started, len(items))
    carry, state = stepper.begin()
    states = [state]
    for step in range(items.shape[1]):
        arrival = stepper.arrive(carry, items[:, step])
        states.append(arrival.state)
        carry = stepper.settle(carry, items[:, step], arrival, channels.dwell_times[:, step : step + 1])
    return torch.stack(states, dim=1), carry


@torch.no_grad()
@pytest.mark.parametrize("options", CASES, ids=lambda options: " ".join(str(value) for value in options.values()))
def test_steps_give_the_states_of_the_whole_session(options):
    net, (items, channels) = make_net(**options), batch_of()
    channels.dwell_times[0, 2] = torch.nan
    states, _ = walk(net, items, channels)
    nothing = net.states(torch.zeros_like(items), channels)[:, 0]
    torch.testing.assert_close(states[:, 0], nothing, rtol=1e-9, atol=1e-9)
    for step in range(1, TIME + 1):
        dwell = channels.dwell_times[:, :step].clone()
        dwell[:, -1] = torch.nan  # not known yet
        whole = net.states(items[:, :step], channels._replace(dwell_times=dwell))[:, -1]
        torch.testing.assert_close(states[:, step], whole, rtol=1e-9, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("name", [n for n in REPRESENTATIONS if getattr(build(n, BLUEPRINT), "item_rnn", None)])
def test_long_sessions_of_extreme_scores_stay_exact(name):
    net = build(name, BLUEPRINT).double().eval()
    for weight in net.parameters():
        nn.init.normal_(weight, std=3.0)
    draw = torch.Generator().manual_seed(1)
    items = torch.randint(1, ITEMS, (1, 150), generator=draw)
    dwell = torch.rand(1, 150, generator=draw, dtype=torch.float64) * 400
    states, carry = walk(net, items, Channels(None, dwell))
    torch.testing.assert_close(states[:, 1:], net.states(items, Channels(None, dwell)), rtol=1e-9, atol=1e-9)
    assert all(part.numel() < 200 for part in (*carry.rnn, *carry.by_time, *carry.by_user))


@torch.no_grad()
@pytest.mark.parametrize("reading", ["prefix", "causal"])
def test_rows_that_are_not_real_stay_as_they_are(reading):
    net, (items, channels) = make_net(user="att", time="att", attention=reading), batch_of()
    real = torch.tensor([[True, True, False, True, True], [False, True, True, False, True]])
    stepper = Stepper(net, channels.user_ids, channels.started, len(items))
    carry, _ = stepper.begin()
    for step in range(TIME):
        at = items[:, step] * real[:, step]
        arrival = stepper.arrive(carry, at)
        last = arrival.state
        carry = choose(
            real[:, step], stepper.settle(carry, at, arrival, channels.dwell_times[:, step : step + 1]), carry
        )
    padded = net.states(items * real, channels)[:, -1]
    torch.testing.assert_close(last, padded, rtol=1e-9, atol=1e-9)
