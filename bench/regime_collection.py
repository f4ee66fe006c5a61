"""The collection of 209,033 states: built in one pass, published, loaded, and its first answers in a cold process."""

import statistics
import time
from typing import Any

from bench_project import loaded_project
from regime_setup import RUNS, STATES, fill, seconds_of


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        from regime.domain.universe import Query
        from regime.services.answers import CollectionAnswers
        from regime.services.collection import Collection
        from regime.services.refresher import CollectionBuild
        from regime.store.collection_store import CollectionStore

        client = get_redis_connection("regime")
        fill(client)
        figures: dict[str, list[float]] = {}

        def note(name: str, seconds: float) -> None:
            figures.setdefault(name, []).append(seconds)

        for _ in range(RUNS):
            now = time.time()
            store = CollectionStore.connect()
            note("floor: SCAN + pipelined HGETALL", seconds_of(lambda: usual_way(client)))
            built: list[Any] = []
            note("build in one pass", seconds_of(lambda: built.append(CollectionBuild.connect().build(now)[0])))
            note("publish", seconds_of(lambda: store.publish(built[0], store.pointer(), now)))
            process, answers = Collection.connect(), CollectionAnswers()
            note("load a version", seconds_of(lambda: process.newest(now)))
            version = process.newest(now)
            note("first answer after the load", seconds_of(lambda: answers.answer(version, Query(), None, now)))
            for name, query in QUERIES().items():
                note(f"first answer, {name}", seconds_of(lambda: answers.answer(version, query, None, now)))
                again = [seconds_of(lambda: CollectionAnswers().answer(version, query, None, now)) for _ in range(50)]
                note(f"later answer, {name}", statistics.median(again))
        for name, values in figures.items():
            print(f"{name:<48} {statistics.median(values) * 1000:9.2f} ms")
        ratio = statistics.median(
            own / floor
            for own, floor in zip(figures["build in one pass"], figures["floor: SCAN + pipelined HGETALL"], strict=True)
        )
        print(f"build / floor {ratio:.2f} (target <= 0.5); load target 150 ms; first answer target 79 ms")
        version_key = next(iter(client.scan_iter("avo:{regime}:collection:*")))
        print(f"packed: {client.memory_usage(version_key, samples=0) / STATES:.0f} bytes a state")


def QUERIES() -> dict[str, Any]:  # noqa: N802
    from regime.domain.universe import Query

    return {
        "by score": Query(order="-score"),
        "bull from 0.5, 1,000 rows": Query(regime="bull", min_score=0.5, order="-score", limit=1_000),
        "by symbol from 0.5": Query(regime="bear", min_score=0.5),
        "500 symbols": Query(symbols=b",".join(b"SYM%06d" % (n * 400) for n in range(500)), limit=500),
    }


def usual_way(client: Any) -> None:
    cursor = None
    while cursor != 0:
        cursor, names = client.scan(cursor or 0, match="argus:regime:*", count=1_000)
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(name)
        pipeline.execute()


if __name__ == "__main__":
    main()
