"""What is packed and written comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spotlight_asars.runtime import tensor_files

TENSORS = {
    "a number": torch.tensor(3.5),
    "one number": torch.tensor([3.5]),
    "nothing": torch.empty(0, 3),
    "turned": torch.arange(6).view(2, 3).T,
    "half": torch.ones(2, dtype=torch.bfloat16),
    "half a number": torch.tensor(2.0, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_comes_back_with_its_shape_and_type(name, tmp_path):
    packed, arrays = tensor_files.pack(TENSORS[name])
    tensor_files.write(tmp_path / "file", packed, arrays)
    found = tensor_files.unpack(*tensor_files.read(tmp_path / "file"))
    assert (found.shape, found.dtype) == (TENSORS[name].shape, TENSORS[name].dtype)
    assert torch.equal(found, TENSORS[name])


def test_dictionaries_lists_and_arrays_come_back(tmp_path):
    value = {0: [1, 2.5, None], "x": (True, "text"), "array": np.arange(3, dtype=np.uint32)}
    packed, arrays = tensor_files.pack(value)
    tensor_files.write(tmp_path / "file", packed, arrays)
    found = tensor_files.unpack(*tensor_files.read(tmp_path / "file"))
    np.testing.assert_array_equal(found.pop("array"), value.pop("array"))
    assert found == value
