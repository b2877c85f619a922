"""The settings of our model that stand for other papers."""

from __future__ import annotations

import numpy as np

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.baselines import gru4rec_bpr_max, gru4rec_cross_entropy, wavenet_cnn, youtube_pooling
from spotlight_asars.baselines.nets.settings import DILATION


def test_settings_are_those_of_our_model_and_may_be_changed():
    for make, loss in ((gru4rec_cross_entropy, "cross_entropy"), (gru4rec_bpr_max, "bpr_max")):
        params = make(embedding_dim=7).get_params()
        assert (params["loss"], params["representation"], params["cell"]) == (loss, "gru4rec", "gru")
        assert params["embedding_dim"] == 7
    assert isinstance(youtube_pooling(loss="hinge"), ASARSSequenceModel)


def test_wavenet_looks_as_far_back_as_its_dilation_says():
    rows = np.random.RandomState(0).randint(1, 9, (4, 40))
    model = wavenet_cnn(embedding_dim=4, n_iter=1, random_state=0).fit(SessionInteractions(rows))
    reach = 1 + 2 * sum(DILATION)
    before = model.predict(rows[0])
    near, far = rows[0].copy(), rows[0].copy()
    near[-reach] = near[-reach] % 8 + 1
    far[-reach - 1] = far[-reach - 1] % 8 + 1
    assert not np.array_equal(model.predict(near), before)
    np.testing.assert_allclose(model.predict(far), before, rtol=1e-6)
