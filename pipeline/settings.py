"""Settings of every stage in one file, as a person writes them for `--config`."""

from pathlib import Path
from typing import Any

from audiostyle.config import Config
from components.preprocess.config import PreprocessConfig
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.train.config import TrainConfig
from components.train.gate import GateConfig
from pipeline.cluster_config import ClusterConfig


class Settings(Config):
    """One section a stage, and one for the cluster; what is left out has its default."""

    preprocess: PreprocessConfig = PreprocessConfig()
    train: TrainConfig = TrainConfig()
    gate: GateConfig = GateConfig()
    stylize: StylizeConfig = StylizeConfig()
    reconstruct: ReconstructConfig = ReconstructConfig()
    cluster: ClusterConfig = ClusterConfig()

    def arguments(self, *sections: str) -> dict[str, Any]:
        """Arguments of a pipeline: `STAGE_config` to the settings of these stages (or all)."""
        values = self.plain()
        return {f"{name}_config": values[name] for name in sections or _SECTIONS}


# The sections that are arguments of a pipeline: all but the cluster's.
_SECTIONS = tuple(name for name in Settings.model_fields if name != "cluster")


def load(path: Path | None) -> Settings:
    """Read a YAML file of settings; the defaults without one. Raises InputError naming the file."""
    return Settings.load(path) if path else Settings()
