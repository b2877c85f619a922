"""Nets of other papers, as ``ASARSSequenceModel`` with other defaults and without memories.

=========================  ==========================================================================================
``gru4rec_cross_entropy``  a GRU over the items, against the whole catalogue (Hidasi et al. 2016)
``gru4rec_bpr_max``        the same with BPR-max against popular items (Hidasi and Karatzoglou 2018)
``youtube_pooling``        the mean of the items' vectors, with sampled softmax (Covington et al. 2016)
``wavenet_cnn``            dilated causal convolutions, with sampled softmax (van den Oord et al. 2016, as in Spotlight)
``narm``                   a GRU with global and local attention, against the whole catalogue (Li et al. 2017)
=========================  ==========================================================================================

References
----------
B. Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016.
B. Hidasi, A. Karatzoglou: Recurrent neural networks with top-k gains for session-based recommendations. CIKM 2018.
P. Covington, J. Adams, E. Sargin: Deep neural networks for YouTube recommendations. RecSys 2016.
A. van den Oord et al.: WaveNet: a generative model for raw audio. 2016.
J. Li et al.: Neural attentive session-based recommendation. CIKM 2017.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from spotlight_asars._spotlight import CNNNet
from spotlight_asars.baselines.nets.narm import NARMNet
from spotlight_asars.model import ASARSSequenceModel
from spotlight_asars.representations import Blueprint, SpotlightNet

DILATION = (1, 2, 4, 8)  # layers of kernel width 3: a receptive field of 31 steps


def wavenet(blueprint: Blueprint) -> nn.Module:
    """Spotlight's convolutions, each layer dilated twice as much as the one before."""
    net = CNNNet(
        blueprint.num_items,
        blueprint.embedding_dim,
        kernel_width=3,
        dilation=DILATION,
        num_layers=len(DILATION),
        nonlinearity="relu",
        sparse=blueprint.sparse,
    )
    return SpotlightNet(net, blueprint.num_items)


_base = partial(ASARSSequenceModel, history=False, transitions=False, neighbours=False, item_neighbours=0)
_sampled = partial(_base, loss="sampled_softmax", negative_sampling="popularity")

gru4rec_cross_entropy = partial(_base, loss="cross_entropy", representation="gru4rec", cell="gru")
gru4rec_bpr_max = partial(_base, loss="bpr_max", representation="gru4rec", cell="gru", negative_sampling="popularity")
youtube_pooling = partial(_sampled, representation="pooling")
wavenet_cnn = partial(_sampled, representation=wavenet)
narm = partial(_base, loss="cross_entropy", representation=NARMNet.of)
