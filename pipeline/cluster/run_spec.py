"""What a run or a schedule does, apart from when."""

from dataclasses import dataclass, field
from typing import Any

from kfp_server_api import V2beta1PipelineVersionReference, V2beta1RuntimeConfig


@dataclass(frozen=True)
class RunSpec:
    """What a run or a schedule does: a pipeline's version, and what that is given."""

    pipeline_id: str
    version_id: str
    parameters: dict[str, Any] = field(default_factory=dict)
    pipeline_root: str = ""
    service_account: str = ""

    def fields(self) -> dict[str, Any]:
        """The same as fields of the server's models."""
        return {
            "pipeline_version_reference": V2beta1PipelineVersionReference(
                pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id
            ),
            "runtime_config": V2beta1RuntimeConfig(
                parameters=self.parameters, pipeline_root=self.pipeline_root or None
            ),
            "service_account": self.service_account or None,
        }

    @classmethod
    def of(cls, run: Any) -> "RunSpec":
        """What a run or schedule on the server does."""
        reference = run.pipeline_version_reference or V2beta1PipelineVersionReference()
        runtime = run.runtime_config or V2beta1RuntimeConfig()
        return cls(
            reference.pipeline_id or "",
            reference.pipeline_version_id or "",
            runtime.parameters or {},
            runtime.pipeline_root or "",
            run.service_account or "",
        )
