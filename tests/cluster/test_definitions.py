"""The checks of the stand-in against the published definitions can fail, and see every field."""

import kfp_server_api
import pytest
from definitions import operations, problems


@pytest.mark.parametrize(
    "value, kind",
    [
        ({"run_id": 3}, "V2beta1Run"),
        ({"id": "x"}, "V2beta1Run"),
        ({"state": "Failed"}, "V2beta1Run"),
        ({"created_at": "yesterday"}, "V2beta1Run"),
        ({"created_at": "2026-01-01T00:00:00"}, "V2beta1Run"),
        ({"run_details": {"task_details": [{"state": "DONE"}]}}, "V2beta1Run"),
        ({"max_concurrency": 1}, "V2beta1RecurringRun"),
        ({"no_catchup": "yes"}, "V2beta1RecurringRun"),
        ({"trigger": {"cron": "* * * * *"}}, "V2beta1RecurringRun"),
        ({"tags": {"a": 1}}, "V2beta1Pipeline"),
        ([], "V2beta1Run"),
        (None, "V2beta1Run"),
    ],
)
def test_what_is_not_as_defined_is_found(value: object, kind: str) -> None:
    assert problems(value, kind, "x")


def test_what_the_client_sends_is_as_defined() -> None:
    run = kfp_server_api.V2beta1Run(
        display_name="x",
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters={"a": [1, {"b": None}]}),
        state="RUNNING",
    )
    sent = kfp_server_api.ApiClient().sanitize_for_serialization(run)
    assert problems(sent, "V2beta1Run", "run") == []


def test_operations_are_told_apart() -> None:
    found = operations()
    get = found["run_service_get_run"]
    assert get.match("GET", "/apis/v2beta1/runs/12-ab") == {"run_id": "12-ab"}
    assert get.match("DELETE", "/apis/v2beta1/runs/12-ab") is None
    assert get.match("GET", "/apis/v2beta1/runs") is None
    end = found["run_service_terminate_run"]
    assert end.match("POST", "/apis/v2beta1/runs/12:terminate") == {"run_id": "12"}
    for method, path in (("GET", "/apis/v2beta1/runs"), ("POST", "/apis/v2beta1/recurringruns")):
        assert sum(o.match(method, path) is not None for o in found.values()) == 1
    assert found["run_service_create_run"].body == "V2beta1Run"
    assert found["run_service_list_runs"].query["page_size"] == "int"
    assert found["upload_pipeline_version"].file == "uploadfile"
