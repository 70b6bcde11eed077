import json

from tocsin_local.report import Machine, line, once

MACHINE = Machine(cpus=2, memory_mib=2048, system="Linux", python="3.11.7", postgresql="15.1", rabbitmq="3.10.8")


def test_line_is_one_json_object_on_one_line() -> None:
    text = line("demo", commit="abc", machine=MACHINE, rows=[once("owed", 61, "executions", bound="> 0")])

    assert "\n" not in text
    found = json.loads(text)
    assert (found["report"], found["commit"], found["machine"]["cpus"]) == ("demo", "abc", 2)
    assert found["rows"] == [
        {
            "name": "owed",
            "value": 61,
            "unit": "executions",
            "bound": "> 0",
            "ok": True,
            "runs": 1,
            "min": 61,
            "max": 61,
        }
    ]
