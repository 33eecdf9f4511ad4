"""Blocks of a slide in other processes, on this machine or many, by Dask's scheduler.

Only paths and settings travel: workers open image and model themselves and write into the run's
folder, so all machines must see both under the same paths. If a worker is lost, another one does
its block again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from napari_medt import __version__
from napari_medt.engine.block import Run, SlideSettings, recipe_hash
from napari_medt.engine.progress import IsCancelled
from napari_medt.engine.pyramid import open_levels
from napari_medt.errors import Cancelled, ClusterError
from napari_medt.models.store import bundled_cards, load_model

if TYPE_CHECKING:
    from distributed import Client, Future

TIMEOUT = 10  # seconds in which a scheduler must answer and have a worker
POLL = 0.1  # seconds between two looks at what is finished and whether to stop
RETRIES = 2  # how often a block that failed is tried again: shared file systems have bad moments
# Run by workers when they start: Ctrl-C is for the process that started them, which ends them too.
IGNORE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@dataclass(frozen=True)
class Job:
    """All that a worker needs to open a run.

    Attributes
    ----------
    folder, image : Path
        The run's folder, and the file of its image.
    model : str
        Name or path of the model.
    settings : SlideSettings
        What is computed.
    device : str
        Where the worker runs the network.
    """

    folder: Path
    image: Path
    model: str
    settings: SlideSettings
    device: str


@lru_cache(maxsize=1)
def open_run(job: Job) -> Run:
    """Open a run on a worker, which keeps it for the blocks to come.

    Raises
    ------
    ClusterError
        If this machine would compute something else.
    """
    levels, model = open_levels(job.image, job.settings.channel), load_model(job.model)
    run = Run.open(job.folder, levels, model, job.device)
    asked = job.settings
    here = (__version__, model.card.sha256, recipe_hash(model.card), run.plane.level.fingerprint())
    if here != (asked.version, asked.weights, asked.card, asked.image):
        raise ClusterError(
            "A worker has another image, model or version of napari-medt than this process: give "
            "all machines the same."
        )
    return run


def do_block(index: int, job: Job) -> None:
    """Do a block on a worker, unless one that was thought lost has finished it meanwhile."""
    run = open_run(job)
    if not run.is_done(index):
        run.do(index)


@dataclass(frozen=True, eq=False)
class OnCluster:
    """Does blocks on the workers of a Dask client; see :class:`napari_medt.engine.slide.Execute`.

    Attributes
    ----------
    client : distributed.Client
        From :func:`connect` or :func:`start_workers`.
    image : Path
        The image of the run.
    model : str
        Its model: a bundled name or a path.
    """

    client: Client
    image: Path
    model: str

    def __call__(
        self, run: Run, todo: Sequence[int], done: Callable[[int], None], cancelled: IsCancelled
    ) -> None:
        """Do all blocks of `todo`; call `done` with each when it is written.

        Raises
        ------
        UserError
            What went wrong on a worker, or that workers or the scheduler were lost.
        Cancelled
            If `cancelled` said so. Workers still finish the block they are at.
        """
        job = self.job(run)
        # Impure: a scheduler that still knows a block of an earlier run must not answer with it.
        futures = self.client.map(do_block, todo, job=job, pure=False, retries=RETRIES)
        left = dict(zip(futures, todo, strict=True))
        try:
            for future in self.finished(futures, cancelled):
                raise_failure(future)
                done(left.pop(future))
        finally:
            self.client.cancel(list(left))

    def job(self, run: Run) -> Job:
        """Describe a run to workers, which have working folders of their own."""
        model = self.model if self.model in bundled_cards() else str(Path(self.model).absolute())
        return Job(run.folder.absolute(), self.image.absolute(), model, run.settings, run.device)

    def finished(self, futures: Sequence[Future], cancelled: IsCancelled) -> Iterator[Future]:
        """Give futures as they finish, and ask meanwhile whether to stop."""
        from distributed import as_completed

        coming = as_completed(futures, loop=self.client.loop)
        while coming.count():
            if cancelled():
                raise Cancelled
            yield from coming.next_batch(block=False)
            time.sleep(POLL)


def raise_failure(future: Future) -> None:
    """Raise what made a block fail; nothing if it did not.

    Raises
    ------
    ClusterError
        If the scheduler was lost, or the block ended every worker that tried it.
    Exception
        Else the error that the worker met.
    """
    from distributed import KilledWorker

    if future.status == "cancelled":
        raise ClusterError("The Dask scheduler was lost: start it and go on with the same command.")
    if future.status != "error":
        return
    error = future.exception()
    if isinstance(error, KilledWorker):
        raise ClusterError(
            "A block ended every worker that tried it: start fewer workers with more memory each."
        )
    raise error


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """Connect to a scheduler and its workers.

    Parameters
    ----------
    address : str
        Like ``tcp://host:8786``.

    Raises
    ------
    ClusterError
        If Dask's `distributed` is not installed, or nobody answers within seconds.
    """
    distributed = import_distributed()
    # It logs tracebacks of its attempts to find a scheduler that is lost; we say it in a sentence.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        asyncio.run(check_reachable(address))
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError):  # nobody, no address, TLS without certificates
        raise ClusterError(
            f"No Dask scheduler answers at {address}: correct the address, or start one with "
            "'dask scheduler'."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=TIMEOUT)
        except TimeoutError:
            raise ClusterError(
                f"The scheduler has no workers: start some with 'dask worker {address}'."
            ) from None
        yield client


async def check_reachable(address: str) -> None:
    """Ask whether a scheduler answers, before a client is made.

    A client that fails to connect is left half made. If it is garbage-collected while another
    client or cluster starts, it deadlocks on a lock.

    Raises
    ------
    OSError, ValueError, TypeError
        If nobody answers, it is not an address, or it asks for TLS and Dask has no certificates.
    """
    from distributed import Security
    from distributed.comm.core import connect

    comm = await connect(address, timeout=TIMEOUT, **Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def start_workers(count: int) -> Iterator[Client]:
    """Start worker processes on this machine, for as long as they are needed.

    They share its cores, unless the environment says how many threads each may have.

    Parameters
    ----------
    count : int
        How many.

    Raises
    ------
    ClusterError
        If Dask's `distributed` is not installed.
    """
    distributed = import_distributed()
    from dask.system import CPU_COUNT

    threads = str(max(1, CPU_COUNT // count))
    # Torch takes the smaller of the two, and our Numba kernels run in as many threads as torch.
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    with (
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            memory_limit=0,  # blocks have their size for the memory; nothing else is kept
            silence_logs=logging.ERROR,  # a worker that is lost and replaced is no news to the user
            preload=[IGNORE_INTERRUPTS],
            env={name: os.environ.get(name, threads) for name in names},
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def import_distributed() -> ModuleType:
    """Import Dask's `distributed`, which not every user needs.

    Raises
    ------
    ClusterError
        If it is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "Workers need Dask's distributed: pip install 'napari-medt[cluster]'."
        ) from None
    return distributed
