"""Ways in which the same image may be stored, for tests that it makes no difference."""

import dask.array
import zarr
from hypothesis import strategies as st


@st.composite
def stored(draw, data, most_chunks=40):
    """Draw a NumPy, Dask or Zarr array of `data`, in chunks of odd shapes."""
    kind = draw(st.sampled_from(["numpy", "dask", "zarr"]))
    if kind == "numpy":
        return data
    least = [max(1, -(-length // most_chunks)) for length in data.shape]
    chunks = tuple(
        draw(st.integers(low, max(low, length)))
        for low, length in zip(least, data.shape, strict=True)
    )
    if kind == "dask":
        return dask.array.from_array(data, chunks=chunks)
    array = zarr.create_array({}, shape=data.shape, chunks=chunks, dtype=data.dtype)
    array[...] = data
    return array
