import pytest

from repository import symptoms, tracked

DOCUMENT = "docs/troubleshooting.md"
SOURCES = [text for path, text in tracked.modules().items() if path.startswith(("libs/", "services/"))]
CODE = """
def f(name: str) -> None:
    '''what a reader is told'''
    _log.warning("queue.lost", name=name)
    raise ValueError(f"there is no queue {name}: declare it, then start {name} again")
"""


def test_what_troubleshooting_quotes_is_written_by_the_code() -> None:
    problems = list(symptoms.unwritten(DOCUMENT, tracked.texts()[DOCUMENT], SOURCES))

    assert not problems, "\n".join(problems)


def test_troubleshooting_quotes_events_and_errors() -> None:
    found = [quote for _, quote in symptoms.quoted(tracked.texts()[DOCUMENT])]

    assert {"loop.ended", "hint.lost"} <= set(found)
    assert len(found) > 60


def table(*rows: str) -> str:
    return "\n".join(["| seen | why |", "|---|---|", *rows])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("| `queue.gone` | x |", "a.md:3: no log has the event `queue.gone`"),
        ("| 404, `there is no exchange …` | x |", "a.md:3: nothing writes `there is no exchange …`"),
        (
            "| `there is no queue …: delete it, …` | x |",
            "a.md:3: nothing writes `there is no queue …: delete it, …`",
        ),
        ("| `then start … there is no queue` | x |", "a.md:3: nothing writes `then start … there is no queue`"),
        ("| `what a reader is told` | x |", "a.md:3: nothing writes `what a reader is told`"),
    ],
)
def test_a_quote_that_nothing_writes_is_found(row: str, problem: str) -> None:
    assert list(symptoms.unwritten("a.md", table(row), [CODE])) == [problem]


@pytest.mark.parametrize(
    "row",
    [
        "| `queue.lost` | `queue.gone` is in another column |",
        "| `there is no queue …: declare it, then start … again` | x |",
        "| the task is `INACTIVE` in `GET /api/tasks/{id}` | x |",
        "| words without a quote | x |",
    ],
)
def test_what_is_written_and_what_is_no_quote_are_left_alone(row: str) -> None:
    assert list(symptoms.unwritten("a.md", table(row), [CODE])) == []
