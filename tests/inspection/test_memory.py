from pocketfit.inspection.memory import Step, peak


def test_a_buffer_lives_from_its_write_to_its_last_read() -> None:
    steps = [
        Step("input", writes={0: 10}),
        Step("wide", reads=(0,), writes={1: 50}),
        Step("narrow", reads=(1,), writes={2: 5}),
        Step("skip", reads=(2, 0), writes={3: 5}),
    ]
    assert peak(steps) == (65, "narrow")


def test_a_buffer_nobody_reads_is_gone_after_its_step() -> None:
    assert peak([Step("a", writes={0: 7, 1: 1}), Step("b", reads=(1,), writes={2: 2})]) == (8, "a")


def test_the_first_of_equal_peaks_is_named() -> None:
    assert peak([Step("a", writes={0: 4}), Step("b", reads=(0,))]) == (4, "a")


def test_nothing_takes_nothing() -> None:
    assert peak([]) == (0, "")
