"""A net together with what it remembers: all that scoring needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._checks import require
from spotlight_asars.events.item_features import FeatureSpace, ItemFeatures
from spotlight_asars.events.labels import NO_LABELS, LabelSizes
from spotlight_asars.memory import RecallNet, Transitions
from spotlight_asars.memory.neighbour_sessions import NeighbourSessions
from spotlight_asars.memory.neighbour_terms import NeighbourTerms
from spotlight_asars.memory.own_counts import OwnCounts
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.recommending.user_state import UserState
from spotlight_asars.representations import ASARSNet
from spotlight_asars.representations.feature_vectors import FeatureVectors
from spotlight_asars.runtime.devices import FULL_PRECISION, moved, take
from spotlight_asars.sessions import PADDING_IDX, Channels, SessionInteractions
from spotlight_asars.sessions.batching import Batch

COMPANIONS = 12  # items that come together with a new one most often, from which it starts
RARE = 0.1  # quantile of the biases with which an item starts that comes together with none


class FittedNet:
    """A net, and what it remembers: its users' histories, the transitions of the training sessions, and neighbours.

    Parameters
    ----------
    net : Representation
        Moved to the device.
    num_items, num_users : int
        Sizes of the catalogue, padding included, and of the training users.
    dwell_scale : float64 array
        Scale of the dwell encoding, fitted on the training sessions.
    history_size : int, optional
        Items of earlier sessions that a session sees; None keeps no history.
    device : torch.device
    space : FeatureSpace, optional
        How features of items become numbers, for a net that has some.
    labels : LabelSizes
        Number of kinds of events, and of labels in each column of the context.
    embedding_dim : int
        That the net was built with, chosen where its options leave it open.

    Attributes
    ----------
    seen : bool (items,)
        Items that occur in the sessions of a training.
    """

    def __init__(
        self,
        net: nn.Module,
        num_items: int,
        num_users: int,
        dwell_scale: NDArray[np.float64],
        history_size: int | None,
        device: torch.device,
        space: FeatureSpace | None = None,
        labels: LabelSizes = NO_LABELS,
        embedding_dim: int = 0,
    ) -> None:
        self.net: Any = net.to(device)
        self.num_items, self.num_users, self.dwell_scale = num_items, num_users, dwell_scale
        self.space, self.labels, self.embedding_dim = space, labels, embedding_dim
        self.seen = np.zeros(num_items, dtype=bool)
        inner = net.net if isinstance(net, RecallNet) else net
        self.asars = inner if isinstance(inner, ASARSNet) else None
        self.users = UserState(self.asars, history_size, device)
        self.transitions: Transitions | None = None
        self.neighbours: NeighbourSessions | None = None

    @property
    def device(self) -> torch.device:
        """Where the net is; a pickle may have been loaded to another place than it came from."""
        tensors: Iterator[Tensor] = chain(self.net.parameters(), self.net.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    @property
    def inner(self) -> Any:
        """The net without its memories."""
        return self.net.net if isinstance(self.net, RecallNet) else self.net

    @property
    def asks_kinds(self) -> bool:
        """Whether the kind of the next event changes scores."""
        return any(getattr(part, "of_asked", None) is not None for part in self.net.modules())

    @property
    def neighbour_terms(self) -> NeighbourTerms | None:
        """The net's terms of neighbour sessions, if it has them."""
        terms = self.net.terms if isinstance(self.net, RecallNet) else ()
        return next((one for one in terms if isinstance(one, NeighbourTerms)), None)

    @property
    def common_terms(self) -> Tensor | None:
        """What neighbour sessions add to the scores of all states alike, float (items,), if anything."""
        terms = self.neighbour_terms
        return None if terms is None or self.neighbours is None else terms.of_demand(self.neighbours.demand)

    @property
    def memories(self) -> tuple[Any, ...]:
        """What a training step looks things up in: unequal to an earlier answer once any of it has changed."""
        graph = None if self.asars is None else self.asars.item_graph
        return self.transitions, self.users.memory, None if graph is None else graph.version

    def remember(self, sessions: SessionInteractions, transitions: bool) -> None:
        """Forget what was remembered; remember these sessions, and which users are in them."""
        self.neighbours = None  # training does without them
        self.users.start(sessions)
        counted = self._count_transitions(sessions, transitions)
        if self.seen.any():  # this is not the first training
            self.start_items(counted or Transitions(sessions))
        self.seen[sessions.items] = True
        self._have_own(self.seen)
        if self.asars is not None and sessions.user_ids is not None:
            started = None if sessions.started is None else torch.from_numpy(sessions.started).to(self.device)
            self.asars.add_known_users(torch.from_numpy(sessions.user_ids).to(self.device), started)

    @contextmanager
    def remembering(self, sessions: SessionInteractions) -> Iterator[None]:
        """Have what follows an item, and what comes together with it, from these sessions inside the block."""
        transitions, graph = self.transitions, None if self.asars is None else self.asars.item_graph
        with nullcontext() if graph is None else graph.preserved():
            self._count_transitions(sessions, transitions is not None)
            try:
                yield
            finally:
                self.transitions = transitions

    def add(self, sessions: SessionInteractions) -> None:
        """Remember these later sessions as well; what the net has learned stays as it is."""
        self.users.roll(sessions)
        if self.neighbours is not None:
            self.neighbours = self.neighbours.with_added(sessions)
        if self.transitions is not None:
            self.transitions = self.transitions.with_added(sessions)
        if not self.seen[1:].all():
            self.start_items(self.transitions or Transitions(sessions))

    def describe(self, features: ItemFeatures, item_ids: NDArray[np.int64], first: int, but_seen: bool) -> None:
        """Take the features of items, int64 (n,), perhaps but for those that were trained.

        They are all that is known of the items from the id `first` on. ``ValueError`` for other columns than the first.
        """
        vectors = self._feature_vectors()
        assert self.space is not None
        assert vectors is not None
        chosen = ~(self.seen[item_ids] & but_seen)
        encoded = (torch.from_numpy(part[chosen]) for part in self.space.encode(features))
        vectors.describe(torch.from_numpy(item_ids[chosen]), *encoded)
        vectors.own[moved(torch.from_numpy(item_ids[item_ids >= first]), self.device)] = False

    def _feature_vectors(self) -> FeatureVectors | None:
        return None if self.asars is None else self.asars.item_features

    def _have_own(self, items: NDArray[np.bool_]) -> None:
        """Some items, bool (items,), are from now on more than their features."""
        vectors = self._feature_vectors()
        if vectors is not None:
            vectors.own |= moved(torch.from_numpy(items), self.device)

    def take_memories(self, other: FittedNet) -> None:
        """Remember what another net remembers, of which this one is a copy, perhaps for a larger catalogue.

        Items that are new here start in the middle of those that were trained, and as rare ones.
        """
        self.users.take_memory(other.users)
        self.transitions, self.neighbours = other.transitions, other.neighbours
        self.seen = np.pad(other.seen, (0, self.num_items - other.num_items))
        if self.neighbours is not None and self.neighbours.num_items < self.num_items:
            self.neighbours = self.neighbours.grown(self.num_items)
        if self.transitions is not None:
            self.transitions = self.transitions.grown(self.num_items)
        trained = self._ids(self.seen)
        with torch.no_grad():
            for layer in self._item_layers():
                known = layer.weight[trained]
                layer.weight[other.num_items :] = known.quantile(RARE) if layer.weight.shape[1] == 1 else known.mean(0)

    @torch.no_grad()
    def start_items(self, counted: Transitions) -> None:
        """Start items that were not trained yet from those that come together with them.

        Their embeddings and biases become the means of those of their companions that were trained, by how often they
        come together; and their companions are their neighbours in the ``ItemGraph``. An item without companions is
        left as it is.
        """
        graph = None if self.asars is None else self.asars.item_graph
        new = np.flatnonzero(~self.seen)
        near, share = counted.nearest(COMPANIONS if graph is None else graph.neighbours.shape[1], new)
        found = share.any(dim=1).numpy()
        items, companions, shares = (moved(part[found], self.device) for part in (torch.from_numpy(new), near, share))
        if graph is not None:
            graph.connect_some(items, companions, shares)
        shares = shares * moved(torch.from_numpy(self.seen[near[found].numpy()]), self.device)
        total = shares.sum(dim=1, keepdim=True)
        for layer in self._item_layers():
            mean = (layer.weight[companions.long()] * shares.unsqueeze(2)).sum(dim=1) / total
            layer.weight[items] = torch.where(total > 0, mean.to(layer.weight.dtype), layer.weight[items])
        started = np.zeros(self.num_items, dtype=bool)
        started[new[found]] = True
        self._have_own(started)

    def _ids(self, items: NDArray[np.bool_]) -> Tensor:
        """The ids of some items, bool (items,), on the device."""
        return moved(torch.from_numpy(np.flatnonzero(items)), self.device)

    def _item_layers(self) -> list[Any]:
        """The net's embeddings and biases of items, under Spotlight's names, where they are one row for each item."""
        inner: Any = self.net.net if isinstance(self.net, RecallNet) else self.net
        inner = inner if self.asars is not None else getattr(inner, "net", inner)
        layers = (getattr(inner, name, None) for name in ("item_embeddings", "item_biases"))
        return [layer for layer in layers if len(getattr(layer, "weight", ())) == self.num_items]

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Undo at the end what was added inside the block."""
        transitions, neighbours, new = self.transitions, self.neighbours, self._ids(~self.seen)
        rows = [(layer.weight, layer.weight[new].detach().clone()) for layer in self._item_layers()]
        graph = None if self.asars is None else self.asars.item_graph
        vectors = self._feature_vectors()
        own = None if vectors is None else vectors.own.clone()
        try:
            with self.users.preserved(), nullcontext() if graph is None else graph.preserved():
                yield
        finally:
            self.transitions, self.neighbours = transitions, neighbours
            with torch.no_grad():
                for weight, kept in rows:
                    weight[new] = kept
            if vectors is not None and own is not None:
                vectors.own.copy_(own)

    def _count_transitions(self, sessions: SessionInteractions, wanted: bool) -> Transitions | None:
        graph = None if self.asars is None else self.asars.item_graph
        counted = Transitions(sessions, device=self.device) if wanted or graph is not None else None
        if graph is not None and counted is not None:
            graph.connect(*counted.around(graph.neighbours.shape[1]))
        self.transitions = counted if wanted else None
        return counted

    def remember_neighbours(self, sessions: SessionInteractions) -> None:
        """Remember these sessions as neighbours of others, where they are worth something."""
        terms = self.neighbour_terms
        if self.neighbours is None and terms is not None and terms.is_worth_something:
            self.neighbours = NeighbourSessions(sessions, self.device)

    def recall(self, items: Tensor, channels: Channels) -> Channels:
        """`channels` with the users' histories, and what followed the `items` in training."""
        return self.users.recall(channels)._replace(
            transitions=None if self.transitions is None else self.transitions.query(items),
            neighbours=None if self.neighbours is None else self.neighbours.query(items),
        )

    def recall_in_training(self, batch: Batch, own: OwnCounts | None) -> Channels:
        """The same for a training batch, without its sessions' `own` part in what is remembered."""
        query = None if self.transitions is None else self.transitions.query(batch.items, own, batch.first)
        return self.users.recall(batch.channels, training=True)._replace(transitions=query)

    @torch.no_grad()
    def states(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step of a batch, (batch, time, ...), without dropout."""
        recalled = self.recall(items, channels or Channels())
        with FULL_PRECISION if items.is_cuda else nullcontext():
            return self.net.eval().states(items, recalled)

    @torch.no_grad()
    def score_catalogue(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items)."""
        scores: Tensor = self.net.score_items(states, item_ids)
        if item_ids is not None:
            return scores.masked_fill_(item_ids == PADDING_IDX, NEVER)
        scores[:, PADDING_IDX] = NEVER
        return scores

    @torch.no_grad()
    def score_pairs(self, states: Any, item_ids: Tensor) -> Tensor:
        """Scores of items of each state's own, int64 (rows, n): float (rows, n); anything at padding."""
        if isinstance(self.net, RecallNet):
            return self.net.score_pairs(states, item_ids)
        state = torch.arange(len(item_ids), device=item_ids.device).repeat_interleave(item_ids.shape[1])
        scores: Tensor = self.net.score(take(states, 0, state), item_ids.flatten())
        return scores.view(item_ids.shape)

    def viewed_items(self, items: Tensor, channels: Channels) -> Tensor:
        """Items of each row's session and of its user's earlier ones, int64 (batch, slots), padded with 0."""
        rule = "exclude_seen must be False or 'session' for a model without history"
        require(self.users.memory is not None, rule, "history")
        return torch.cat([items, self.users.viewed(channels, len(items))], dim=1)

    def dot_product_net(self, caller: str) -> ASARSNet:
        """The net without memories, whose score is one dot product; ``ValueError`` where it is of another kind."""
        inner = self.net.net if isinstance(self.net, RecallNet) else self.net
        rule = f"{caller} must be asked of an ASARS representation, whose score is one dot product"
        require(self.asars is not None, rule, type(getattr(inner, "net", inner)).__name__)
        assert self.asars is not None
        return self.asars.eval()
