"""Jobs next to each other: results and text in order, one core each, failures by name."""

import os
import time

import numpy as np
import pytest

from cnnlab.training import workers


def described(images, factor):
    import tensorflow as tf

    print("threads", tf.config.threading.get_intra_op_parallelism_threads())
    print(f"factor {factor}")
    threads = [os.environ[name] for name in workers.THREADS]
    return float(images.sum()) * factor, os.getpid(), threads, images.flags.writeable


def failing(message):
    raise KeyError(message)


def dying():
    os._exit(1)


def test_results_and_text_come_in_order(capsys, monkeypatch):
    monkeypatch.setenv(workers.THREADS[0], "7")
    monkeypatch.delenv(workers.THREADS[1], raising=False)
    images = np.ones((600, 500))  # large enough for a file
    results = workers.side_by_side({"slow": (described, images, 3), "fast": (described, images, 2)})
    assert list(results) == ["slow", "fast"]
    (slow, process, threads, writeable), (fast, *_) = results.values()
    assert (slow, fast) == (900_000, 600_000)
    assert process != os.getpid() and threads == ["1", "1"] and not writeable
    assert capsys.readouterr().out.splitlines()[::2] == ["slow", "factor 3", "threads 0"]
    assert os.environ[workers.THREADS[0]] == "7"  # this process keeps its own
    assert workers.THREADS[1] not in os.environ
    assert workers.side_by_side({}) == {}


def test_functions_of_a_notebook_can_be_sent():
    offset = 5
    assert workers.side_by_side({"sum": (lambda a, b: a + b + offset, 1, 2)}) == {"sum": 8}


def test_models_come_back_with_their_weights():
    def make(units):
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
        model.compile("adam", "mse")
        model.fit(np.ones((4, 3)), np.ones((4, units)), verbose=0)
        return model, model.get_weights()

    for model, weights in workers.side_by_side({"a": (make, 2), "b": (make, 5)}).values():
        for ours, theirs in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_failure_is_named_and_the_next_call_works():
    with pytest.raises(RuntimeError, match="^second failed: KeyError: 'gone'$"):
        workers.side_by_side({"first": (abs, -1), "second": (failing, "gone")})
    with pytest.raises(RuntimeError, match="terminated"):
        workers.side_by_side({"first": (abs, -1), "second": (dying,)})
    assert workers.side_by_side({"first": (abs, -1)}) == {"first": 1}


def growing(megabytes):
    workers.kept = np.ones((megabytes, 1 << 17))  # as TensorFlow keeps memory of what it has done
    time.sleep(1.1)  # joblib looks once a second
    return os.getpid(), os.environ[workers.THREADS[0]]


def test_a_process_that_has_grown_is_replaced_without_a_word(recwarn):
    sizes = 0, 0, 500, 500, 0, 0, 0, 0
    jobs = {str(number): (growing, size) for number, size in enumerate(sizes)}
    processes, threads = zip(*workers.side_by_side(jobs).values(), strict=True)
    assert len(set(processes)) > 2
    assert set(threads) == {"1"}
    assert not list(recwarn)


def test_processes_use_large_pages_unless_the_caller_says_otherwise(monkeypatch):
    variable, value = workers.LARGE_PAGES
    jobs = {"one": (lambda: os.environ.get(variable),)}
    monkeypatch.delenv(variable, raising=False)
    assert workers.side_by_side(jobs) == {"one": value}
    assert variable not in os.environ
    monkeypatch.setenv(variable, "glibc.malloc.hugetlb=0")
    assert workers.side_by_side(jobs) == {"one": "glibc.malloc.hugetlb=0"}
