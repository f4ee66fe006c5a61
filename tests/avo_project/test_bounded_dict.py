from threading import Thread

from avo_project.lib.bounded_dict import BoundedDict


def test_a_new_key_drops_the_oldest() -> None:
    kept: BoundedDict[str, int] = BoundedDict(2)
    kept["a"], kept["b"] = 1, 2
    kept["a"] = 3
    assert kept == {"a": 3, "b": 2}
    kept["c"] = 4
    assert kept == {"b": 2, "c": 4}


def test_threads_stay_within_the_bound() -> None:
    kept: BoundedDict[int, int] = BoundedDict(3)

    def fill(start: int) -> None:
        for number in range(start, start + 20_000):
            kept[number] = number

    threads = [Thread(target=fill, args=(start,)) for start in (0, 100_000, 200_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 3
