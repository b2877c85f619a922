"""What every representation must satisfy, as functions of one; and what every function of tensors must."""

from __future__ import annotations

import numpy as np
import torch

from spotlight_asars.representations import Blueprint
from spotlight_asars.sessions.channels import Channels

BATCH, DIM, TIME, ITEMS, USERS = 2, 3, 5, 11, 7  # distinct primes: no axis can pass for another

BLUEPRINT = Blueprint(
    num_items=ITEMS,
    num_users=USERS,
    dwell_scale=np.array([10.0, 60.0, 300.0]),
    time_encoding="scott",
    cell="lstm",
    attention="prefix",
    residual=True,
    offset=False,
    embedding_dim=DIM,
    hidden_dim=13,
    user_dim=17,
    time_dim=19,
    item_neighbours=0,
    dropout=0.0,
    last_dwell="unknown",
    sparse=False,
)


def random_batch(batch=BATCH, time=TIME, seed=0):
    """Full rows of items with known users and dwell times."""
    draw = torch.Generator().manual_seed(seed)
    items = torch.randint(1, ITEMS, (batch, time), generator=draw)
    users = torch.randint(0, USERS, (batch,), generator=draw)
    dwell = torch.rand(batch, time, generator=draw, dtype=torch.float64) * 400
    return items, Channels(users, dwell)


def check_shapes(net):
    for batch, time in ((BATCH, TIME), (1, TIME), (BATCH, 1), (1, 1)):
        items, channels = random_batch(batch, time)
        states = net.states(items, channels)
        assert states.shape[:2] == (batch, time)
        rows = states.flatten(0, 1)
        assert net.score(rows, items.flatten()).shape == (batch * time,)
        assert net.score_items(rows, torch.arange(4)).shape == (batch * time, 4)
        assert net.score_items(rows, torch.arange(1)).shape == (batch * time, 1)
        assert net.score_items(rows).shape == (batch * time, ITEMS)


def check_scores_agree(net):
    """One item for each state, some items for all states, and the catalogue give the same scores."""
    items, channels = random_batch()
    rows = net.states(items, channels).flatten(0, 1)
    catalogue = net.score_items(rows)
    targets = items.flatten()
    torch.testing.assert_close(net.score(rows, targets), catalogue.gather(1, targets[:, None])[:, 0])
    torch.testing.assert_close(net.score_items(rows, torch.tensor([4, 2])), catalogue[:, [4, 2]])


def check_causal(net):
    """A state does not change with later items or later dwell."""
    items, (users, dwell, *_) = random_batch()
    before = net.states(items, Channels(users, dwell))
    for step in range(1, TIME):
        changed, longer = items.clone(), dwell.clone()
        changed[:, step:] = changed[:, step:] % (ITEMS - 1) + 1
        longer[:, step:] += 500
        after = net.states(changed, Channels(users, longer))
        torch.testing.assert_close(after[:, :step], before[:, :step])
        assert not torch.equal(after[:, step], before[:, step])


def check_rows_are_independent(net):
    """Shuffled rows give shuffled states, and a batch gives what its rows give one by one."""
    items, channels = random_batch(batch=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    together = net.states(items, channels)
    users, dwell, *_ = channels
    torch.testing.assert_close(net.states(items[order], Channels(users[order], dwell[order])), together[order])
    for row in range(5):
        alone = net.states(items[row : row + 1], channels.rows(slice(row, row + 1)))
        torch.testing.assert_close(alone[0], together[row])


def check_padding_is_nothing(net):
    """Padding on the left, on the right or in between changes no state, and takes no gradient."""
    items, (users, dwell, *_) = random_batch()
    plain = net.states(items, Channels(users, dwell))
    places = torch.tensor([2, 3, 5, 6, 9])  # of the events in a longer row
    wide, wide_dwell = torch.zeros(BATCH, 12, dtype=torch.int64), torch.full((BATCH, 12), 77.0, dtype=dwell.dtype)
    wide[:, places], wide_dwell[:, places] = items, dwell
    padded = net.states(wide, Channels(users, wide_dwell))
    torch.testing.assert_close(padded[:, places], plain)
    torch.testing.assert_close(padded[:, -1], plain[:, -1])  # padding after the end keeps the last state

    net.zero_grad()
    padded[:, places].sum().backward()
    assert not net.item_embeddings.weight.grad[0].any()


def check_empty_sessions(net):
    """Rows of nothing but padding have finite states, and scores by bias and user alone."""
    users = torch.tensor([1, 4])
    states = net.states(torch.zeros(BATCH, TIME, dtype=torch.int64), Channels(users, None))
    assert states.isfinite().all()
    torch.testing.assert_close(states, states[:, :1].expand_as(states))


def check_channels_are_optional(net):
    """No channels, and channels of nothing but unknown, are the same."""
    items, _ = random_batch()
    unknown = Channels(torch.full((BATCH,), -1), torch.full((BATCH, TIME), torch.nan))
    torch.testing.assert_close(net.states(items), net.states(items, unknown))


LENGTHS = (1, 31, 32, 33, 63, 64, 65, 96, 97, 128, 129, 193, 200, 225, 257)  # around multiples of attention's chunks


def check_every_length(net):
    """The states of a session's first events, cut off as a view, are the first states of the session."""
    items, (users, dwell, *_) = random_batch(time=max(LENGTHS))
    whole = net.states(items, Channels(users, dwell))
    for length in LENGTHS:
        states = net.states(items[:, :length], Channels(users, dwell[:, :length]))
        torch.testing.assert_close(states, whole[:, :length], msg=lambda message, at=length: f"{at} events: {message}")


def check_states_of_any_layout(net):
    """Items and channels may be views of any layout."""
    for length in (TIME, 65):
        items, (users, dwell, *_) = random_batch(time=length)
        check_any_layout(lambda items, users, dwell: net.states(items, Channels(users, dwell)), items, users, dwell)


def check_scores_of_any_layout(net):
    """States and items to be scored may be views of any layout."""
    items, channels = random_batch()
    states = net.states(items, channels).flatten(0, 1).detach()
    check_any_layout(net.score, states, items.flatten())
    check_any_layout(net.score_items, states, torch.tensor([4, 2, 1]))


LAYOUTS = {  # of a tensor's values in memory
    "transposed": lambda tensor: tensor.transpose(0, -1).contiguous().transpose(0, -1),
    "sliced": lambda tensor: torch.stack([tensor, tensor], dim=-1)[..., 0],
    "expanded": lambda tensor: tensor[:1].expand(tensor.shape),
}


def check_any_layout(function, *tensors):
    """`function` gives for views what it gives for contiguous copies of them."""
    for name, layout in LAYOUTS.items():
        views = [layout(tensor) for tensor in tensors]
        assert not all(view.is_contiguous() for view in views)
        actual, expected = function(*views), function(*(view.contiguous() for view in views))
        torch.testing.assert_close(actual, expected, equal_nan=True, msg=lambda message, at=name: f"{at}: {message}")


EVERY_NET = (
    check_shapes,
    check_scores_agree,
    check_causal,
    check_rows_are_independent,
    check_channels_are_optional,
    check_every_length,
    check_states_of_any_layout,
    check_scores_of_any_layout,
)
OUR_NETS = (check_padding_is_nothing, check_empty_sessions)
