"""How much a job takes at a time."""

from tams_gateway.jobs.portions import Portions


def test_a_job_takes_more_at_a_time_while_each_piece_takes_long() -> None:
    now = 0.0
    portions = Portions(lambda: now)
    taken = []
    for took in (0.01, 0.3, 0.3, 0.3, 0.01, 0.01):
        with portions as number:
            taken.append(number)
            now += took

    assert taken == [1, 1, 2, 4, 4, 1]
