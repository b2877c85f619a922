"""The machine below: devices, processes that train together, files of tensors, and the talk of other libraries."""
