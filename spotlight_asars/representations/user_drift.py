r"""Inter-session dynamics: how a user's embedding drifts from session to session (eqs. 11-14)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.events import DAY
from spotlight_asars.representations.users import UNKNOWN
from spotlight_asars.sessions.channels import Chain

DEVIATION_POWER = 0.4  # of TimeSVD++ (Koren 2009)


class UserDrift(nn.Module):
    r"""What a user's earlier sessions add to their embedding, :math:`e_u(t) = e_u + \alpha_u h_u(t)` (eq. 11).

    .. math:: h_u(t_s) = GRU(h^{session}_{s-1} \cdot (1 + w \, dev_u(t_s)), \; h_u(t_{s-1})), \qquad
        dev_u(t) = \mathrm{sign}(t - \bar t_u) \, |t - \bar t_u|^{0.4}

    A session s sees the final state of the user's session before it, scaled by the time at which s itself starts
    (eq. 14); :math:`\bar t_u` is the mean start of the user's training sessions, the deviation in days. Eq. 14 scales
    by the deviation alone, which is zero at :math:`\bar t_u` and changes its sign there; here the strength :math:`w`
    is learned, starting at 0. The state after each user's latest session is kept, and later sessions start from it;
    ``roll`` brings it forward.

    Parameters
    ----------
    num_users : int
    hidden_dim, user_dim : int
        Sizes of a session's final state and of the user embedding.
    dropout : float
        Probability of dropping an entry of a final state in training.

    References
    ----------
    Y. Koren: Collaborative filtering with temporal dynamics. KDD 2009.
    """

    def __init__(self, num_users: int, hidden_dim: int, user_dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(hidden_dim, user_dim, batch_first=True)
        self.alpha = nn.Embedding(num_users + 1, 1)
        nn.init.ones_(self.alpha.weight)
        self.strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean_time", torch.full((num_users + 1,), torch.nan, dtype=torch.float64))
        self.register_buffer("state", torch.zeros(num_users + 1, user_dim))
        self.register_buffer("final", torch.zeros(num_users + 1, hidden_dim))
        self.mean_time: Tensor
        self.state: Tensor
        self.final: Tensor

    def fit_mean_times(self, rows: Tensor, started: Tensor) -> None:
        """Take the mean start of each user's training sessions: int64 (session,), float64 (session,) [s]."""
        known = ~started.isnan() & (rows != UNKNOWN)
        total = torch.zeros_like(self.mean_time).index_add_(0, rows[known], started[known])
        count = torch.zeros_like(self.mean_time).index_add_(0, rows[known], torch.ones_like(started[known]))
        self.mean_time.copy_(total / count)  # NaN for users without a known start

    def deviation(self, rows: Tensor, started: Tensor | None) -> Tensor:
        """dev_u(t) of each session, float (batch,); 0 where the user or the time is unknown."""
        if started is None:
            return torch.zeros(len(rows), dtype=self.state.dtype, device=rows.device)
        days = (started - self.mean_time[rows]) / DAY
        return (days.sign() * days.abs() ** DEVIATION_POWER).nan_to_num(0.0).to(self.state.dtype)

    def _scale(self, rows: Tensor, started: Tensor | None) -> Tensor:
        return 1 + self.strength * self.deviation(rows, started).unsqueeze(1)  # (batch, 1)

    def forward(self, rows: Tensor, started: Tensor | None, finals: Tensor | None, chain: Chain | None) -> Tensor:
        r""":math:`\alpha_u h_u(t)` of each session.

        Parameters
        ----------
        rows : int64 (batch,)
            Row of each session's user in the embeddings.
        started : float64 (batch,) [s], optional
            When each session starts.
        finals : float (batch, hidden_dim), optional
            State after the last event of each session; needed with `chain`.
        chain : Chain, optional
            Which sessions of the batch follow each other. Without it, each follows the state that is kept.

        Returns
        -------
        float (batch, user_dim)
        """
        scale = self._scale(rows, started)
        if chain is None:
            state = torch.gru_cell(self.final[rows] * scale, self.state[rows], *self.rnn.all_weights[0])
            return self.alpha(rows) * state
        assert finals is not None
        zero = torch.zeros(1, dtype=finals.dtype, device=finals.device)
        first = self.state[rows] if not self.training else zero.expand(len(rows), self.state.shape[1])
        kept = self.final[rows] if not self.training else zero.expand_as(finals)
        state = self._run(self.dropout(_previous(finals, kept, chain) * scale), first, chain)
        nobody = torch.gru_cell(
            zero.expand(1, finals.shape[1]), zero.expand(1, state.shape[1]), *self.rnn.all_weights[0]
        )
        return self.alpha(rows) * torch.where((rows == UNKNOWN).unsqueeze(1), nobody, state)

    def _run(self, inputs: Tensor, first: Tensor, chain: Chain) -> Tensor:
        """States of the GRU over all users' sessions: (batch, hidden_dim), (batch, user_dim) -> (batch, user_dim)."""
        users, sessions = chain.sizes
        padded = inputs.new_zeros(users, sessions, inputs.shape[1])
        padded = padded.index_put((chain.user, chain.place), inputs)  # (users, sessions, hidden_dim)
        begin = first.new_zeros(users, sessions, first.shape[1]).index_put((chain.user, chain.place), first)[:, 0]
        states, _ = self.rnn(padded, begin.unsqueeze(0).contiguous())
        return states[chain.user, chain.place]

    @torch.no_grad()
    def roll(self, rows: Tensor, started: Tensor | None, finals: Tensor, chain: Chain) -> None:
        """Bring the kept states forward over finished sessions; arguments as in ``forward``, in evaluation mode."""
        scale = self._scale(rows, started)
        state = self._run(_previous(finals, self.final[rows], chain) * scale, self.state[rows], chain)
        last = F.pad(chain.place[1:], (0, 1)) == 0
        kept = last & (rows != UNKNOWN)
        self.state[rows[kept]], self.final[rows[kept]] = state[kept], finals[kept]

    def forget(self) -> None:
        """Reset every user to one without sessions."""
        self.state.zero_()
        self.final.zero_()


def _previous(finals: Tensor, kept: Tensor, chain: Chain) -> Tensor:
    """Final state of the session before each one, (batch, hidden_dim): the kept one where the batch has none."""
    return torch.where((chain.place == 0).unsqueeze(1), kept, F.pad(finals, (0, 0, 1, 0))[:-1])
