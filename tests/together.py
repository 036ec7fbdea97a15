"""Services called at the same moment, each in a thread and with a database connection of its own."""

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import connection

from harborlite.errors import HarborliteError


def together(*calls: Callable[[], object]) -> list[object]:
    """Runs `calls` at the same moment, each in its thread; what each returned or raised."""
    results: list[object] = [None] * len(calls)
    barrier = Barrier(len(calls))

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except HarborliteError as error:
            results[index] = type(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
