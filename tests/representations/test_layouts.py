"""Every function of the representations takes tensors of any layout, such as recurrent nets and slices give."""

from __future__ import annotations

import inspect

import pytest
import torch
from contracts import BATCH, DIM, TIME, USERS, check_any_layout

from spotlight_asars.representations import attention, padding
from spotlight_asars.representations.attention import CHUNK, Prefix
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS, DwellEncoder
from spotlight_asars.representations.padding import SortedEvents
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS, TimeAttention
from spotlight_asars.representations.transformer import Transformer, time_between
from spotlight_asars.representations.user_drift import UserDrift
from spotlight_asars.representations.users import UserAttention
from spotlight_asars.sessions.channels import Chain


def encoding(name="scott"):
    return TIME_ENCODINGS[name].module(TIME_ENCODINGS[name].fit([1.0, 30.0, 90.0, 300.0]), DIM)


def scores(time):
    return torch.randn(BATCH, time)


def values(time):
    return torch.randn(BATCH, time, DIM)


def events(time):
    return torch.rand(BATCH, time) < 0.7


def items(time):
    return torch.randint(0, 3, (BATCH, time))


def dwell(time):
    return (torch.rand(BATCH, time) * 400).masked_fill(torch.rand(BATCH, time) < 0.3, torch.nan)


def users(time):
    return torch.randn(BATCH, DIM)


FUNCTIONS = {  # name: (function, what makes its arguments for a length)
    "triangle_attention": (attention.triangle_attention, (scores, values, events)),
    "attend_prefixes": (attention.attend_prefixes, (scores, values, events)),
    "attend_with_own_term": (attention.attend_with_own_term, (scores, scores, values, events)),
    "causal_attention": (attention.causal_attention, (values, values, values)),
    "causal_attention with own keys": (attention.causal_attention, (values, values, values, values)),
    "shift": (lambda *prefix: attention.shift(Prefix(*prefix)), (values, scores)),
    "join": (lambda a, b, c, d: attention.join(Prefix(a, b), Prefix(c, d)), (values, scores, values, scores)),
    "empty_prefix": (attention.empty_prefix, (users,)),
    "events_first": (padding.events_first, (items,)),
    "after_each_step": (lambda trace, real: padding.after_each_step(trace, real[:, 1:]), (values, events)),
    "SortedEvents": (lambda ids, dwell, states: SortedEvents.sort(ids, dwell).final(states), (items, dwell, values)),
    **{name: (encoding(name), (dwell,)) for name in TIME_ENCODINGS},
    "DwellEncoder": (DwellEncoder(encoding(), DIM), (dwell,)),
    **{
        f"TimeAttention {reading} {last}": (TimeAttention(encoding(), DIM, DIM, reading, last), (dwell, values, events))
        for reading in READINGS
        for last in LAST_DWELL
    },
    "time_between": (time_between, (dwell,)),
    **{f"Transformer {last}": (Transformer(DIM, 4, 0.0, True, last), (values, dwell)) for last in LAST_DWELL},
    "UserAttention": (UserAttention(DIM, DIM), (users, values, events)),
}


@torch.no_grad()
@pytest.mark.parametrize("time", [TIME, CHUNK, 2 * CHUNK + 1, 3 * CHUNK + 1])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_views_give_what_contiguous_tensors_give(name, time):
    torch.manual_seed(time)
    function, arguments = FUNCTIONS[name]
    check_any_layout(function, *(argument(time) for argument in arguments))


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_drift_takes_final_states_of_any_layout(in_one_batch):
    def drift(finals):
        torch.manual_seed(0)
        net = UserDrift(USERS, DIM, 2, dropout=0.0).eval()
        net.roll(rows, started, finals, chain)
        return net(rows, started, finals, chain if in_one_batch else None), net.state, net.final

    rows, started = torch.tensor([3, 5]), torch.tensor([1e5, torch.nan], dtype=torch.float64)
    chain = Chain(torch.tensor([0, 1]), torch.tensor([0, 0]), (2, 1))
    check_any_layout(drift, users(TIME))


@pytest.mark.parametrize("module", [attention, padding])
def test_no_function_is_left_out(module):
    functions = dict(inspect.getmembers(module, inspect.isfunction))
    public = {name for name, function in functions.items() if function.__module__ == module.__name__ and name[0] != "_"}
    assert public <= FUNCTIONS.keys()
